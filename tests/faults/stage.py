"""Where the moments of a schedule meet a real run: between the operator's calls, or at one."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from signal import SIGKILL
from typing import Final

from tests.faults.moments import Moment
from tests.faults.plans import Fault
from tests.faults.proxy import STATUS

_FAULTS: Final = {
    "crash": Fault.KILL_BEFORE,
    "conflict": Fault.CONFLICT,
    "unanswered": Fault.UNANSWERED,
    "denied": Fault.FORBIDDEN,
    "stale read": Fault.STALE,
}
_EVENTS: Final = {"lost wake-up": Fault.DROPPED, "repeated wake-up": Fault.REPEATED}
_NEED_THEIR_CALL: Final = frozenset({"conflict", "denied"})
_NEED_A_CALL: Final = frozenset({*_NEED_THEIR_CALL, "unanswered", "stale read"})


class Stage:
    """One run's. Its moments come one after another, each as soon as it can."""

    def __init__(
        self,
        moments: tuple[Moment, ...],
        act: Callable[[str], Awaitable[object]],
        kill: Callable[[int], None],
    ) -> None:
        self.came: list[Moment] = []
        self._left = deque(moments)
        self._act, self._kill = act, kill
        self._statuses = 0
        self._busy = asyncio.Lock()
        self._news = asyncio.Event()

    async def meets(self, what: str, *, writes: bool) -> Fault | None:
        """What a call meets; what people do right before it is done when this returns."""
        async with self._busy:
            while self._left and self._is_hit(self._left[0], what, writes=writes):
                moment = self._next()
                if moment.what in _FAULTS:
                    return _FAULTS[moment.what]
                await self._act(moment.what)
        return None

    def event(self) -> Fault | None:
        """What an event of a watch meets."""
        if not self._left or self._left[0].what not in _EVENTS or not self._is_due(self._left[0]):
            return None
        return _EVENTS[self._next().what]

    async def heard(self, what: str, _: bytes) -> None:
        """Told of each write that was accepted."""
        self._statuses += what == STATUS
        self._news.set()

    async def run(self) -> None:
        """Do what comes between calls, until all moments have come."""
        while self._left:
            moment = self._left[0]
            if self._is_due(moment) and not moment.call and self._acts(moment):
                await self._do(moment)
            else:
                self._news.clear()
                await self._news.wait()

    async def at_rest(self) -> bool:
        """Nothing moves any more: what waits for a call in vain is left out, the next act is done.

        False where nothing is left.
        """
        while self._left:
            moment = self._left[0]
            if self._acts(moment):
                await self._do(moment)
                return True
            self._left.popleft()
        return False

    async def _do(self, moment: Moment) -> None:
        async with self._busy:
            if not self._left or self._left[0] is not moment:
                return
            self._next()
            if moment.what == "crash":
                self._kill(SIGKILL)
            else:
                await self._act(moment.what)

    def _next(self) -> Moment:
        self._news.set()
        self.came.append(self._left.popleft())
        return self.came[-1]

    def _is_due(self, moment: Moment) -> bool:
        return self._statuses >= moment.statuses

    def _acts(self, moment: Moment) -> bool:
        return moment.what not in _NEED_A_CALL and moment.what not in _EVENTS

    def _is_hit(self, moment: Moment, what: str, *, writes: bool) -> bool:
        if moment.what in _EVENTS or not self._is_due(moment):
            return False
        if moment.what == "stale read":
            return what == "GET deployments"
        if not writes or (not moment.call and self._acts(moment)):
            return False
        kind = what.partition(" ")[2]
        there = not moment.call or kind in (moment.call, f"cron{moment.call}")
        late = self._statuses > moment.statuses and moment.what not in _NEED_THEIR_CALL
        return there or late
