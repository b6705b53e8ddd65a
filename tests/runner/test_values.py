"""What goes into a run and what comes out of it, as the engine alone would not have it."""

from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.process import Runner
from tests.runner.server import Server


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        (dsl.text("x"), None, "x is required"),
        (dsl.text("x"), "", "x is required"),
        (dsl.text("x", max_length=3), "four", "x has 4 characters, more than 3"),
        (dsl.text("x"), 1, "x must be a text"),
        (dsl.text("x", type="number"), "1", "x must be a number"),
        (dsl.text("x", type="select", options=["a", "b"]), "c", "x must be one of a, b"),
        (dsl.text("x", type="file"), {"url": "http://x"}, "x is a file"),
    ],
)
def test_inputs_that_the_start_node_does_not_ask_for_are_refused(
    runner: Runner, variable: dict[str, Any], value: Any, fault: str
) -> None:
    runner.take(dsl.app(dsl.start(variable), dsl.end(told=["start", "x"])))
    refused = runner.data.post("/v1/workflows/run", json={"inputs": {"x": value}})
    assert refused.status_code == 400
    assert fault in refused.json()["message"]


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("number", "NaN"),
        ("number", "1e999"),
        ("json_object", '{"a": [NaN]}'),
        ("json_object", '{"a": -1e999}'),
        ("paragraph", '"\\ud800"'),
    ],
)
def test_what_is_no_json_is_no_input(runner: Runner, kind: str, text: str) -> None:
    """It could not be told, and a run that holds it would not come back from a pause."""
    runner.take(dsl.app(dsl.start(dsl.text("x", type=kind)), dsl.end(told=["start", "x"])))
    body = f'{{"inputs": {{"x": {text}}}}}'
    assert runner.data.post("/v1/workflows/run", content=body).status_code == 400


def test_an_optional_input_that_nobody_gave_is_not_the_text_none(runner: Runner) -> None:
    told = dsl.template("told", "[{{ x }}]", x=["start", "x"])
    optional = dsl.text("x", required=False)
    runner.take(dsl.app(dsl.start(optional), told, dsl.end(told=["told", "output"])))
    assert runner.run()["outputs"] == {"told": "[]"}


def test_a_model_node_with_vision_finds_an_empty_list_of_files(
    runner: Runner, server: Server
) -> None:
    ask = dsl.llm("ask", "say {{#start.x#}}")
    ask["data"]["vision"] = {
        "enabled": True,
        "configs": {"variable_selector": ["sys", "files"], "detail": "high"},
    }
    runner.take(dsl.app(dsl.start(dsl.text("x")), ask, dsl.end(told=["ask", "text"])))
    assert runner.run(x="hi")["outputs"] == {"told": "said: say hi"}
    assert server.asked[-1]["model"] == "stub"


def test_a_list_operator_finds_an_empty_list_of_files(runner: Runner) -> None:
    """As in exports of Dify, which sort the files of a message by their types."""
    image = {"key": "type", "comparison_operator": "in", "value": ["image"]}
    images = dsl.node(
        "images",
        "list-operator",
        variable=["sys", "files"],
        var_type="array[file]",
        item_var_type="file",
        filter_by={"enabled": True, "conditions": [image]},
        order_by={"enabled": False, "key": "", "value": "asc"},
        limit={"enabled": False, "size": 10},
    )
    told = dsl.template("told", "{{ x | length }}", x=["images", "result"])
    runner.take(dsl.app(dsl.start(), images, told, dsl.end(told=["told", "output"])))
    assert runner.run()["outputs"] == {"told": "0"}


def test_outputs_of_an_answer_node_are_json(runner: Runner) -> None:
    answer = dsl.node("answer", "answer", answer="you said {{#sys.query#}}", variables=[])
    runner.take(dsl.app(dsl.start(), answer, mode="advanced-chat"))
    data = runner.run(query="hi")
    assert (data["status"], data["outputs"]["answer"]) == ("succeeded", "you said hi")
    assert data["outputs"].get("files", []) == []
