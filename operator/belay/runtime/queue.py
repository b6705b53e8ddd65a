"""The work queue: which Workflow is looked at next.

Semantics of client-go's workqueue (util/workqueue): a key that waits is there once, a key that is
being worked on is never handed out again until `done`, and back-off is for failures only.
"""

import asyncio
import heapq
import itertools
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from belay.core.keys import Key

Clock = Callable[[], float]
"""Seconds of a monotonic clock."""

FIRST_RETRY: Final = 0.005
LONGEST_RETRY: Final = 30.0


class Priority(IntEnum):
    """Who goes first; the lower number."""

    REVERT = 0
    MOVING = 1
    NEW = 2
    RESYNC = 3


class QueueShutDown(Exception):
    """No more keys are handed out."""


@dataclass(slots=True)
class _Entry:
    """A key that waits for a worker; `turn` tells its live heap entry from overtaken ones."""

    priority: Priority
    turn: int
    since: float


@dataclass(frozen=True, slots=True)
class _WakeUp:
    """When a sleeping key is to be added, and how."""

    at: float
    priority: Priority


class WorkQueue:
    """Keys to work on. Bound to one event loop; from elsewhere use `loop.call_soon_threadsafe`."""

    def __init__(
        self, clock: Clock = time.monotonic, jitter: Callable[[], float] = random.random
    ) -> None:
        """`jitter` gives numbers from 0 to 1: retries wait half to all of their back-off."""
        self._clock = clock
        self._jitter = jitter
        self._turns = itertools.count()
        self._ready: list[tuple[int, int, Key]] = []
        self._waiting: dict[Key, _Entry] = {}
        self._processing: set[Key] = set()
        self._again: dict[Key, tuple[Priority, float]] = {}
        self._alarms: list[tuple[float, int, Key]] = []
        self._asleep: dict[Key, _WakeUp] = {}
        self._failures: dict[Key, int] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = float("inf")
        self._last_apart = float("-inf")
        self._shut_down = False

    @property
    def depth(self) -> int:
        """Keys that wait for a worker; those asleep are not among them."""
        self._wake_sleepers()
        return len(self._waiting) + len(self._again)

    @property
    def oldest_seconds(self) -> float:
        """How long the key that waits longest has waited for a worker."""
        self._wake_sleepers()
        since = [entry.since for entry in self._waiting.values()]
        since += [at for _, at in self._again.values()]
        return self._clock() - min(since) if since else 0.0

    @property
    def pressed(self) -> bool:
        """Whether a key waits for a worker that may not wait."""
        while self._ready and self._is_overtaken(*self._ready[0][1:]):
            heapq.heappop(self._ready)
        return bool(self._ready) and self._ready[0][0] < Priority.RESYNC

    def add(self, key: Key, priority: Priority = Priority.NEW) -> None:
        """Have the key worked on soon; a better priority than before raises it."""
        if not self._shut_down:
            self._add(key, priority, self._clock())

    def add_after(self, key: Key, seconds: float, priority: Priority = Priority.MOVING) -> None:
        """Add the key later; of several wake-ups the earliest counts."""
        if self._shut_down:
            return
        if seconds <= 0:
            self.add(key, priority)
            return
        at = self._clock() + seconds
        asleep = self._asleep.get(key)
        if asleep is not None:
            priority = min(priority, asleep.priority)
        if asleep is not None and asleep.at <= at:
            self._asleep[key] = _WakeUp(asleep.at, priority)
            return
        self._asleep[key] = _WakeUp(at, priority)
        heapq.heappush(self._alarms, (at, next(self._turns), key))
        self._set_timer()

    def add_apart(self, key: Key, seconds: float, priority: Priority = Priority.RESYNC) -> None:
        """Add the key, so many seconds after the one that was last added like this."""
        now = self._clock()
        self._last_apart = max(now, self._last_apart + seconds)
        self.add_after(key, self._last_apart - now, priority)

    def retry(
        self, key: Key, *, at_least: float = 0.0, priority: Priority = Priority.MOVING
    ) -> float:
        """Add the key after a failure, later each time; gives the seconds until then."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        back_off = min(LONGEST_RETRY, FIRST_RETRY * (1 << min(count, 30)))
        seconds = max(at_least, back_off * (1 + self._jitter()) / 2)
        self.add_after(key, seconds, priority)
        return seconds

    def failures(self, key: Key) -> int:
        """Failures in a row."""
        return self._failures.get(key, 0)

    def forget(self, key: Key) -> None:
        """Forget the failures of a key: it went well, or it is gone."""
        self._failures.pop(key, None)

    def take(self) -> Key | None:
        """The next key, or None where nothing is due. Whoever took it says `done`."""
        self._wake_sleepers()
        while self._ready and not self._shut_down:
            _, turn, key = heapq.heappop(self._ready)
            if not self._is_overtaken(turn, key):
                del self._waiting[key]
                self._processing.add(key)
                return key
        return None

    async def get(self) -> Key:
        """The next key, as soon as there is one. Raises `QueueShutDown`."""
        while True:
            if self._shut_down:
                raise QueueShutDown
            key = self.take()
            if key is not None:
                return key
            await self._something()

    def done(self, key: Key) -> None:
        """The key may be handed out again; at once, if it was added meanwhile."""
        self._processing.discard(key)
        again = self._again.pop(key, None)
        if again is not None and not self._shut_down:
            self._add(key, *again)

    def shut_down(self) -> None:
        """Hand out nothing more, take nothing more."""
        self._shut_down = True
        if self._timer is not None:
            self._timer.cancel()
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)

    def _add(self, key: Key, priority: Priority, since: float) -> None:
        if key in self._processing:
            before, at = self._again.get(key, (priority, since))
            self._again[key] = (min(before, priority), at)
            return
        entry = self._waiting.get(key)
        if entry is not None and entry.priority <= priority:
            return
        since = entry.since if entry is not None else since
        self._waiting[key] = _Entry(priority, next(self._turns), since)
        heapq.heappush(self._ready, (priority, self._waiting[key].turn, key))
        self._wake_getter()

    def _is_overtaken(self, turn: int, key: Key) -> bool:
        """Whether the key has gone, or waits with another priority by now."""
        entry = self._waiting.get(key)
        return entry is None or entry.turn != turn

    def _wake_sleepers(self) -> None:
        now = self._clock()
        while self._alarms and self._alarms[0][0] <= now:
            at, _, key = heapq.heappop(self._alarms)
            asleep = self._asleep.get(key)
            if asleep is not None and asleep.at == at:
                del self._asleep[key]
                self._add(key, asleep.priority, at)

    def _set_timer(self) -> None:
        """Have the event loop wake a worker when the next sleeper is due."""
        if not self._getters or not self._alarms or self._alarms[0][0] >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = self._alarms[0][0]
        delay = max(0.0, self._timer_at - self._clock())
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def _ring(self) -> None:
        self._timer, self._timer_at = None, float("inf")
        self._wake_sleepers()
        self._set_timer()

    async def _something(self) -> None:
        getter = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        self._set_timer()
        try:
            await getter
        except asyncio.CancelledError:
            if getter.done() and not getter.cancelled():
                self._wake_getter()
            raise
        finally:
            if getter in self._getters:
                self._getters.remove(getter)

    def _wake_getter(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
