"""Running instances: reading them, and the writes that pause them and let them go."""

import asyncio
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import InstanceResource, Policy
from belay.api.names import LABEL_PAUSED_BY, MANAGER_PAUSE
from belay.api.words import Reason
from belay.core.decision import InstanceWrite
from belay.core.instances.kinds import kind_of
from belay.core.instances.view import (
    Instances,
    InstanceView,
    Look,
    Unseen,
    at,
    is_finished,
    policy_of,
    read_instance,
)
from belay.core.observed import Observed
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Forbidden, Invalid, NotFound, is_uid_mismatch
from belay.shell.resources import PODS, Object, Resource
from belay.shell.selectors import label_selector
from belay.shell.turn import Turn

AT_ONCE: Final = 16
"""Writes to instances that are under way together."""
BATCH: Final = 64
"""Writes to instances between two looks at what is wished."""
PATIENCE: Final = 10.0
"""Seconds of writes after which a phase looks at its deadline."""
_ALIVE: Final = "status.phase!=Succeeded,status.phase!=Failed"


@dataclass(frozen=True, slots=True)
class _Asked:
    """Objects to list: those that the user selects, or those that are ours already."""

    kind: InstanceKind
    labels: str
    wanted: InstanceResource | None = None


_Found = tuple[_Asked, Object]


def resource_of(kind: InstanceKind) -> Resource:
    return Resource(kind.group, kind.version, kind.resource, kind.kind)


async def find(turn: Turn, seen: Observed, look: Look) -> Instances | None:
    """The instances that this pass needs; None where it needs none."""
    if look is Look.NONE:
        return None
    asked = list(_asked(seen, look))
    answers = await asyncio.gather(*(_listed(turn, one) for one in asked))
    unseen = [a for a in answers if isinstance(a, Unseen)]
    found: list[_Found] = []
    for one, answer in zip(asked, answers, strict=True):
        found += [] if isinstance(answer, Unseen) else [(one, raw) for raw in answer]
    found, more = await _through_managers(turn, seen, found)
    raws: dict[str, _Found] = {}
    for one, raw in found:
        raws.setdefault(raw["metadata"]["uid"], (one, raw))
    active = await _active(turn, seen, [(a.kind, raw) for a, raw in raws.values()])
    rollout = seen.status.rollout
    return Instances(
        owner=seen.uid,
        rollout=rollout.id if rollout is not None and rollout.outcome is None else "",
        resources=tuple(_read(one, raw, active) for one, raw in raws.values()),
        unseen=tuple(dict.fromkeys([*unseen, *more])),
    )


def _read(one: _Asked, raw: Object, active: dict[str, set[str]]) -> InstanceView:
    pods = active.get(one.kind.pod_label or "", set())
    return read_instance(one.kind, raw, one.wanted, pods)


def _asked(seen: Observed, look: Look) -> Iterable[_Asked]:
    """What is selected comes first: of what is found twice, the policy is told there."""
    if look is Look.WANTED and seen.spec.instances is not None:
        for wanted in seen.spec.instances.resources:
            kind = kind_of(seen.instance_kinds, wanted)
            if kind is not None:
                yield _Asked(kind, label_selector(wanted.selector.plain()), wanted)
    ours = f"{LABEL_PAUSED_BY}={seen.uid}"
    rollout = seen.status.rollout
    if look is Look.HELD or (rollout is not None and rollout.paused):
        for kind in seen.instance_kinds:
            yield _Asked(kind, ours, _named(seen, kind))


def _named(seen: Observed, kind: InstanceKind) -> InstanceResource | None:
    wanted = seen.spec.instances.resources if seen.spec.instances else ()
    return next((w for w in wanted if kind_of(seen.instance_kinds, w) == kind), None)


async def _listed(turn: Turn, one: _Asked) -> list[Object] | Unseen:
    """Of a kind that the spec does not name, what cannot be listed counts as nothing."""
    kind = one.kind
    try:
        return await turn.cluster.list(resource_of(kind), turn.key.namespace, labels=one.labels)
    except (NotFound, Forbidden, Invalid) as error:
        return [] if one.wanted is None else _unseen(kind, error)


async def _through_managers(
    turn: Turn, seen: Observed, found: list[_Found]
) -> tuple[list[_Found], list[Unseen]]:
    """In place of what another controller suspends and resumes, that by which it does so."""
    kept: list[_Found] = []
    managed: dict[tuple[str, str], list[_Found]] = {}
    for one, raw in found:
        if not _is_managed(one, raw):
            kept.append((one, raw))
        elif one.kind.managed_by is not None:
            managed.setdefault((one.kind.group, one.kind.kind), []).append((one, raw))
    answers = await asyncio.gather(*(_managers(turn, seen, some) for some in managed.values()))
    unseen = [a for a in answers if isinstance(a, Unseen)]
    return [f for a in answers if not isinstance(a, Unseen) for f in a] + kept, unseen


def _is_managed(one: _Asked, raw: Object) -> bool:
    """Of those that are not to be paused, or are ours already, it does not matter."""
    labels = raw["metadata"].get("labels") or {}
    if one.wanted is None or policy_of(one.kind, one.wanted) is Policy.PIN:
        return False
    managed = one.kind.managed_label in labels and LABEL_PAUSED_BY not in labels
    return managed and not is_finished(one.kind, raw)


async def _managers(turn: Turn, seen: Observed, found: list[_Found]) -> list[_Found] | Unseen:
    """What manages each of these; one that nothing manages stands for itself."""
    kind = found[0][0].kind
    how = kind.managed_by
    assert how is not None  # noqa: S101
    named = (k for k in seen.instance_kinds if (k.group, k.kind) == (how.group, how.kind))
    manager = next(named, None)
    if manager is None:
        message = (
            f"spec.instances: {kind.kind} {found[0][1]['metadata']['name']} is managed by a "
            f"{how.kind} of {how.group}, which is no kind of instances here: the administrator "
            "adds it (docs/operations.md#kinds-of-instances), or set policy: Pin"
        )
        return Unseen(Reason.ENVIRONMENT_CONFIGURATION, message)
    listed = await _listed(turn, _Asked(manager, how.label, found[0][0].wanted))
    if isinstance(listed, Unseen):
        return listed
    by_uid = {raw["metadata"]["labels"][how.label]: raw for raw in listed}
    return [
        (_Asked(manager, "", one.wanted), by_uid[uid]) if uid in by_uid else (one, raw)
        for one, raw in found
        for uid in [raw["metadata"]["uid"]]
    ]


def _unseen(kind: InstanceKind, error: ApiError) -> Unseen:
    if isinstance(error, NotFound):
        reason = Reason.ENVIRONMENT_CONFIGURATION
        problem = f"there is no {kind.resource}.{kind.group} in this cluster: install it"
    elif isinstance(error, Invalid):
        reason = Reason.ENVIRONMENT_CONFIGURATION
        problem = f"{error.message}. Correct its selector"
    else:
        reason = Reason.ENVIRONMENT_FORBIDDEN
        problem = f"{error.message}. Let Belay list and patch {kind.resource}"
    return Unseen(reason, f"spec.instances: {kind.kind}: {problem}, or take it out"[:1024])


async def _active(
    turn: Turn, seen: Observed, found: list[tuple[InstanceKind, Object]]
) -> dict[str, set[str]]:
    """Instances that still have pods, by the label that names them there."""
    labels = {
        kind.pod_label
        for kind, raw in found
        if kind.pod_label is not None
        and at(raw, kind.path) == kind.paused_value
        and not is_finished(kind, raw)
        and (raw["metadata"].get("labels") or {}).get(LABEL_PAUSED_BY) == seen.uid
    }
    pods = await asyncio.gather(
        *(
            turn.cluster.list(PODS, turn.key.namespace, labels=label, fields=_ALIVE)
            for label in labels
        )
    )
    return {
        label: {p["metadata"]["labels"][label] for p in of_one}
        for label, of_one in zip(labels, pods, strict=True)
    }


async def write_all(
    cluster: Cluster, writes: Iterable[InstanceWrite]
) -> list[tuple[InstanceWrite, ApiError]]:
    """All writes, a few at once; those that failed. One whose instance is gone is done."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(write: InstanceWrite) -> tuple[InstanceWrite, ApiError] | None:
        async with slots:
            try:
                await cluster.apply(
                    resource_of(write.kind), write.body, manager=MANAGER_PAUSE, force=True
                )
            except ApiError as error:
                return None if is_gone(error) else (write, error)
        return None

    answers = await asyncio.gather(*(one(write) for write in writes))
    return [a for a in answers if a is not None]


async def write_while_wished(
    turn: Turn, writes: Sequence[InstanceWrite], *, seconds: float = math.inf
) -> list[tuple[InstanceWrite, ApiError]]:
    """As `write_all`, for as long as nothing else is wished. Raises `Conflict` where it is.

    What is left after so many `seconds` is found by the next look.
    """
    clock = asyncio.get_running_loop().time
    until, failed = clock() + seconds, list[tuple[InstanceWrite, ApiError]]()
    for begin in range(0, len(writes), BATCH):
        if begin:
            await turn.heed()
        failed += await write_all(turn.cluster, writes[begin : begin + BATCH])
        if clock() >= until:
            break
    return failed


async def try_pause(cluster: Cluster, write: InstanceWrite) -> None:
    """Ask the server by a dry run. Raises `ApiError`."""
    try:
        await cluster.apply(
            resource_of(write.kind), write.body, manager=MANAGER_PAUSE, force=True, dry_run=True
        )
    except ApiError as error:
        if not is_gone(error):
            raise


def is_gone(error: ApiError) -> bool:
    """An apply with a uid finds its very object, or says that there is none or another."""
    return isinstance(error, NotFound) or is_uid_mismatch(error)
