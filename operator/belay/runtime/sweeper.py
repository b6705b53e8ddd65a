"""Lets go of instances that nothing holds any more, such as those of a deleted Workflow."""

import asyncio
import logging
import random
from collections.abc import Sequence

from belay.api.instance_kinds import InstanceKind
from belay.runtime.stream import Complaints
from belay.shell import orphans
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError

log = logging.getLogger(__name__)


class Sweeper:
    """Looks when a process begins to lead, and then as often as the Workflows are listed.

    While no Workflow names instances and nothing of ours is paused, it rests.
    """

    def __init__(
        self,
        cluster: Cluster,
        kinds: Sequence[InstanceKind],
        namespaces: Sequence[str | None],
        period: float,
    ) -> None:
        self._cluster = cluster
        self._kinds = kinds
        self._namespaces = namespaces
        self._period = period
        self._complain = Complaints(log)
        self._due = True

    def needed(self) -> None:
        """A Workflow names instances."""
        self._due = True

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            if self._due:
                await self._look()
            await asyncio.sleep(self._period * random.uniform(0.9, 1.1))  # noqa: S311

    async def _look(self) -> None:
        self._due = False
        try:
            found = await orphans.marked(self._cluster, self._kinds, self._namespaces)
            free = await orphans.orphans(self._cluster, found.found)
            refused = await orphans.release(self._cluster, free)
        except ApiError as error:
            self._due = True
            self._complain(f"paused instances cannot be looked for: {error}")
            return
        self._due = bool(found.found)
        for one in free[:10]:
            log.warning("let go %s: no rollout holds it any more", one.told)
        if len(free) > 10:
            log.warning("let go %d more of that kind", len(free) - 10)
        for target, refusal in refused[:3]:
            self._complain(f"{target} stays paused: {refusal.message}")
        for problem in found.problems[:3]:
            self._complain(f"paused instances cannot be looked for: {problem}")
