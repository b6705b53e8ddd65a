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


def llm(name: str, prompt: str) -> Node:
    model = {"provider": "langgenius/openai/openai", "name": "stub", "mode": "chat"}
    return node(
        name,
        "llm",
        model={**model, "completion_params": {"temperature": 0}},
        prompt_template=[{"role": "user", "text": prompt, "id": "1"}],
        context={"enabled": False, "variable_selector": []},
        vision={"enabled": False},
        variables=[],
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


def app(
    *nodes: Node,
    edges: Sequence[Mapping[str, Any]] | None = None,
    env: Sequence[Mapping[str, Any]] = (),
    mode: str = "workflow",
) -> str:
    """A whole export; without edges the nodes follow one another."""
    names = [each["id"] for each in nodes if "parentId" not in each]
    chain = [edge(a, b) for a, b in pairwise(names)]
    graph = {"nodes": list(nodes), "edges": chain if edges is None else list(edges)}
    workflow = {
        "graph": graph,
        "environment_variables": list(env),
        "conversation_variables": [],
        "features": {},
    }
    shown = {"name": "test", "mode": mode}
    return json.dumps(
        {"app": shown, "kind": "app", "version": "0.5.0", "dependencies": [], "workflow": workflow}
    )
