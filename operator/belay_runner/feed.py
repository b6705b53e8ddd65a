"""What a run tells while it goes on, for one reader at a pace of its own."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from belay_runner.progress import Progress

MOST: Final = 256
"""Events that wait for a slow reader. Later ones are left out; that the run stands never is."""


class Feed:
    """Made by the reader, in its loop. Whoever carries the run puts events in, in any thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Progress] = deque()
        self._news = asyncio.Event()
        self._over = False

    def put(self, event: Progress) -> None:
        self._tell(event)

    def close(self) -> None:
        """Nothing more will come."""
        self._tell(None)

    async def next(self) -> Progress | None:
        """What happened next; None when nothing more will."""
        while not self._waiting:
            if self._over:
                return None
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def _tell(self, event: Progress | None) -> None:
        with suppress(RuntimeError):  # the loop has ended, and with it the reader
            self._loop.call_soon_threadsafe(self._take, event)

    def _take(self, event: Progress | None) -> None:
        if event is None:
            self._over = True
        elif len(self._waiting) < MOST:
            self._waiting.append(event)
        self._news.set()
