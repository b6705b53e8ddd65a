"""A run as a stream of events, in the shapes of Dify's API: what a caller sees who reads along.

Nodes are told without what goes into them and comes out of them, as Dify tells them to users of an
app: these may hold what a definition keeps to itself. Texts come whole, with the end of the run.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from belay_runner.feed import Feed
from belay_runner.progress import NodeBegan, NodeEnded, Progress, State
from belay_runner.run import Run

PING_SECONDS: Final = 10.0
"""As Dify does, so that what lies between does not take a quiet stream for a dead one."""
_STUCK_SECONDS: Final = 60.0
"""A reader who takes nothing for so long is let go. The run goes on."""
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


def data(run: Run) -> dict[str, Any]:
    """The run in Dify's words, as it is now."""
    seconds = ((run.ended or run.started) - run.started).total_seconds()
    return {
        "id": run.id,
        "workflow_id": run.content_digest,
        "status": run.state.value,
        "outputs": dict(run.outputs),
        "error": run.error,
        "elapsed_time": seconds,
        "total_steps": run.nodes_done,
        "total_tokens": run.tokens,
        "created_at": int(run.started.timestamp()),
        "finished_at": int(run.ended.timestamp()) if run.ended else None,
    }


class Stream(StreamingResponse):
    """The events of a run to their end, which is its own or that of its process."""

    media_type = "text/event-stream"

    def __init__(self, run: Run, feed: Feed, inputs: Mapping[str, Any]) -> None:
        self._run, self._feed = run, feed
        super().__init__(_events(run, feed, inputs), headers=_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def patient(message: Message) -> None:
            async with asyncio.timeout(_STUCK_SECONDS):
                await send(message)

        try:
            await super().__call__(scope, receive, patient)
        finally:
            self._run.feeds.remove(self._feed)


async def _events(run: Run, feed: Feed, inputs: Mapping[str, Any]) -> AsyncIterator[str]:
    run.settled.add_done_callback(lambda _: feed.close())
    begun = {"id": run.id, "workflow_id": run.content_digest, "inputs": dict(inputs)}
    yield _frame(run, "workflow_started", {**begun, "created_at": data(run)["created_at"]})
    nodes, going_on = _Nodes(), True
    while going_on:
        try:
            event = await asyncio.wait_for(feed.next(), PING_SECONDS)
        except TimeoutError:
            yield "event: ping\n\n"
            continue
        going_on = event is not None
        if event is not None:
            yield _frame(run, *nodes.told(event))
    paused = run.state is State.PAUSED
    yield _frame(run, "workflow_paused" if paused else "workflow_finished", data(run))


class _Nodes:
    """Nodes in the order in which they begin, each with what both of its events say of it."""

    def __init__(self) -> None:
        self._seen = 0
        self._at_work: dict[str, dict[str, Any]] = {}

    def told(self, event: Progress) -> tuple[str, dict[str, Any]]:
        """(name, data) of an event."""
        assert isinstance(event, NodeBegan | NodeEnded)  # noqa: S101 - a feed holds nothing else
        if isinstance(event, NodeBegan):
            about = self._at_work[event.key] = self._about(event, event.title)
            return "node_started", about
        about = self._at_work.pop(event.key, {}) or self._about(event)
        return "node_finished", {
            **about,
            "process_data": None,
            "outputs": None,
            "status": "failed" if event.failed else "succeeded",
            "error": event.error,
            "elapsed_time": event.seconds,
            "execution_metadata": None,
            "finished_at": int(time.time()),
            "files": [],
        }

    def _about(self, event: NodeBegan | NodeEnded, title: str = "") -> dict[str, Any]:
        self._seen += 1
        return {
            "id": event.key,
            "node_id": event.node,
            "node_type": event.kind,
            "title": title,
            "index": self._seen,
            "predecessor_node_id": None,
            "inputs": None,
            "created_at": int(time.time()),
        }


def _frame(run: Run, event: str, about: Mapping[str, Any]) -> str:
    told = {"event": event, "task_id": run.id, "workflow_run_id": run.id, "data": about}
    return f"data: {json.dumps(told, ensure_ascii=False)}\n\n"
