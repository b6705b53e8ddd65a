"""The port for callers, in the shape of Dify's API."""

import contextlib
import http.client
import select
import threading
from collections.abc import Callable
from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.conftest import held_at
from tests.runner.process import Runner
from tests.runner.server import Server

ECHO = dsl.app(dsl.start(dsl.text("x")), dsl.end(told=["start", "x"]))


def test_a_blocking_run_answers_as_dify_does(runner: Runner) -> None:
    runner.take(ECHO)
    body = {"inputs": {"x": "hi"}, "user": "u", "response_mode": "blocking"}
    told = runner.data.post("/v1/workflows/run", json=body).json()
    data = told["data"]
    assert told["workflow_run_id"] == told["task_id"] == data["id"]
    assert (data["status"], data["outputs"], data["error"]) == ("succeeded", {"told": "hi"}, None)
    assert data["total_steps"] == 2
    assert data["elapsed_time"] > 0
    assert runner.result(data["id"]) == data


@pytest.mark.full  # takes as long as Belay keeps a connection that it does not use
def test_an_idle_connection_stays_open(runner: Runner) -> None:
    """Else a request that is sent at that moment gets no answer."""
    caller = http.client.HTTPConnection("127.0.0.1", runner.port)
    with contextlib.closing(caller):
        caller.request("GET", "/v1/workflows/run/none")
        caller.getresponse().read()
        ended, _, _ = select.select([caller.sock], [], [], 16)
        assert not ended


def test_a_run_id_makes_a_start_repeatable(
    runner: Runner, server: Server, held: Callable[[str], str]
) -> None:
    runner.take(held_at(server, "repeat"))
    ids = {runner.begin(run_id="order-17") for _ in range(3)}
    assert ids == {"order-17"}
    server.open("repeat")
    assert runner.ended("order-17")["status"] == "succeeded"
    assert runner.begin(run_id="order-17") == "order-17"
    assert server.calls["/gate/repeat"] == 1


def test_a_caller_waits_over_a_pause(runner: Runner, server: Server) -> None:
    runner.take(held_at(server, "patient"))
    answers: list[dict[str, Any]] = []
    body = {"inputs": {}, "run_id": "patient"}
    caller = threading.Thread(
        target=lambda: answers.append(runner.data.post("/v1/workflows/run", json=body).json())
    )
    caller.start()
    while not server.calls["/gate/patient"]:
        pass
    runner.pause("patient")
    server.open("patient")
    runner.paused("patient")
    assert not answers
    runner.resume(id="patient")
    caller.join()
    assert answers[0]["data"]["outputs"] == {"told": "patient"}


def test_a_run_is_stopped(runner: Runner, held: Callable[[str], str]) -> None:
    run = held("stopped")
    stop = runner.data.post(f"/v1/workflows/tasks/{run}/stop", json={"user": "ada"})
    assert stop.json() == {"result": "success"}
    assert runner.ended(run)["status"] == "stopped"


def test_more_runs_than_may_be_are_sent_away_with_a_time(begin: Any, server: Server) -> None:
    with begin("--max-runs", "2") as own:
        own.take(held_at(server, "full"))
        runs = [own.begin() for _ in range(2)]
        for run in runs:
            own.at(run, "held")
        refused = own.data.post("/v1/workflows/run", json={"inputs": {}})
        assert (refused.status_code, refused.json()["code"]) == (429, "full")
        assert refused.headers["retry-after"]
        own.pause(runs[0])
        server.open("full")
        own.paused(runs[0])
        assert own.run()["status"] == "succeeded", "a paused run takes no room"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"inputs": {"x": "1"}, "response_mode": "batch"}, 400),
        ({"inputs": {"x": "1"}, "run_id": "../etc"}, 400),
        ({"inputs": "x"}, 400),
        ({}, 400),
    ],
)
def test_what_is_not_supported_is_refused(
    runner: Runner, body: dict[str, Any], status: int
) -> None:
    runner.take(ECHO)
    assert runner.data.post("/v1/workflows/run", json=body).status_code == status


def test_without_a_revision_nothing_is_served(begin: Any) -> None:
    with begin() as own:
        assert own.admin.get("/readyz").status_code == 503
        refused = own.data.post("/v1/workflows/run", json={"inputs": {}})
        assert (refused.status_code, refused.json()["code"]) == (503, "noActiveRevision")
        assert own.data.get("/v1/nothing").json()["code"] == "notFound"
