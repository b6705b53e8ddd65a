"""Nodes that ask a language model, at an endpoint that answers, misbehaves, or takes its time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.conftest import ALLOWED
from tests.runner.process import Runner, running
from tests.runner.server import Server


def test_parameters_are_extracted(runner: Runner, server: Server) -> None:
    server.says["extractor"] = 'Here: {"name": "Ada", "count": 3, "tags": ["a", "b"]}'
    more = {"count": "number", "tags": "array[string]"}
    told = dsl.template(
        "told", "{{a}} {{b}} {{c}} {{d}}", a=["taken", "name"], b=["taken", "count"],
        c=["taken", "tags"], d=["taken", "__is_success"],
    )  # fmt: skip
    taken = dsl.extractor("taken", ["start", "x"], **more)
    runner.take(dsl.app(dsl.start(dsl.text("x")), taken, told, dsl.end(told=["told", "output"])))
    data = runner.run(x="three for Ada")
    assert data["outputs"] == {"told": "Ada 3 ['a', 'b'] 1"}
    assert data["total_tokens"] == 5
    assert "three for Ada" in str(server.asked[-1]["messages"])


def test_an_extractor_that_gets_no_json_says_so_and_goes_on(runner: Runner, server: Server) -> None:
    """Dify's own behaviour: the definition has to look at __is_success."""
    server.says["extractor"] = "I would rather not"
    told = dsl.template("told", "{{a}} {{b}}", a=["taken", "name"], b=["taken", "__is_success"])
    taken = dsl.extractor("taken", ["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), taken, told, dsl.end(told=["told", "output"])))
    assert runner.run(x="?")["outputs"] == {"told": " 0"}


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ('```json\n{"category_id": "1", "category_name": "billing"}\n```', "for billing"),
        ('{"category_id": "2", "category_name": "other"}', "for others"),
        ('{"category_id": "7", "category_name": "made up"}', "for billing"),
    ],
)
def test_a_question_takes_the_branch_of_its_class(
    runner: Runner, server: Server, said: str, told: str
) -> None:
    """A class that does not exist counts as the first one, as in Dify."""
    server.says["classifier"] = said
    text = dsl.app(
        dsl.start(dsl.text("x")),
        dsl.classifier("sorted", ["start", "x"]),
        dsl.template("one", "for billing"),
        dsl.template("two", "for others"),
        dsl.node("meet", "variable-aggregator", output_type="string",
                 variables=[["one", "output"], ["two", "output"]]),
        dsl.end(told=["meet", "output"]),
        edges=[
            dsl.edge("start", "sorted"),
            dsl.edge("sorted", "one", "1"),
            dsl.edge("sorted", "two", "2"),
            dsl.edge("one", "meet"),
            dsl.edge("two", "meet"),
            dsl.edge("meet", "end"),
        ],
    )  # fmt: skip
    runner.take(text)
    assert runner.run(x="my invoice")["outputs"] == {"told": told}


@pytest.mark.parametrize(
    ("source", "status", "told"),
    [
        ("{% for n in x.split(',') %}{{ loop.index }}{{ n }} {% endfor %}", "succeeded", "1a 2b "),
        ("{{ cycler.__init__.__globals__.os.getcwd() }}", "failed", None),
        ("{{ x.__class__.__mro__[1].__subclasses__() }}", "failed", None),
        ("{{ nobody }}", "failed", None),
    ],
)
def test_a_prompt_may_be_a_template_and_is_rendered_in_the_sandbox(
    runner: Runner, server: Server, source: str, status: str, told: str | None
) -> None:
    asked = dsl.llm("asked", "")
    asked["data"]["prompt_template"] = [
        {"role": "user", "text": "", "jinja2_text": source, "edition_type": "jinja2", "id": "1"}
    ]
    asked["data"]["prompt_config"] = {
        "jinja2_variables": [{"variable": "x", "value_selector": ["start", "x"]}]
    }
    before = len(server.asked)
    runner.take(dsl.app(dsl.start(dsl.text("x")), asked, dsl.end(told=["asked", "text"])))
    data = runner.run(x="a,b")
    assert (data["status"], data["outputs"].get("told")) == (status, told and f"said: {told}")
    assert len(server.asked) - before == (status == "succeeded")


@pytest.fixture(scope="module")
def hurried(
    python: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runner]:
    """A runner that gives a model a second."""
    options = (*ALLOWED, "--llm-url", f"{server.url}/llm/v1", "--llm-seconds", "1")
    with running(python, tmp_path_factory.mktemp("hurried"), *options) as found:
        yield found


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("500", "the model's endpoint answered 500"),
        ("429", "the model's endpoint answered 429"),
        ("401", "the model's endpoint answered 401"),
        ("no-json", "the model's endpoint answered something else"),
        ("no-choice", "the model's endpoint answered something else"),
        ("streams", "the model's endpoint answered something else"),
        ("breaks-off", "the model's endpoint: peer closed connection"),
        ("endless", "the model's endpoint: the answer has more than 10485760 bytes"),
        ("drips", "the model's endpoint: the answer took longer than 1 s"),
    ],
)
def test_a_model_that_does_not_answer_fails_its_node_with_the_reason(
    hurried: Runner, model: str, reason: str
) -> None:
    asked = asking(model)
    hurried.take(dsl.app(dsl.start(), asked, dsl.end(told=["asked", "text"])))
    data = hurried.run()
    assert data["status"] == "failed"
    assert reason in data["error"]
    assert data["elapsed_time"] < 20


def test_a_model_that_fails_is_asked_again_where_its_node_says_so(
    hurried: Runner, server: Server
) -> None:
    asked = asking("429")
    asked["data"]["retry_config"] = {
        "retry_enabled": True,
        "max_retries": 2,
        "retry_interval": 10,
    }
    before = len(server.asked)
    hurried.take(dsl.app(dsl.start(), asked, dsl.end(told=["asked", "text"])))
    assert hurried.run()["status"] == "failed"
    assert len(server.asked) - before == 3


def test_a_model_that_fails_takes_the_branch_for_it(hurried: Runner) -> None:
    asked = asking("500")
    asked["data"]["error_strategy"] = "fail-branch"
    text = dsl.app(
        dsl.start(),
        asked,
        dsl.template("sorry", "sorry: {{ why }}", why=["asked", "error_message"]),
        dsl.end(told=["sorry", "output"]),
        edges=[
            dsl.edge("start", "asked"),
            dsl.edge("asked", "sorry", "fail-branch"),
            dsl.edge("sorry", "end"),
        ],
    )
    hurried.take(text)
    data = hurried.run()
    assert data["status"] == "partial-succeeded"
    assert data["outputs"] == {"told": "sorry: the model's endpoint answered 500"}


def test_a_run_pauses_behind_a_slow_model_which_is_asked_once(
    runner: Runner, server: Server
) -> None:
    runner.take(
        dsl.app(
            dsl.start(dsl.text("x")),
            asking("held", "tell {{#start.x#}}"),
            dsl.spare(),
            dsl.end(told=["asked", "text"]),
        )
    )
    before = len(server.asked)
    run = runner.begin({"x": "all"})
    runner.at(run, "asked")
    runner.pause(run)
    server.open("model")
    runner.paused(run)
    envelope = runner.envelope(run)
    assert runner.resume(envelope=envelope).status_code == 202
    assert runner.ended(run)["outputs"] == {"told": "said: tell all"}
    assert len(server.asked) - before == 1


def asking(model: str, prompt: str = "hello") -> dict[str, Any]:
    node = dsl.llm("asked", prompt)
    node["data"]["model"] = {**dsl.MODEL, "name": model}
    return node
