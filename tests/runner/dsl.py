"""Small definitions in Dify's DSL, put together from nodes."""

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

Node = dict[str, Any]


def node(name: str, kind: str, **data: Any) -> Node:
    return {"id": name, "type": "custom", "data": {"type": kind, "title": name, **data}}


def start(*variables: Mapping[str, Any]) -> Node:
    return node("start", "start", variables=[{"label": v["variable"], **v} for v in variables])


def text(name: str, **more: Any) -> dict[str, Any]:
    return {"variable": name, "type": "paragraph", "required": True, **more}


def template(name: str, source: str, /, **variables: Sequence[str]) -> Node:
    chosen = [{"variable": k, "value_selector": list(v)} for k, v in variables.items()]
    return node(name, "template-transform", template=source, variables=chosen)


def spare() -> Node:
    """Stands after a node in which a run is told to pause: the engine may begin one node more."""
    return template("spare", "")


def call(name: str, url: str, **more: Any) -> Node:
    data: dict[str, Any] = {
        "method": "get",
        "url": url,
        "authorization": {"type": "no-auth", "config": None},
        "headers": "",
        "params": "",
        "body": {"type": "none", "data": []},
        "timeout": {"connect": 5, "read": 30, "write": 5},
        "retry_config": {"retry_enabled": False, "max_retries": 0, "retry_interval": 100},
        "variables": [],
    }
    return node(name, "http-request", **{**data, **more})


def code(name: str, source: str, outputs: Mapping[str, str], /, **variables: Sequence[str]) -> Node:
    return node(
        name,
        "code",
        code=source,
        code_language="python3",
        outputs={k: {"type": v, "children": None} for k, v in outputs.items()},
        variables=[{"variable": k, "value_selector": list(v)} for k, v in variables.items()],
    )


MODEL = {
    "provider": "langgenius/openai/openai",
    "name": "stub",
    "mode": "chat",
    "completion_params": {"temperature": 0},
}


def llm(name: str, prompt: str) -> Node:
    return node(
        name,
        "llm",
        model=MODEL,
        prompt_template=[{"role": "user", "text": prompt, "id": "1"}],
        context={"enabled": False, "variable_selector": []},
        vision={"enabled": False},
        variables=[],
    )


def iteration(
    name: str,
    items: Sequence[str],
    output: Sequence[str],
    /,
    *children: Node,
    parallel: int = 1,
    on_error: str = "terminated",
) -> list[Node]:
    """The children, one after the other, for each of the items; `{{#name.item#}}` is the item."""
    whole = node(
        name,
        "iteration",
        iterator_selector=list(items),
        output_selector=list(output),
        start_node_id=f"{name}start",
        is_parallel=parallel > 1,
        parallel_nums=parallel,
        error_handle_mode=on_error,
        output_type="array[string]",
    )
    return [whole, *_inside(name, "iteration", {"isInIteration": True}, children)]


def loop(
    name: str,
    variables: Mapping[str, tuple[str, Any]],
    until: Sequence[Mapping[str, Any]],
    /,
    *children: Node,
    most: int = 10,
) -> list[Node]:
    """The children again and again; `variables` are name -> (type, first value)."""
    whole = node(
        name,
        "loop",
        start_node_id=f"{name}start",
        loop_count=most,
        logical_operator="and",
        break_conditions=[{"id": str(n), **each} for n, each in enumerate(until)],
        loop_variables=[
            {
                "id": label,
                "label": label,
                "var_type": kind,
                "value_type": "constant",
                "value": value,
            }
            for label, (kind, value) in variables.items()
        ],
        error_handle_mode="terminated",
    )
    return [whole, *_inside(name, "loop", {"isInLoop": True}, children)]


def _inside(
    name: str, kind: str, told: Mapping[str, Any], children: Sequence[Node]
) -> Sequence[Node]:
    begin, about = node(f"{name}start", f"{kind}-start"), {**told, f"{kind}_id": name}
    return [
        {**each, "parentId": name, "data": {**each["data"], **about}} for each in (begin, *children)
    ]


def assign(name: str, target: Sequence[str], operation: str, value: Any = None) -> Node:
    """With a number or a text itself; a sequence is the selector of a variable."""
    constant = isinstance(value, str | int)
    item = {
        "variable_selector": list(target),
        "input_type": "constant" if constant else "variable",
        "operation": operation,
        "value": value,
    }
    return node(name, "assigner", version="2", items=[item])


def extractor(name: str, query: Sequence[str], **kinds: str) -> Node:
    """Takes `name`, a text, and what `kinds` say."""
    wanted = {"name": "string", **kinds}
    return node(
        name,
        "parameter-extractor",
        model={**MODEL, "name": "extractor"},
        query=list(query),
        parameters=[
            {"name": each, "type": kind, "description": each, "required": False}
            for each, kind in wanted.items()
        ],
        reasoning_mode="prompt",
        instruction="",
        vision={"enabled": False},
    )


def classifier(name: str, query: Sequence[str]) -> Node:
    """Two classes, `1` and `2`."""
    return node(
        name,
        "question-classifier",
        model={**MODEL, "name": "classifier"},
        query_variable_selector=list(query),
        classes=[{"id": "1", "name": "billing"}, {"id": "2", "name": "other"}],
        instructions="",
        vision={"enabled": False},
    )


def end(**outputs: Sequence[str]) -> Node:
    told = [
        {"variable": k, "value_selector": list(v), "value_type": "string"}
        for k, v in outputs.items()
    ]
    return node("end", "end", outputs=told)


def edge(source: str, target: str, handle: str = "source") -> dict[str, Any]:
    return {
        "id": f"{source}-{handle}-{target}",
        "type": "custom",
        "source": source,
        "sourceHandle": handle,
        "target": target,
        "targetHandle": "target",
        "data": {},
    }


def _inner(nodes: Sequence[Node]) -> list[dict[str, Any]]:
    """Inside of a container its nodes follow one another."""
    scopes: dict[str, list[str]] = {}
    for each in nodes:
        if "parentId" in each:
            scopes.setdefault(each["parentId"], []).append(each["id"])
    return [edge(a, b) for names in scopes.values() for a, b in pairwise(names)]


def app(
    *nodes: Node,
    edges: Sequence[Mapping[str, Any]] | None = None,
    env: Sequence[Mapping[str, Any]] = (),
    conversation: Sequence[Mapping[str, Any]] = (),
    mode: str = "workflow",
) -> str:
    """A whole export; without edges the nodes follow one another, also inside of containers."""
    names = [each["id"] for each in nodes if "parentId" not in each]
    outer = [edge(a, b) for a, b in pairwise(names)] if edges is None else edges
    graph = {"nodes": list(nodes), "edges": [*outer, *_inner(nodes)]}
    workflow = {
        "graph": graph,
        "environment_variables": list(env),
        "conversation_variables": list(conversation),
        "features": {},
    }
    shown = {"name": "test", "mode": mode}
    return json.dumps(
        {"app": shown, "kind": "app", "version": "0.5.0", "dependencies": [], "workflow": workflow}
    )
