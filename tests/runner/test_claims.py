"""An envelope is resumed once, whoever tries, and not where its run has left."""

import threading

from tests.runner import dsl
from tests.runner.process import Runner, digest
from tests.runner.server import Server


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
