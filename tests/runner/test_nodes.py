"""Each kind of node that is supported, in the shapes of Dify's DSL, on a real process."""

from itertools import pairwise
from typing import Any, Final

import pytest
from tests.runner import dsl
from tests.runner.process import Runner
from tests.runner.server import Server

SUPPORTED: Final = frozenset(
    {
        "start", "end", "answer", "if-else", "iteration", "iteration-start", "loop", "loop-start",
        "loop-end", "template-transform", "code", "llm", "http-request", "variable-aggregator",
        "assigner", "list-operator", "question-classifier", "parameter-extractor",
    }
)  # fmt: skip
WORDS = dsl.code("words", "def main():\n    return {'all': ['pear', 'apple', 'fig', 'plum']}",
                 {"all": "array[string]"})  # fmt: skip
IS_SHORT = {
    "id": "c", "varType": "string", "variable_selector": ["start", "x"],
    "comparison_operator": "is", "value": "short",
}  # fmt: skip


def chosen(*conditions: dict[str, Any], order: str = "", size: int = -1) -> dsl.Node:
    """A list operator, over the words."""
    return dsl.node(
        "chosen",
        "list-operator",
        variable=["words", "all"],
        var_type="array[string]",
        item_var_type="string",
        filter_by={"enabled": bool(conditions), "conditions": list(conditions)},
        order_by={"enabled": bool(order), "key": "", "value": order or "asc"},
        limit={"enabled": size > 0, "size": size},
    )


@pytest.mark.parametrize(
    ("operator", "told"),
    [
        (chosen(order="asc"), "apple fig pear plum; apple; plum"),
        (chosen({"key": "", "comparison_operator": "contains", "value": "p"}, order="desc"),
         "plum pear apple; plum; apple"),
        (chosen(size=2), "pear apple; pear; apple"),
    ],
)  # fmt: skip
def test_a_list_is_filtered_ordered_and_cut(runner: Runner, operator: dsl.Node, told: str) -> None:
    shown = dsl.template(
        "shown", "{{ all | join(' ') }}; {{ first }}; {{ last }}", all=["chosen", "result"],
        first=["chosen", "first_record"], last=["chosen", "last_record"],
    )  # fmt: skip
    runner.take(dsl.app(dsl.start(), WORDS, operator, shown, dsl.end(told=["shown", "output"])))
    assert runner.run()["outputs"] == {"told": told}


@pytest.mark.parametrize(
    ("kind", "first", "operation", "value", "told"),
    [
        ("number", 3, "+=", 4, "7"),
        ("number", 3, "*=", 4, "12"),
        ("number", 3, "set", 9, "9"),
        ("string", "a", "set", "b", "b"),
        ("string", "a", "clear", None, ""),
        ("array[string]", ["a"], "append", ["start", "x"], "['a', 'b']"),
        ("array[string]", ["a", "b"], "remove-first", None, "['b']"),
    ],
)
def test_a_variable_of_the_conversation_is_assigned(
    runner: Runner, kind: str, first: Any, operation: str, value: Any, told: str
) -> None:
    kept = {"id": "1", "name": "kept", "value": first, "value_type": kind, "description": ""}
    shown = dsl.template("shown", "{{ x }}", x=["conversation", "kept"])
    text = dsl.app(
        dsl.start(dsl.text("x")),
        dsl.assign("change", ["conversation", "kept"], operation, value),
        shown,
        dsl.node("answer", "answer", answer="{{#shown.output#}}", variables=[]),
        conversation=[kept],
        mode="advanced-chat",
    )
    runner.take(text)
    assert runner.run(x="b")["outputs"]["answer"] == told


@pytest.mark.parametrize(("x", "told"), [("short", "yes"), ("long", "no")])
def test_branches_meet_in_an_aggregator(runner: Runner, x: str, told: str) -> None:
    case = {"case_id": "true", "id": "true", "logical_operator": "and", "conditions": [IS_SHORT]}
    meet = dsl.node("meet", "variable-aggregator", output_type="string",
                    variables=[["yes", "output"], ["no", "output"]])  # fmt: skip
    text = dsl.app(
        dsl.start(dsl.text("x")),
        dsl.node("which", "if-else", cases=[case]),
        dsl.template("yes", "yes"),
        dsl.template("no", "no"),
        meet,
        dsl.end(told=["meet", "output"]),
        edges=[
            dsl.edge("start", "which"),
            dsl.edge("which", "yes", "true"),
            dsl.edge("which", "no", "false"),
            dsl.edge("yes", "meet"),
            dsl.edge("no", "meet"),
            dsl.edge("meet", "end"),
        ],
    )
    runner.take(text)
    assert runner.run(x=x)["outputs"] == {"told": told}


def test_a_loop_ends_at_its_end_node_or_after_so_many_rounds(runner: Runner) -> None:
    again = dsl.loop(
        "again", {"count": ("number", 0)}, [],
        dsl.assign("counted", ["again", "count"], "+=", 2),
        dsl.node("leave", "loop-end"), most=5,
    )  # fmt: skip
    told = dsl.template("told", "{{ x }}", x=["again", "count"])
    runner.take(dsl.app(dsl.start(), *again, told, dsl.end(told=["told", "output"])))
    assert runner.run()["outputs"] == {"told": "2"}
    rounds = [each for each in again if each["id"] != "leave"]
    runner.take(dsl.app(dsl.start(), *rounds, told, dsl.end(told=["told", "output"])))
    assert runner.run()["outputs"] == {"told": "10"}


def test_every_kind_of_node_that_is_supported_is_run_here(runner: Runner, server: Server) -> None:
    """One graph of them all: where a name of graphon has moved, it is not built or not run."""
    server.says["classifier"] = '{"category_id": "2", "category_name": "other"}'
    server.says["extractor"] = '{"name": "Ada"}'
    each = dsl.iteration(
        "each", ["chosen", "result"], ["shout", "output"],
        dsl.template("shout", "{{ x | upper }}", x=["each", "item"]),
    )  # fmt: skip
    again = dsl.loop(
        "again", {"count": ("number", 0)}, [], dsl.assign("counted", ["again", "count"], "+=", 1),
        dsl.node("leave", "loop-end"),
    )  # fmt: skip
    case = {"case_id": "true", "id": "true", "logical_operator": "and", "conditions": [IS_SHORT]}
    chain = [
        dsl.start(dsl.text("x")), WORDS, chosen(size=2), *each, *again,
        dsl.call("called", f"{server.url}/echo/there"), dsl.llm("asked", "{{#start.x#}}"),
        dsl.extractor("taken", ["start", "x"]), dsl.classifier("sorted", ["start", "x"]),
        dsl.node("which", "if-else", cases=[case]),
        dsl.node("meet", "variable-aggregator", output_type="string",
                 variables=[["taken", "name"]]),
        dsl.template("told", "{{a}} {{b}} {{c}} {{d}} {{e}} {{f}}", a=["each", "output"],
                     b=["again", "count"], c=["called", "body"], d=["asked", "text"],
                     e=["meet", "output"], f=["sorted", "class_name"]),
        dsl.end(told=["told", "output"]),
    ]  # fmt: skip
    kinds = {each["data"]["type"] for each in chain}
    assert kinds | {"answer"} == SUPPORTED
    handles = {"which": "true", "sorted": "2"}
    names = [each["id"] for each in chain if "parentId" not in each]
    edges = [dsl.edge(a, b, handles.get(a, "source")) for a, b in pairwise(names)]
    runner.take(dsl.app(*chain, edges=edges))
    data = runner.run(x="short")
    assert data["status"] == "succeeded", data
    assert data["outputs"] == {"told": "['PEAR', 'APPLE'] 1 there said: short Ada other"}
