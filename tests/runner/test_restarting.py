"""Paused runs that begin anew on what is active: each once, under its id, from its inputs."""

import hashlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import rfc8785
from tests.runner import dsl
from tests.runner.conftest import ALLOWED
from tests.runner.process import HOLDER, Runner, digest, eventually, mount, running
from tests.runner.server import Server

SECRET = "the-very-secret-value"
ANEW = {"how": "Restart"}


def said(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json().get("code", "")


def letter(server: Server, gate: str, version: str, *more: Any) -> str:
    """A call that a test holds, and an answer that names the version and an input."""
    return dsl.app(
        dsl.start(dsl.text("name"), *more),
        dsl.call("held", f"{server.url}/gate/{gate}"),
        dsl.spare(),
        dsl.template("told", f"{{{{x}}}} by {version}", x=["start", "name"]),
        dsl.end(told=["told", "output"]),
    )


def paused(runner: Runner, server: Server, gate: str, count: int = 1) -> list[str]:
    """Runs of what is active, paused behind their call."""
    runs = [runner.begin({"name": "ada"}) for _ in range(count)]
    for run in runs:
        runner.at(run, "held")
        runner.pause(run)
    server.open(gate)
    for run in runs:
        runner.paused(run)
    return runs


def test_a_run_begins_anew_on_what_is_active_and_its_caller_gets_that_answer(
    runner: Runner, server: Server
) -> None:
    runner.take(letter(server, "anew", "v1"))
    fresh = letter(server, "anew", "v2")
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(runner.started, {"name": "ada"}, run_id="anew-1")
        eventually("its call", lambda: server.calls["/gate/anew"])
        runner.pause("anew-1")
        server.open("anew")
        runner.paused("anew-1")
        runner.take(fresh)
        first = runner.resume(id="anew-1", **ANEW)
        assert (first.status_code, first.json()["contentDigest"]) == (202, digest(fresh))
        assert runner.resume(id="anew-1", **ANEW).status_code == 200
        assert runner.resume(id="anew-1").status_code == 200
        answer = waits.result(timeout=60)
    assert (answer["id"], answer["status"]) == ("anew-1", "succeeded")
    assert (answer["outputs"], answer["workflow_id"]) == ({"told": "ada by v2"}, digest(fresh))
    assert server.calls["/gate/anew"] == 2, "once before its pause, and once more"
    assert runner.info()["capabilities"]["restart"] is True


def test_an_envelope_begins_anew_once_however_many_try(begin: Any, server: Server) -> None:
    """In a pod that has never heard of the content that the run began with.

    One that does not tell its inputs, as of an engine that came before restarts, can only go on.
    """
    text = letter(server, "many", "v1")
    with begin(name="first") as first:
        first.take(text)
        run, other = paused(first, server, "many", 2)
        envelope, older = first.envelope(run), first.envelope(other)
        first.kill()
    del older["start"], older["sha256"]
    older["sha256"] = f"sha256:{hashlib.sha256(rfc8785.dumps(older)).hexdigest()}"
    with begin(name="second") as second:
        assert said(second.resume(envelope=envelope, **ANEW)) == (503, "noActiveRevision")
        second.take(letter(server, "many", "v2"))
        with ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(second.resume, envelope=envelope, **ANEW) for _ in range(8)]
            codes = sorted(one.result().status_code for one in tries)
        assert codes == [200] * 7 + [202]
        assert second.ended(run)["outputs"] == {"told": "ada by v2"}
        assert said(second.resume(envelope=envelope))[0] == 200
        assert said(second.resume(envelope=older, **ANEW)) == (422, "restartRejected")
        assert said(second.admin.get(f"/engine/v1/runs/{other}")) == (404, "runUnknown")
        second.validate(text)
        assert second.resume(envelope=older).status_code == 202
        assert second.ended(other)["outputs"] == {"told": "ada by v1"}
    assert server.calls["/gate/many"] == 3


def test_a_run_whose_inputs_do_not_fit_stays_paused_and_can_go_on(
    runner: Runner, server: Server
) -> None:
    runner.take(letter(server, "narrow", "v1"))
    (run,) = paused(runner, server, "narrow")
    runner.take(letter(server, "narrow", "v2", dsl.text("age")))
    refused = runner.resume(id=run, **ANEW)
    assert said(refused) == (422, "restartRejected")
    assert "age is required" in refused.json()["message"]
    assert runner.get(run)["status"] == "paused"
    assert runner.resume(id=run).status_code == 202
    assert runner.ended(run)["outputs"] == {"told": "ada by v1"}
    assert server.calls["/gate/narrow"] == 1


def test_a_run_that_has_not_come_to_its_stand_begins_anew_as_soon_as_it_stands(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    run = held("late")
    runner.pause(run)
    runner.take(dsl.app(dsl.start(), dsl.template("a", "anew"), dsl.end(told=["a", "output"])))
    assert runner.resume(id=run, **ANEW).status_code == 202
    assert runner.get(run)["status"] == "pausing"
    server.open("late")
    assert runner.ended(run)["outputs"] == {"told": "anew"}


def test_another_pause_takes_the_wish_to_begin_anew_back(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    run = held("again")
    runner.pause(run)
    runner.take(dsl.app(dsl.start(), dsl.template("a", "anew"), dsl.end(told=["a", "output"])))
    runner.resume(id=run, **ANEW)
    runner.pause_all()
    server.open("again")
    assert runner.paused(run)["holder"] == HOLDER
    assert runner.resume(id=run).status_code == 202
    assert runner.ended(run)["outputs"] == {"told": "again"}


def test_secrets_leave_no_envelope_and_a_run_begins_anew_with_those_of_its_new_pod(
    python: Path, server: Server, tmp_path: Path
) -> None:
    text = dsl.app(
        dsl.start(dsl.text("name")),
        dsl.call("held", f"{server.url}/gate/hidden"),
        dsl.spare(),
        dsl.call("told", f"{server.url}/header", headers="Authorization:{{#env.TOKEN#}}"),
        dsl.end(told=["told", "body"]),
        env=[{"id": "1", "name": "TOKEN", "value": "", "value_type": "secret"}],
    )
    mount(tmp_path / "first/mount", text, {"TOKEN": SECRET})
    with running(python, tmp_path / "first", *ALLOWED) as old:
        (run,) = paused(old, server, "hidden")
        envelope = old.envelope(run)
        assert json.loads(envelope["start"]) == {"inputs": {"name": "ada"}, "user": "anonymous"}
        assert SECRET not in json.dumps(envelope)
    mount(tmp_path / "second/mount", text, {"TOKEN": "rotated"})
    with running(python, tmp_path / "second", *ALLOWED) as new:
        assert new.resume(envelope=envelope, **ANEW).status_code == 202
        assert new.ended(run)["outputs"] == {"told": "rotated"}
    assert SECRET not in (tmp_path / "first/log").read_text()
