"""Events (events.k8s.io/v1): told off the critical path, each at most once.

A milestone's name is made of the rollout, so telling it again, after a restart too, is
AlreadyExists and harmless.
"""

import asyncio
import contextlib
import logging
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from belay.api.names import API_VERSION
from belay.core.keys import Key
from belay.core.milestones import Milestone
from belay.shell.cluster import Cluster
from belay.shell.errors import AlreadyExists, ApiError, Unavailable
from belay.shell.resources import EVENTS, Object

MOST_REMEMBERED: Final = 20_000
MOST_WAITING: Final = 5_000
TRIES: Final = 5
LAST_WORDS: Final = 2.0
"""Seconds that the end of the process waits for events."""
NOTE_LIMIT: Final = 1024
CONTROLLER: Final = "belay.dev/belay"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Told:
    """One event to be created."""

    key: Key
    uid: str
    milestone: Milestone

    @property
    def name(self) -> str:
        m = self.milestone
        return f"{self.key.name}.{self.uid[:8]}.{m.occasion}.{m.reason}".lower()


class Recorder:
    """Creates Events in the background."""

    def __init__(self, cluster: Cluster, instance: str) -> None:
        self._cluster = cluster
        self._instance = instance
        self._waiting: asyncio.Queue[Told] = asyncio.Queue(MOST_WAITING)
        self._known: OrderedDict[str, None] = OrderedDict()
        self._task: asyncio.Task[None] | None = None

    def tell(self, key: Key, uid: str, milestones: tuple[Milestone, ...]) -> None:
        """Have these told, if they were not yet. Never blocks; drops with a log line when full.

        What the server refuses is told again when the next pass has it told, while it is news.
        """
        for milestone in milestones:
            told = Told(key, uid, milestone)
            known = f"{key.namespace}/{told.name}"
            if known in self._known:
                continue
            try:
                self._waiting.put_nowait(told)
            except asyncio.QueueFull:
                log.warning("event dropped, too many are waiting", extra={"workflow": str(key)})
                return
            self._known[known] = None
            if len(self._known) > MOST_REMEMBERED:
                self._known.popitem(last=False)

    def start(self) -> None:
        """Begin to tell. Needs a running event loop."""
        self._task = asyncio.create_task(self._run(), name="events")

    async def close(self) -> None:
        """Give what is waiting a moment, then stop."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._waiting.join(), LAST_WORDS)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _run(self) -> None:
        while True:
            told = await self._waiting.get()
            try:
                await self._create(told)
            finally:
                self._waiting.task_done()

    async def _create(self, told: Told) -> None:
        for attempt in range(TRIES):
            try:
                await self._cluster.create(EVENTS, told.key.namespace, self._body(told))
            except AlreadyExists:
                return
            except Unavailable as error:
                await asyncio.sleep(max(error.retry_after, 0.2 * 2**attempt))
            except ApiError as error:
                log.warning("event refused: %s", error, extra={"workflow": str(told.key)})
                self._known.pop(f"{told.key.namespace}/{told.name}", None)
                return
            else:
                return

    def _body(self, told: Told) -> Object:
        note = told.milestone.note
        if len(note) > NOTE_LIMIT:
            note = note[: NOTE_LIMIT - 1] + "…"
        return {
            "apiVersion": EVENTS.api_version,
            "kind": EVENTS.kind,
            "metadata": {"name": told.name, "namespace": told.key.namespace},
            "eventTime": told.milestone.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "reportingController": CONTROLLER,
            "reportingInstance": self._instance,
            "action": told.milestone.action,
            "reason": told.milestone.reason,
            "note": note,
            "type": "Warning" if told.milestone.warning else "Normal",
            "regarding": {
                "apiVersion": API_VERSION,
                "kind": "Workflow",
                "namespace": told.key.namespace,
                "name": told.key.name,
                "uid": told.uid,
            },
        }
