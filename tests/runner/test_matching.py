"""Which graph a paused run goes on with, and by which engine."""

import json
from typing import Any

from tests.runner import dsl
from tests.runner.process import Runner, digest
from tests.runner.server import Server


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
