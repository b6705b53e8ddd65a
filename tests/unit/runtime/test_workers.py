"""Workers: what follows a pass, good or bad."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from belay.core.keys import Key
from belay.runtime.queue import WorkQueue
from belay.runtime.workers import CONFLICTS_AT_ONCE, Workers
from belay.shell.errors import Conflict, Unavailable

KEY = Key("default", "triage")


class Script:
    """Answers of consecutive passes; the last one stays."""

    def __init__(self, *answers: float | Exception | None) -> None:
        self.answers = list(answers)
        self.passes = 0
        self.over = asyncio.Event()

    async def __call__(self, key: Key) -> float | None:
        self.passes += 1
        answer = self.answers.pop(0)
        if not self.answers:
            self.over.set()
            self.answers.append(None)
        if isinstance(answer, Exception):
            raise answer
        return answer


@asynccontextmanager
async def working(
    queue: WorkQueue, reconcile: Callable[[Key], Awaitable[float | None]], count: int = 2
) -> AsyncIterator[None]:
    task = asyncio.create_task(Workers(queue, reconcile, count).run())
    try:
        yield
    finally:
        queue.shut_down()
        await task


async def test_the_next_look_is_when_the_pass_says() -> None:
    queue, script = WorkQueue(), Script(0.001, 0.001, None)
    async with working(queue, script):
        queue.add(KEY)
        await asyncio.wait_for(script.over.wait(), 5)
    assert script.passes == 3


async def test_unavailable_is_tried_again_not_before_the_server_said() -> None:
    queue = WorkQueue()
    script = Script(Unavailable(429, "TooManyRequests", "slow down", retry_after=0.05), None)
    began = asyncio.get_running_loop().time()
    async with working(queue, script):
        queue.add(KEY)
        await asyncio.wait_for(script.over.wait(), 5)
    assert asyncio.get_running_loop().time() - began >= 0.05
    assert queue.failures(KEY) == 0


async def test_conflicts_are_looked_at_again_at_once_but_not_for_ever() -> None:
    queue = WorkQueue(jitter=lambda: 1.0)
    answers = [Conflict(409, "Conflict", "changed") for _ in range(CONFLICTS_AT_ONCE + 1)]
    seen: list[int] = []
    script = Script(*answers, None)

    async def reconcile(key: Key) -> float | None:
        seen.append(queue.failures(key))
        return await script(key)

    async with working(queue, reconcile):
        queue.add(KEY)
        await asyncio.wait_for(script.over.wait(), 5)
    assert seen == [0] * (CONFLICTS_AT_ONCE + 1) + [1]


async def test_a_bug_is_told_once_with_its_traceback_and_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    queue = WorkQueue()
    script = Script(KeyError("x"), KeyError("x"), KeyError("x"), None)
    with caplog.at_level(logging.INFO):
        async with working(queue, script):
            queue.add(KEY)
            await asyncio.wait_for(script.over.wait(), 5)
    told = [record for record in caplog.records if record.exc_info]
    assert len(told) == 1
    assert told[0].__dict__["workflow"] == "default/triage"


async def test_workers_finish_what_they_began_when_the_queue_shuts_down() -> None:
    queue, began, go_on, finished = WorkQueue(), asyncio.Event(), asyncio.Event(), []

    async def reconcile(key: Key) -> None:
        began.set()
        await go_on.wait()
        finished.append(key)

    workers = asyncio.create_task(Workers(queue, reconcile, 4).run())
    queue.add(KEY)
    await began.wait()
    queue.shut_down()
    go_on.set()
    await asyncio.wait_for(workers, 5)
    assert finished == [KEY]


async def test_other_workflows_go_on_while_one_pass_takes_long() -> None:
    queue, other_done, hang = WorkQueue(), asyncio.Event(), asyncio.Event()

    async def reconcile(key: Key) -> None:
        if key == KEY:
            await hang.wait()
        else:
            other_done.set()

    async with working(queue, reconcile):
        queue.add(KEY)
        queue.add(Key("default", "other"))
        await asyncio.wait_for(other_done.wait(), 5)
        hang.set()
