"""Workers: take keys from the queue and reconcile them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from belay.core.keys import Key
from belay.runtime.queue import Priority, QueueShutDown, WorkQueue
from belay.shell.errors import ApiError, Conflict, Unavailable

log = logging.getLogger(__name__)

Reconcile = Callable[[Key], Awaitable[float | None]]
"""One pass; gives the seconds until the next look, or None where an event will call for it."""

CONFLICTS_AT_ONCE: Final = 5


class Workers:
    """A fixed number of workers; no key is ever worked on by two of them at once."""

    def __init__(self, queue: WorkQueue, reconcile: Reconcile, count: int) -> None:
        self._queue = queue
        self._reconcile = reconcile
        self._count = count
        self._conflicts: dict[Key, int] = {}
        self._last_words: dict[Key, str] = {}

    async def run(self) -> None:
        """Work until the queue is shut down, and finish what was begun."""
        async with asyncio.TaskGroup() as workers:
            for number in range(self._count):
                workers.create_task(self._work(), name=f"worker-{number}")

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueShutDown:
                return
            try:
                await self._pass(key)
            finally:
                self._queue.done(key)

    async def _pass(self, key: Key) -> None:
        try:
            seconds = await self._reconcile(key)
        except Conflict as error:
            self._conflict(key, error)
        except Unavailable as error:
            self._failed(key, str(error), at_least=error.retry_after)
        except ApiError as error:
            self._failed(key, str(error))
        except Exception as error:  # noqa: BLE001
            self._failed(key, f"{type(error).__name__}: {error}", trace=error)
        else:
            self._forget(key)
            if seconds is not None:
                self._queue.add_after(key, seconds)

    def _conflict(self, key: Key, error: Conflict) -> None:
        """Somebody else wrote in between: look again at once, but not for ever."""
        count = self._conflicts[key] = self._conflicts.get(key, 0) + 1
        if count > CONFLICTS_AT_ONCE:
            self._failed(key, str(error))
        else:
            self._queue.add(key, Priority.MOVING)

    def _failed(
        self, key: Key, words: str, *, at_least: float = 0.0, trace: Exception | None = None
    ) -> None:
        seconds = self._queue.retry(key, at_least=at_least)
        if self._last_words.get(key) == words:
            return
        self._last_words[key] = words
        level = logging.WARNING if trace is None else logging.ERROR
        text = "the pass failed, next try in %.3f s: %s"
        log.log(level, text, seconds, words, exc_info=trace, extra={"workflow": str(key)})

    def _forget(self, key: Key) -> None:
        self._queue.forget(key)
        self._conflicts.pop(key, None)
        self._last_words.pop(key, None)
