"""Runs that pause at a safe point, leave, come back, and end as if nothing had been."""

from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.process import HOLDER, Runner, digest, eventually
from tests.runner.server import Server


def three_calls(server: Server, gate: str) -> str:
    """A call that a test holds, and work before and after it."""
    return dsl.app(
        dsl.start(dsl.text("name")),
        dsl.template("before", "hello {{name}}", name=["start", "name"]),
        dsl.call("held", f"{server.url}/gate/{gate}"),
        dsl.template("after", "{{x}} from {{y}}", x=["before", "output"], y=["held", "body"]),
        dsl.end(told=["after", "output"]),
    )


def test_a_run_pauses_after_the_node_in_flight_and_goes_on_in_place(
    runner: Runner, server: Server
) -> None:
    runner.take(three_calls(server, "in-place"))
    run = runner.begin({"name": "world"})
    runner.at(run, "held")
    assert runner.pause(run).json()["status"] == "pausing"
    server.open("in-place")
    paused = runner.paused(run)
    assert (paused["holder"], paused["inFlight"]) == (HOLDER, [])
    assert runner.resume(id=run).status_code == 202
    assert runner.ended(run)["outputs"] == {"told": "hello world from in-place"}
    assert server.calls["/gate/in-place"] == 1


def test_an_envelope_of_a_killed_process_ends_in_another_one_as_if_undisturbed(
    begin: Any, server: Server
) -> None:
    text = three_calls(server, "moved")
    with begin(name="first") as first:
        first.take(text)
        run = first.begin({"name": "world"})
        first.at(run, "held")
        first.pause(run)
        server.open("moved")
        first.paused(run)
        envelope = first.envelope(run)
        first.kill()
    with begin(name="second") as second:
        refused = second.resume(envelope=envelope)
        assert (refused.status_code, refused.json()["code"]) == (409, "revisionMismatch")
        second.validate(text)
        assert second.resume(envelope=envelope).status_code == 202
        assert second.ended(run)["outputs"] == {"told": "hello world from moved"}
        again = second.resume(envelope=envelope)
        assert (again.status_code, again.json()["state"]) == (200, "succeeded")
    assert server.calls["/gate/moved"] == 1


def test_pausing_all_closes_intake_in_one_step_and_others_stay_out(
    runner: Runner, server: Server
) -> None:
    runner.take(three_calls(server, "all"))
    runs = sorted(runner.begin({"name": str(n)}) for n in range(5))
    runner.pause(runs[0], "somebody-else")
    told = runner.pause_all(closeIntake=True)
    assert (told["requested"], told["others"]) == (runs[1:], runs[:1])
    refused = runner.data.post("/v1/workflows/run", json={"inputs": {"name": "late"}})
    assert (refused.status_code, refused.json()["code"]) == (503, "draining")
    assert refused.headers["retry-after"]
    server.open("all")
    for run in runs:
        runner.paused(run)
    assert runner.resume(id=runs[0]).json()["code"] == "heldByOther"
    for run in runs[1:]:
        assert runner.resume(id=run).status_code == 202
    assert {runner.ended(run)["status"] for run in runs[1:]} == {"succeeded"}
    assert runner.get(runs[0])["status"] == "paused"
    assert runner.intake("Open")["state"] == "Open"
    assert runner.run(name="later")["status"] == "succeeded"


def test_a_run_that_is_resumed_before_it_stands_goes_on_by_itself(
    runner: Runner, server: Server
) -> None:
    runner.take(three_calls(server, "early"))
    run = runner.begin({"name": "x"})
    runner.at(run, "held")
    runner.pause(run)
    assert runner.resume(id=run).json()["state"] == "pausing"
    server.open("early")
    assert runner.ended(run)["outputs"] == {"told": "hello x from early"}


@pytest.mark.parametrize("change", ["state", "holder"])
def test_an_envelope_that_was_changed_on_its_way_is_rejected(
    runner: Runner, server: Server, change: str
) -> None:
    runner.take(three_calls(server, "changed"))
    run = runner.begin({"name": "x"})
    runner.pause(run)
    server.open("changed")
    eventually("a stand", lambda: runner.get(run)["status"] == "paused")
    envelope = runner.envelope(run)
    refused = runner.resume(envelope={**envelope, change: f"{envelope[change]} "})
    assert (refused.status_code, refused.json()["code"]) == (422, "stateRejected")
    assert runner.resume(envelope=envelope).status_code == 202
    assert envelope["contentDigest"] == digest(three_calls(server, "changed"))
    assert runner.ended(run)["status"] == "succeeded"
