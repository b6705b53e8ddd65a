"""The end of a process, what it leaves, and what the next one makes of it."""

from pathlib import Path
from typing import Any

from tests.runner import dsl
from tests.runner.conftest import ALLOWED, held_at
from tests.runner.process import digest, eventually, mount, point, running
from tests.runner.server import Server


def test_a_process_that_is_told_to_end_stays_until_its_envelopes_are_fetched(
    begin: Any, server: Server
) -> None:
    text = held_at(server, "term")
    with begin("--grace", "60") as own:
        own.take(text)
        runs = [own.begin() for _ in range(3)]
        for run in runs:
            own.at(run, "held")
        own.tell_to_end()
        eventually("not ready", lambda: own.admin.get("/readyz").status_code == 503)
        assert own.data.post("/v1/workflows/run", json={"inputs": {}}).status_code == 503
        server.open("term")
        envelopes = []
        for run in runs:
            assert own.paused(run)["holder"] == "engine"
            envelopes.append(own.envelope(run))
        assert own.process.wait(10) == 0
    with begin(name="next") as following:
        following.take(text)
        for envelope in envelopes:
            assert following.resume(envelope=envelope).status_code == 202
        assert {following.ended(run)["status"] for run in runs} == {"succeeded"}


def test_what_nobody_fetches_is_named_as_lost_when_the_grace_is_over(
    begin: Any, server: Server
) -> None:
    with begin("--grace", "0.5") as own:
        own.take(held_at(server, "never"))
        run = own.begin()
        own.at(run, "held")
        own.tell_to_end()
        assert own.process.wait(20) == 0
        assert f"run {run} is lost: it did not come to a pause in time" in own.log()
    server.open("never")


def test_a_container_that_restarts_finds_its_paused_runs_and_names_the_lost(
    python: Path, server: Server, tmp_path: Path
) -> None:
    text, kept = held_at(server, "kept-1"), tmp_path / "envelopes"
    folder, options = tmp_path / "own", (*ALLOWED, "--envelopes", str(kept))
    mount(folder / "mount", text)
    with running(python, folder, *options) as own:
        paused, lost = own.begin(), own.begin()
        own.at(paused, "held")
        own.at(lost, "held")
        own.pause(paused)
        server.open("kept-1")
        own.paused(paused)
        own.ended(lost)
        own.validate(held_at(server, "kept-2"))
        lost = own.begin(content_digest=digest(held_at(server, "kept-2")))
        own.at(lost, "held")
        own.kill()
    server.open("kept-2")
    with running(python, folder, *options) as own:
        told = own.get(lost)
        assert told["status"] == "lost"
        assert "it was running when the process before this one ended" in told["error"]
        assert own.get(paused)["status"] == "paused"
        assert own.resume(id=paused).status_code == 202
        assert own.ended(paused)["outputs"] == {"told": "kept-1"}
        own.tell_to_end()
        assert own.process.wait(10) == 0
    with running(python, folder, *options) as own:
        assert own.admin.get(f"/engine/v1/runs/{paused}").status_code == 404


def test_the_mounted_pointer_is_followed_until_a_call_decides(python: Path, tmp_path: Path) -> None:
    def text(word: str) -> str:
        told = dsl.template("told", word)
        return dsl.app(dsl.start(), told, dsl.end(told=["told", "output"]))

    folder = tmp_path / "own"
    mount(folder / "mount", text("one"))
    with running(python, folder) as own:
        assert own.run()["outputs"] == {"told": "one"}
        mount(folder / "mount", text("two"))
        eventually("the second revision", lambda: own.run()["outputs"] == {"told": "two"})
        (folder / "mount/revisions").joinpath("x").mkdir()
        point(folder / "mount", "not there")
        eventually("a word about it", lambda: "cannot be read" in own.log())
        assert own.run()["outputs"] == {"told": "two"}, "what cannot be used changes nothing"
        own.take(text("three"))
        mount(folder / "mount", text("four"))
        own.validate(text("one"))
        assert own.run()["outputs"] == {"told": "three"}
        (folder / "token").write_text("another token")
        headers = {"Authorization": "Bearer another token"}
        assert own.admin.get("/engine/v1/info", headers=headers).status_code == 200
