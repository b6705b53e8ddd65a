"""Callers who read along, in the event shapes of Dify's API."""

import asyncio
import json
import socket
from typing import Any

import pytest
from tests.runner import dsl
from tests.runner.conftest import held_at
from tests.runner.process import Runner, eventually
from tests.runner.server import Server

from belay_runner.feed import MOST, Feed
from belay_runner.progress import NodeBegan


def test_a_run_is_told_node_by_node_and_ends_as_a_blocking_one(runner: Runner) -> None:
    said = dsl.template("said", "hello {{x}}", x=["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), said, dsl.end(told=["said", "output"])))
    events = list(runner.stream({"x": "Ada"}))
    nodes = [f"node_{step} {name}" for name in ("start", "said", "end") for step in
             ("started", "finished")]  # fmt: skip
    told = [
        e["event"] + (f" {e['data']['node_id']}" if "node_id" in e["data"] else "") for e in events
    ]
    assert told == ["workflow_started", *nodes, "workflow_finished"]
    (run,) = {e["workflow_run_id"] for e in events} | {e["task_id"] for e in events}
    first, begun, done, last = events[0], events[3], events[4], events[-1]
    assert first["data"]["inputs"] == {"x": "Ada"}
    assert last["data"] == runner.result(run)
    assert last["data"]["outputs"] == {"told": "hello Ada"}
    assert isinstance(last["data"]["finished_at"], int)
    about = ("node_type", "title", "index")
    assert [begun["data"][k] for k in about] == ["template-transform", "said", 2]
    assert begun["data"]["id"] == done["data"]["id"]
    assert (done["data"]["status"], done["data"]["error"]) == ("succeeded", None)
    assert done["data"]["elapsed_time"] >= 0


def test_a_stream_goes_on_over_a_pause(runner: Runner, server: Server) -> None:
    runner.take(held_at(server, "read-along"))
    events = runner.stream({}, run_id="read-along")
    while (event := next(events)).get("data", {}).get("node_id") != "held":
        pass
    assert event["event"] == "node_started"
    runner.pause("read-along")
    server.open("read-along")
    runner.paused("read-along")
    assert runner.resume(id="read-along").status_code == 202
    rest = [e for e in events if e["event"] != "ping"]
    assert rest[0]["data"]["node_id"] == "held"
    assert rest[-1]["event"] == "workflow_finished"
    assert rest[-1]["data"]["outputs"] == {"told": "read-along"}
    ended = [e["data"]["node_id"] for e in rest if e["event"] == "node_finished"]
    assert ended == ["held", "spare", "end"], "each node is told once"


def test_a_stream_ends_with_the_word_paused_when_the_process_does(
    begin: Any, server: Server
) -> None:
    with begin("--grace", "30") as own:
        own.take(held_at(server, "ends"))
        events = own.stream({}, run_id="ends")
        next(events)
        own.at("ends", "held")
        own.tell_to_end()
        eventually("not ready", lambda: own.admin.get("/readyz").status_code == 503)
        refused = own.data.post(
            "/v1/workflows/run", json={"inputs": {}, "response_mode": "streaming"}
        )
        assert (refused.status_code, refused.json()["code"]) == (503, "draining")
        server.open("ends")
        own.paused("ends")
        assert own.envelope("ends")["runId"] == "ends"
        *_, last = events
        assert (last["event"], last["data"]["status"]) == ("workflow_paused", "paused")
        assert own.process.wait(10) == 0


def test_a_run_goes_on_without_its_reader_and_can_be_read_again(
    runner: Runner, server: Server
) -> None:
    runner.take(held_at(server, "left"))
    events = runner.stream({}, run_id="left")
    next(events)
    events.close()
    again = runner.stream({}, run_id="left")
    assert next(again)["event"] == "workflow_started"
    server.open("left")
    *_, last = again
    assert last["data"]["outputs"] == {"told": "left"}
    assert server.calls["/gate/left"] == 1
    afterwards = [e["event"] for e in runner.stream({}, run_id="left")]
    assert afterwards == ["workflow_started", "workflow_finished"]


def test_a_reader_who_takes_nothing_holds_nobody_up_and_still_learns_the_end(
    runner: Runner,
) -> None:
    """Titles of half a MiB make more events than any socket takes."""
    split = dsl.code("split", "def main():\n    return {'items': ['x'] * 40}",
                     {"items": "array[string]"})  # fmt: skip
    wide = dsl.template("wide", "{{x}}", x=["each", "item"])
    wide["data"]["title"] = "w" * 512 * 1024
    each = dsl.iteration("each", ["split", "items"], ["wide", "output"], wide)
    runner.take(dsl.app(dsl.start(), split, *each, dsl.end(told=["each", "output"])))
    body = json.dumps({"inputs": {}, "run_id": "unread", "response_mode": "streaming"}).encode()
    with socket.create_connection(("127.0.0.1", runner.port)) as reader:
        head = f"POST /v1/workflows/run HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        reader.sendall(head.encode() + body)
        eventually("the run", lambda: runner.data.get("/v1/workflows/run/unread").is_success)
        assert runner.ended("unread")["status"] == "succeeded"
        read = b""
        while not read.endswith(b"0\r\n\r\n"):
            read = read[-65536:] + reader.recv(1 << 20)
    assert b'"event": "workflow_finished"' in read


async def test_what_waits_for_a_slow_reader_is_bounded() -> None:
    feed = Feed()
    for number in range(MOST + 50):
        feed.put(NodeBegan(str(number), "n", "code"))
    feed.close()
    found = []
    while (event := await feed.next()) is not None:
        found.append(event.key)
        await asyncio.sleep(0)
    assert found == [str(number) for number in range(MOST)]
    assert await feed.next() is None


@pytest.mark.full  # a ping takes ten seconds
def test_a_quiet_stream_says_that_it_lives(runner: Runner, server: Server) -> None:
    runner.take(held_at(server, "quiet"))
    events = runner.stream({}, run_id="quiet")
    assert any(event == {"event": "ping"} for event in events)
    server.open("quiet")
    *_, last = events
    assert last["event"] == "workflow_finished"
