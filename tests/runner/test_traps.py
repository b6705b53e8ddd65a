"""What the engine would get wrong if it were left to itself, one case for each trap."""

import json
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.conftest import ALLOWED
from tests.runner.process import Runner, digest, eventually, mount, running
from tests.runner.server import Server

from belay_runner.main import refusal

SECRET = "s3cr3t-of-the-tests"


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ((3, 11, 9), False),
        ((3, 12, 0), True),
        ((3, 12, 1), True),
        ((3, 13, 0), False),
        ((3, 13, 2), False),
        ((3, 13, 3), True),
        ((3, 13, 5), True),
    ],
)
def test_a_python_that_leaks_with_every_run_is_refused(
    version: tuple[int, int, int], fits: bool
) -> None:
    assert (refusal(version) is None) is fits


def test_the_process_ends_at_once_on_such_a_python() -> None:
    """This very interpreter is too old, or one is made so."""
    told = "import sys; sys.version_info = (3, 13, 0); from belay_runner.main import main; main()"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "operator"}
    done = subprocess.run(
        ["python3", "-c", told], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert "Python 3.13.0 leaks memory with every run" in done.stderr


def test_a_template_is_rendered_whole(runner: Runner) -> None:
    source = "{% for n in names.split(',') %}{{ loop.index }}:{{ n | upper }} {% endfor %}"
    shout = dsl.template("shout", source, names=["start", "names"])
    told = dsl.end(told=["shout", "output"])
    runner.take(dsl.app(dsl.start(dsl.text("names")), shout, told))
    assert runner.run(names="a,b")["outputs"] == {"told": "1:A 2:B "}


@pytest.mark.parametrize(
    "source",
    [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ x.__class__.__mro__[1].__subclasses__() }}",
        "{{ nobody }}",
    ],
)
def test_a_template_that_reaches_out_or_names_nothing_fails(runner: Runner, source: str) -> None:
    node = dsl.template("reach", source, x=["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), node, dsl.end(told=["reach", "output"])))
    data = runner.run(x="1")
    assert (data["status"], data["outputs"]) == ("failed", {})


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


def test_outputs_of_an_answer_node_are_json(runner: Runner) -> None:
    answer = dsl.node("answer", "answer", answer="you said {{#sys.query#}}", variables=[])
    runner.take(dsl.app(dsl.start(), answer, mode="advanced-chat"))
    data = runner.run(query="hi")
    assert (data["status"], data["outputs"]["answer"]) == ("succeeded", "you said hi")
    assert data["outputs"].get("files", []) == []


def test_one_process_serves_both_ports_and_keeps_all_runs(runner: Runner) -> None:
    """The registry would be split between two processes."""
    children = f"/proc/{runner.process.pid}/task/{runner.process.pid}/children"
    assert Path(children).read_text() == ""


def test_an_envelope_is_claimed_once_by_many_who_try_together(
    runner: Runner, server: Server
) -> None:
    text = dsl.app(
        dsl.start(),
        dsl.call("first", f"{server.url}/gate/claimed"),
        dsl.call("then", f"{server.url}/echo/once"),
        dsl.end(told=["then", "body"]),
    )
    runner.take(text)
    run = runner.begin()
    runner.at(run, "first")
    runner.pause(run)
    server.open("claimed")
    runner.paused(run)
    envelope, answers = runner.envelope(run), []
    callers = [
        threading.Thread(target=lambda: answers.append(runner.resume(envelope=envelope)))
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert sorted(a.status_code for a in answers) == [200] * 7 + [202]
    assert runner.ended(run)["outputs"] == {"told": "once"}
    assert server.calls["/echo/once"] == 1


def test_a_run_that_was_handed_over_stays_away(runner: Runner, server: Server) -> None:
    text = dsl.app(
        dsl.start(), dsl.call("held", f"{server.url}/gate/away"), dsl.end(told=["held", "body"])
    )
    runner.take(text)
    run = runner.begin()
    runner.at(run, "held")
    runner.pause(run)
    server.open("away")
    runner.paused(run)
    envelope = runner.envelope(run)
    path, wish = f"/engine/v1/runs/{run}:handOver", {"holder": "a-workflow"}
    wrong = runner.admin.post(path, json={**wish, "sha256": digest("another")})
    assert wrong.json()["code"] == "envelopeDiffers"
    for _ in range(2):
        assert runner.admin.post(path, json={**wish, "sha256": envelope["sha256"]}).is_success
    assert runner.resume(envelope=envelope).json()["code"] == "alreadyElsewhere"
    assert runner.resume(id=run).json()["code"] == "alreadyElsewhere"
    assert runner.data.get(f"/v1/workflows/run/{run}").json()["code"] == "alreadyElsewhere"


def iteration(server: Server, gate: str, *, parallel: bool) -> str:
    """Three items, each of which makes a call."""
    inside = {"isInIteration": True, "iteration_id": "each"}
    each = dsl.node(
        "each",
        "iteration",
        iterator_selector=["split", "items"],
        output_selector=["held", "body"],
        start_node_id="eachstart",
        is_parallel=parallel,
        parallel_nums=3,
        error_handle_mode="terminated",
        output_type="array[string]",
    )
    begin = {**dsl.node("eachstart", "iteration-start", **inside), "parentId": "each"}
    held = {**dsl.call("held", f"{server.url}/gate/{gate}", **inside), "parentId": "each"}
    split = dsl.code("split", "def main():\n    return {'items': ['a', 'b', 'c']}",
                     {"items": "array[string]"})  # fmt: skip
    join = dsl.template("join", "{{ all | join('+') }}", all=["each", "output"])
    return dsl.app(
        dsl.start(),
        split,
        each,
        begin,
        held,
        join,
        dsl.end(told=["join", "output"]),
        edges=[
            dsl.edge("start", "split"),
            dsl.edge("split", "each"),
            dsl.edge("eachstart", "held"),
            dsl.edge("each", "join"),
            dsl.edge("join", "end"),
        ],
    )


@pytest.mark.parametrize("parallel", [False, True])
def test_a_run_that_pauses_inside_an_iteration_repeats_no_item(
    runner: Runner, server: Server, parallel: bool
) -> None:
    """All events are taken to their end before the dump, which the engine refuses otherwise."""
    gate = f"each-{parallel}"
    runner.take(iteration(server, gate, parallel=parallel))
    run = runner.begin()
    runner.at(run, "held")
    runner.pause(run)
    server.open(gate)
    runner.paused(run)
    before = server.calls[f"/gate/{gate}"]
    envelope = runner.envelope(run)
    assert before <= 3
    assert runner.resume(envelope=envelope).status_code == 202
    assert runner.ended(run)["outputs"] == {"told": "+".join([gate] * 3)}
    assert server.calls[f"/gate/{gate}"] == 3


def test_edges_without_ids_pause_and_resume_and_other_ids_are_no_match(
    runner: Runner, server: Server
) -> None:
    text = dsl.app(
        dsl.start(),
        dsl.call("held", f"{server.url}/gate/edges"),
        dsl.call("then", f"{server.url}/echo/x"),
        dsl.end(told=["then", "body"]),
    )
    whole = json.loads(text)
    for each in whole["workflow"]["graph"]["edges"]:
        del each["id"]
    nameless = json.dumps(whole)
    runner.take(nameless)
    run = runner.begin()
    runner.at(run, "held")
    runner.pause(run)
    server.open("edges")
    runner.paused(run)
    assert runner.resume(envelope=runner.envelope(run)).status_code == 202
    assert runner.ended(run)["status"] == "succeeded"


def test_a_run_migrates_only_where_nodes_and_edges_are_the_same(begin: Any, server: Server) -> None:
    def text(greeting: str, name: str) -> str:
        return dsl.app(
            dsl.start(),
            dsl.call("held", f"{server.url}/gate/migrate"),
            dsl.spare(),
            dsl.template(name, greeting, x=["held", "body"]),
            dsl.end(told=[name, "output"]),
        )

    with begin(name="old") as old:
        old.take(text("old {{x}}", "say"))
        run = old.begin()
        old.at(run, "held")
        old.pause(run)
        server.open("migrate")
        old.paused(run)
        envelope = old.envelope(run)
    with begin(name="new") as new:
        new.take(text("new {{x}}", "tell"))
        refused = new.resume(envelope=envelope, allowMigration=True)
        assert (refused.status_code, refused.json()["code"]) == (409, "revisionMismatch")
        assert new.admin.get(f"/engine/v1/runs/{run}").status_code == 404
        fitting = text("new {{x}}", "say")
        new.take(fitting)
        assert new.resume(envelope=envelope).json()["code"] == "revisionMismatch"
        moved = new.resume(envelope=envelope, allowMigration=True)
        assert moved.json()["contentDigest"] == digest(fitting)
        assert new.ended(run)["outputs"] == {"told": "new migrate"}


def test_graphon_is_the_version_that_the_engine_was_written_for(runner: Runner) -> None:
    """A run of every kind of node is the proof that its names have not moved."""
    info = runner.info()
    assert (info["engine"], info["engineVersion"]) == ("graphon", "0.8.0")


def test_errors_are_cut_and_free_of_secrets(begin: Any, server: Server, tmp_path: Path) -> None:
    env = tmp_path / "env"
    env.mkdir()
    (env / "TOKEN").write_text(SECRET)
    boom = "def main(t):\n    raise ValueError('x' * 900 + ' never ' + t)"
    short = "def main(t):\n    raise ValueError('because of ' + t)"
    with begin("--env-folder", str(env)) as own:
        for source, expected in ((short, "because of ***"), (boom, "…")):
            node = dsl.code("boom", source, {"r": "string"}, t=["env", "TOKEN"])
            own.take(dsl.app(dsl.start(), node, dsl.end(told=["boom", "r"])))
            error = own.run()["error"]
            assert SECRET not in error
            assert "Traceback" not in error
            assert len(error) <= 500
            assert error.endswith(expected)
        own.take(
            dsl.app(dsl.start(), dsl.call("c", "http://u:p@192.0.2.1/?key={{#env.TOKEN#}}"),
                    dsl.end(told=["c", "body"]))
        )  # fmt: skip
        assert SECRET not in own.run()["error"]
        assert SECRET not in own.log()


def test_secrets_leave_no_envelope_and_are_added_again_as_they_are_now(
    python: Path, server: Server, tmp_path: Path
) -> None:
    text = dsl.app(
        dsl.start(),
        dsl.call("held", f"{server.url}/gate/secret"),
        dsl.spare(),
        dsl.call("told", f"{server.url}/header", headers="Authorization:{{#env.TOKEN#}}"),
        dsl.end(told=["told", "body"]),
        env=[{"id": "1", "name": "TOKEN", "value": "", "value_type": "secret"}],
    )
    first, second = tmp_path / "first", tmp_path / "second"
    mount(first / "mount", text, {"TOKEN": SECRET})
    with running(python, first, *ALLOWED) as old:
        run = old.begin()
        old.at(run, "held")
        old.pause(run)
        server.open("secret")
        old.paused(run)
        envelope = old.envelope(run)
        assert SECRET not in json.dumps(envelope)
        assert envelope["redactedEnv"] == ["TOKEN"]
    mount(second / "mount", text, {"TOKEN": "rotated"})
    with running(python, second, *ALLOWED) as new:
        assert new.resume(envelope=envelope).status_code == 202
        assert new.ended(run)["outputs"] == {"told": "rotated"}


def test_memory_does_not_grow_with_runs(runner: Runner) -> None:
    """What T1 is about: an engine that is kept alive is about 40 KB."""
    template = dsl.template("t", "{{x}}", x=["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), template, dsl.end(told=["t", "output"])))

    def kept() -> int:
        status = Path(f"/proc/{runner.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    for _ in range(50):
        runner.run(x="warm")
    before = kept()
    for _ in range(150):
        runner.run(x="again")
    eventually("no run at work", lambda: True)
    assert kept() - before < 150 * 20
