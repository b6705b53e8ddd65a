"""Lets go of what nothing holds any more, such as what was paused for a deleted Workflow."""

import asyncio
import contextlib
import logging
import random

from belay.runtime.config import Config
from belay.runtime.stream import Complaints
from belay.shell import orphans
from belay.shell.checks.egress import Guard
from belay.shell.cluster import Cluster
from belay.shell.engine.engines import Engines, open_engines
from belay.shell.errors import ApiError

log = logging.getLogger(__name__)


class Sweeper:
    """Looks when a process begins to lead, when a Workflow is deleted, and with each list.

    While no Workflow names instances and nothing of ours is paused, it rests.
    """

    def __init__(self, cluster: Cluster, config: Config, guard: Guard) -> None:
        self._cluster = cluster
        self._config = config
        self._guard = guard
        self._kinds = orphans.Kinds(config.instance_kinds, config.target_kinds)
        self._complain = Complaints(log)
        self._due = True
        self._woken = asyncio.Event()

    def needed(self) -> None:
        """A Workflow names instances."""
        self._due = True

    def wake(self) -> None:
        """A Workflow was deleted."""
        self._woken.set()

    async def run(self) -> None:
        """Until cancelled."""
        engines = open_engines(self._cluster, self._guard, self._config.backups)
        try:
            woken = False
            while True:
                if self._due:
                    self._due = False
                    left = await self._look(engines)
                    # A turn that was under way when its Workflow went may pause something yet.
                    if left or woken:
                        self._due = True
                woken = await self._sleep()
        finally:
            await engines.close()

    async def _sleep(self) -> bool:
        """Until the next look is due; whether it was cut short."""
        period = self._config.resync.period * random.uniform(0.9, 1.1)  # noqa: S311
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._woken.wait(), period)
        woken = self._woken.is_set()
        self._woken.clear()
        return woken

    async def _look(self, engines: Engines) -> bool:
        """Whether to look again."""
        try:
            found = await orphans.marked(self._cluster, self._kinds, self._config.scopes)
            free = await orphans.orphans(self._cluster, found.found)
            released = await orphans.release(self._cluster, engines, free)
        except ApiError as error:
            self._complain(f"what is paused cannot be looked for: {error}")
            return True
        for told in released.done[:10]:
            log.warning("let go, as no rollout holds it any more: %s", told)
        if len(released.done) > 10:
            log.warning("let go %d more", len(released.done) - 10)
        for told in released.refused[:3]:
            self._complain(told)
        for problem in found.problems[:3]:
            self._complain(f"what is paused cannot be looked for: {problem}")
        return bool(found.found)
