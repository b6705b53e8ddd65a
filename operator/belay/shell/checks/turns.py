"""Whose request goes next: a cap on requests in flight that no Workflow can use up."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

IN_ALL: Final = 256
"""Requests in flight that all Workflows share."""
FOR_ONE: Final = 16
"""Requests in flight of one Workflow, at most."""


class Turns:
    """One Workflow's lane to the network; all lanes together are `lanes`.

    A lane's share shrinks as lanes are added, but never below one request. So a Workflow waits for
    its own requests only, however long another's pods hang, and max(256, Workflows) are in flight
    at most.
    """

    def __init__(self, lanes: set["Turns"]) -> None:
        self._lanes = lanes
        self._busy = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        lanes.add(self)

    def close(self) -> None:
        """Leave the room to the others; requests that wait or run end in their own time."""
        self._lanes.discard(self)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn in the order of asking, and hold it."""
        if self._busy < self._share() and not self._waiting:
            self._busy += 1
        else:
            await self._wait()
        try:
            yield
        finally:
            self._busy -= 1
            self._hand_on()

    def _share(self) -> int:
        return max(1, min(FOR_ONE, IN_ALL // max(1, len(self._lanes))))

    async def _wait(self) -> None:
        mine = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        try:
            await mine
        except asyncio.CancelledError:
            if not mine.cancelled():
                self._busy -= 1
                self._hand_on()
            raise

    def _hand_on(self) -> None:
        while self._waiting and self._busy < self._share():
            following = self._waiting.popleft()
            if not following.done():
                following.set_result(None)
                self._busy += 1
