"""Waiting for targets: what happens to workloads and pods wakes the Workflows that move them."""

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final

from belay.api.names import GROUP
from belay.core.keys import Key
from belay.runtime.stream import ANY_VERSION, BackOff, Complaints, metadata_events
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Gone
from belay.shell.resources import PODS, Object, Resource

log = logging.getLogger(__name__)

COALESCE: Final = 0.015
"""Seconds that a wake-up waits for others of the same burst."""
LINGER: Final = 5.0
"""Seconds that a watch goes on when nobody needs it any more: the next rollout may be near."""

Followed = frozenset[tuple[Resource, str]]
"""Workloads, by resource and name."""


@dataclass(slots=True)
class _Namespace:
    """Who moves what in one namespace, and the watches for it."""

    followed: dict[Key, Followed] = field(default_factory=dict)
    watches: dict[Resource, asyncio.Task[None]] = field(default_factory=dict)
    stopping: asyncio.TimerHandle | None = None


class Targets:
    """Where a Workflow moves: a watch of the namespace's pods, and of each kind that it moves."""

    def __init__(
        self, cluster: Cluster, wake: Callable[[Key], None], linger: float = LINGER
    ) -> None:
        self._cluster = cluster
        self._wake = wake
        self._linger = linger
        self._namespaces: dict[str, _Namespace] = {}
        self._due: set[Key] = set()
        self._watches: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Watch what is followed, until cancelled."""
        async with asyncio.TaskGroup() as self._watches:
            for name in self._namespaces:
                self._start(name)
            await asyncio.Event().wait()

    def follow(self, key: Key, namespace: str, workloads: Followed) -> None:
        """Wake `key` when one of these workloads changes, or one of its pods."""
        place = self._namespaces.setdefault(namespace, _Namespace())
        place.followed[key] = workloads
        if place.stopping is not None:
            place.stopping.cancel()
            place.stopping = None
        if self._watches is not None:
            self._start(namespace)

    def unfollow(self, key: Key) -> None:
        """The Workflow rests, or is gone."""
        for name, place in self._namespaces.items():
            if place.followed.pop(key, None) is not None and not place.followed:
                loop = asyncio.get_running_loop()
                place.stopping = loop.call_later(self._linger, self._stop, name)

    @property
    def watched(self) -> frozenset[str]:
        """Namespaces that are being watched now."""
        return frozenset(name for name, place in self._namespaces.items() if place.watches)

    def _start(self, name: str) -> None:
        """Start the watches that are needed and not there yet."""
        assert self._watches is not None  # noqa: S101
        place = self._namespaces[name]
        needed = {PODS} | {r for followed in place.followed.values() for r, _ in followed}
        for resource in sorted(needed - place.watches.keys(), key=lambda r: r.plural):
            watch, task = self._watch(resource, name), f"{resource.plural}-{name}"
            place.watches[resource] = self._watches.create_task(watch, name=task)

    def _stop(self, name: str) -> None:
        for watch in self._namespaces.pop(name).watches.values():
            watch.cancel()

    async def _watch(self, resource: Resource, namespace: str) -> None:
        back_off, complain = BackOff(), Complaints(log)
        while True:
            try:
                events = metadata_events(self._cluster, resource, namespace, ANY_VERSION)
                async for _, metadata in events:
                    self._happened(namespace, set(_workloads(resource, metadata)))
            except Gone:
                await back_off.pause()
            except ApiError as error:
                complain(f"{resource.plural} of {namespace} cannot be watched: {error}")
                await back_off.pause()

    def _happened(self, namespace: str, names: set[str]) -> None:
        for key, followed in self._namespaces[namespace].followed.items():
            if f"{GROUP}/{key.name}" in names or any(name in names for _, name in followed):
                self._wake_soon(key)

    def _wake_soon(self, key: Key) -> None:
        if not self._due:
            asyncio.get_running_loop().call_later(COALESCE, self._wake_due)
        self._due.add(key)

    def _wake_due(self) -> None:
        due, self._due = self._due, set()
        for key in due:
            self._wake(key)


def _workloads(resource: Resource, metadata: Object) -> Iterator[str]:
    """Names of the workloads that this object is or belongs to; a Workflow's as `belay.dev/<name>`.

    Pods that belong to a ReplicaSet belong to what it is named after: `<workload>-<hash>`.
    """
    if resource is not PODS:
        yield metadata["name"]
    for owner in metadata.get("ownerReferences") or []:
        group = owner["apiVersion"].rpartition("/")[0]
        if group == GROUP and owner["kind"] == "Workflow":
            yield f"{GROUP}/{owner['name']}"
        elif owner.get("controller") and owner["kind"] == "ReplicaSet":
            yield owner["name"].rpartition("-")[0]
        elif owner.get("controller"):
            yield owner["name"]
