"""The periodic list: repairs what events lost, and tells when the event source is dead."""

import asyncio
import logging
import random
import time
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from belay.core.keys import Key
from belay.runtime.deliveries import Deliveries
from belay.runtime.queue import Clock, Priority, WorkQueue
from belay.runtime.stream import COMPLAIN_EVERY, BackOff, Complaints, key_of
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Gone, NotFound, Unavailable
from belay.shell.resources import WORKFLOWS

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ResyncSettings:
    """How often, and how patient. Seconds."""

    period: float = 60.0
    patience: float = 15.0
    """How long an event may be late before the source counts as dead."""
    per_second: float = 2.0
    """Visits of Workflows at rest: up to period x per_second of them are seen in each round,
    the others in the following rounds, so that 10,000 cost no more than 120. One a second takes
    half a per cent of a core."""


class SourceDead(Exception):
    """The event source does not deliver what is there."""


class Resync:
    """Lists the metadata of all Workflows again and again."""

    def __init__(
        self,
        cluster: Cluster,
        queue: WorkQueue,
        deliveries: Deliveries,
        namespaces: Sequence[str | None],
        settings: ResyncSettings,
        clock: Clock = time.monotonic,
    ) -> None:
        """`namespaces` is (None,) for all of them."""
        self._cluster = cluster
        self._queue = queue
        self._deliveries = deliveries
        self._namespaces = namespaces
        self._settings = settings
        self._clock = clock
        self._cursor = Key("", "")
        self._complain = Complaints(log)
        self._agreed_at = clock()
        self.trouble = "Workflows have not been listed yet"
        """Why it is not ready; empty when the first list was complete."""

    @property
    def watch_age(self) -> float:
        """Seconds since the events and a list agreed."""
        return self._clock() - self._agreed_at

    async def run(self, on_first_list: Callable[[], None] = lambda: None) -> None:
        """Until cancelled. Raises `SourceDead`, once the source is known to be dead.

        After the first list the source starts and tells of everything: no need to do it here.
        """
        listed, at = await self._list_when_possible()
        on_first_list()
        await self._judge(self._deliveries.compare(listed, at).behind)
        while True:
            rest = self._settings.period * random.uniform(0.9, 1.1)  # noqa: S311
            await asyncio.sleep(rest)
            listed, at = await self._list_when_possible()
            await self._round(listed, at)

    async def _round(self, listed: Mapping[Key, int], at: int) -> None:
        comparison = self._deliveries.compare(listed, at)
        for key in (*comparison.behind, *comparison.gone):
            self._queue.add(key, Priority.RESYNC)
        self._visit(sorted(listed))
        await self._judge(comparison.behind)

    async def _judge(self, behind: Mapping[Key, int]) -> None:
        """Being behind is fine as long as it shrinks: a long first list takes its time."""
        left = self._deliveries.still_behind(behind)
        while left:
            await asyncio.sleep(self._settings.patience)
            before, left = left, self._deliveries.still_behind(left)
            if len(left) == len(before):
                names = ", ".join(str(key) for key in sorted(left)[:3])
                late = f"{len(left)} Workflows changed {self._settings.patience:g} s ago or earlier"
                raise SourceDead(f"{late} and no event told of it, such as {names}")
        self._agreed_at = self._clock()

    def _visit(self, keys: Sequence[Key]) -> None:
        """Have the next Workflows in turn looked at, spread over the period."""
        most = max(1, int(self._settings.period * self._settings.per_second))
        first = bisect_right(keys, self._cursor)
        turn = [*keys[first:], *keys[:first]][:most]
        for place, key in enumerate(turn):
            delay = self._settings.period * place / len(turn)
            self._queue.add_after(key, delay, Priority.RESYNC)
        if turn:
            self._cursor = turn[-1]

    async def _list_when_possible(self) -> tuple[dict[Key, int], int]:
        back_off = BackOff()
        while True:
            try:
                listed = await self._list()
            except (NotFound, Gone, Unavailable) as error:
                self.trouble = f"Workflows cannot be listed: {error}"
                wait = error.retry_after if isinstance(error, Unavailable) else 0.0
            except ApiError as error:
                self.trouble = f"Workflows cannot be listed: {error}"
                wait = COMPLAIN_EVERY
            else:
                self.trouble = ""
                return listed
            self._complain(self.trouble)
            await back_off.pause(wait)

    async def _list(self) -> tuple[dict[Key, int], int]:
        """Versions of all Workflows, and that of the list; the oldest, of several."""
        listed: dict[Key, int] = {}
        ats = []
        for namespace in self._namespaces:
            at = 0
            async for page, version in self._cluster.metadata_pages(WORKFLOWS, namespace):
                at = int(version)
                for item in page:
                    metadata = item["metadata"]
                    listed[key_of(metadata)] = int(metadata["resourceVersion"])
            ats.append(at)
        return listed, min(ats)
