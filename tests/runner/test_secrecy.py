"""Secrets stay inside: out of errors, logs and envelopes."""

import json
from pathlib import Path
from typing import Any

from tests.runner import dsl
from tests.runner.conftest import ALLOWED
from tests.runner.process import mount, running
from tests.runner.server import Server

SECRET = "s3cr3t-of-the-tests"


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
            events = list(own.stream({}))
            assert SECRET not in json.dumps(events)
            of_node, of_run = (e["data"]["error"] for e in events if e["data"].get("error"))
            assert of_node == of_run
            error = of_run
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
