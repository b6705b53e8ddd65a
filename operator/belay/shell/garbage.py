"""Delivered ConfigMaps that nothing needs any more, and when it is worth looking for them."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from belay.api.names import LABEL_WORKFLOW
from belay.core.decide import under_way
from belay.core.delivery import config_map_name
from belay.core.keys import Key
from belay.core.moves import in_place
from belay.core.observed import Observed
from belay.core.rest.settled import idle
from belay.core.workloads.pointer import pointer_name
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError
from belay.shell.resources import CONFIG_MAPS, HISTORIES, JOBS, PODS, Object
from belay.shell.turn import Turn

FIRST_WAIT: Final = timedelta(minutes=10)
"""Until what is still in use is looked at again; each time twice as long."""
LONGEST_WAIT: Final = timedelta(days=1)
AFTER_FAILURE: Final = timedelta(minutes=1)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Next:
    """When to look next, and how long to wait if things are in use even then."""

    at: datetime
    wait: timedelta


class Garbage:
    """Looks for delivered ConfigMaps without a use: when a rollout has ended, and later at rest.

    Where many rollouts end together, that look comes after them: one reading then answers all.
    Only a rollout makes new ones, so where a look found all of them in a role there is nothing to
    look for until the next rollout. A new process knows of no look: its first waits for the
    periodic visits, so that a start-up costs nothing.
    """

    def __init__(self, now: Callable[[], datetime], pressed: Callable[[], bool]) -> None:
        """`pressed` tells whether others wait who may not wait."""
        self._now = now
        self._pressed = pressed
        self._next: dict[Key, _Next | None] = {}
        self._put_off: dict[Key, bool] = {}
        """Once for each rollout; whether somebody has heard of it."""
        self._uses = Uses()

    def forget(self, key: Key) -> None:
        """The Workflow is gone."""
        self._next.pop(key, None)
        self._put_off.pop(key, None)

    def put_off(self, key: Key) -> bool:
        """Whether a look was put off, and is to come when nobody else waits; told once."""
        if self._put_off.get(key, True):
            return False
        self._put_off[key] = True
        return True

    async def find(self, turn: Turn, seen: Observed) -> Mapping[str, str]:
        """UIDs of delivered ConfigMaps without a use, by name; empty where no look is due.

        A look that fails holds nothing else up: it is made good later.
        """
        now = self._now()
        if under_way(seen) is not None:
            self._next[turn.key] = _Next(now, FIRST_WAIT)
            self._put_off.pop(turn.key, None)
            return {}
        following = self._next.setdefault(turn.key, _Next(now + FIRST_WAIT, FIRST_WAIT))
        if following is None or now < following.at or not idle(seen):
            return {}
        if turn.key not in self._put_off and self._pressed():
            self._put_off[turn.key] = False
            return {}
        try:
            surplus = await _without_role(turn, seen)
            free = await unused(turn, surplus, self._uses) if surplus else {}
        except ApiError as error:
            log.warning(
                "no look for unused ConfigMaps: %s", error, extra={"workflow": str(turn.key)}
            )
            self._next[turn.key] = _Next(now + AFTER_FAILURE, following.wait)
            return {}
        self._next[turn.key] = _after(following, now, surplus, free)
        return free


def _after(
    done: _Next, now: datetime, surplus: Mapping[str, str], free: Mapping[str, str]
) -> _Next | None:
    """What was found unused is about to be deleted; the next look sees whether that worked."""
    if not surplus:
        return None
    if free:
        return _Next(now + AFTER_FAILURE, done.wait)
    return _Next(now + done.wait, min(done.wait * 2, LONGEST_WAIT))


async def _without_role(turn: Turn, seen: Observed) -> dict[str, str]:
    namespace, name = turn.key
    labels = f"{LABEL_WORKFLOW}={name}"
    delivered, _ = await turn.cluster.list_metadata(CONFIG_MAPS, namespace, labels=labels)
    roles = [r for r in (seen.status.active, seen.status.stable) if r is not None]
    kept = {config_map_name(name, r.content_digest) for r in roles}
    if in_place(seen):
        kept.add(pointer_name(name))
    found = {m["metadata"]["name"]: m["metadata"]["uid"] for m in delivered}
    return {name: uid for name, uid in found.items() if name not in kept}


@dataclass(slots=True)
class _Place:
    """Who has asked for one namespace, and what was read there last."""

    reading: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: int = 0
    answered: int = 0
    """How many had asked before the last reading began: it answers them."""
    waiting: int = 0
    names: frozenset[str] = frozenset()


class Uses:
    """ConfigMaps that something in a namespace can start a pod with.

    What is read for one Workflow answers all who asked before that reading began: where a hundred
    rollouts end together, the namespace is not read a hundred times.
    """

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    async def read(self, cluster: Cluster, namespace: str) -> frozenset[str]:
        """As it was after this call began, or later."""
        place = self._places.setdefault(namespace, _Place())
        place.asked += 1
        mine = place.asked
        place.waiting += 1
        try:
            async with place.reading:
                if place.answered < mine:
                    before = place.asked
                    specs = await _pod_specs(cluster, namespace)
                    place.names = frozenset(name for spec in specs for name in _named(spec))
                    place.answered = before
                return place.names
        finally:
            place.waiting -= 1
            if not place.waiting:
                del self._places[namespace]


async def unused(turn: Turn, surplus: Mapping[str, str], uses: Uses) -> dict[str, str]:
    """Those that nothing in the namespace can start a pod with."""
    used = await uses.read(turn.cluster, turn.key.namespace)
    return {name: uid for name, uid in surplus.items() if name not in used}


async def _pod_specs(cluster: Cluster, namespace: str) -> list[Object]:
    """Of all pods, live Jobs and kept templates, of which `kubectl rollout undo` makes pods."""
    resources = (PODS, JOBS, *HISTORIES.values())
    pods, jobs, *kept = await asyncio.gather(
        *(cluster.list(resource, namespace) for resource in resources)
    )
    specs = [p["spec"] for p in pods]
    specs += [j["spec"]["template"]["spec"] for j in jobs if _is_live(j)]
    for kind, holders in zip(HISTORIES, kept, strict=True):
        specs += [spec for h in holders if (spec := _kept_spec(kind, h)) is not None]
    return specs


def _kept_spec(kind: str, holder: Object) -> Object | None:
    """ControllerRevisions may be anybody's, of any form."""
    body = holder.get("data") if kind == "ControllerRevision" else holder
    template = ((body or {}).get("spec") or {}).get("template") or {}
    return template.get("spec")


def _is_live(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return not any(
        c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions
    )


def _named(spec: Object) -> set[str]:
    """ConfigMaps that the volumes of a pod spec name."""
    names = set()
    for volume in spec.get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        names |= {
            str(s["configMap"].get("name")) for s in sources if isinstance(s.get("configMap"), dict)
        }
    return names
