"""Instances that carry our label, and letting go those that no rollout holds any more."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from belay.api.instance_kinds import InstanceKind
from belay.api.names import LABEL_PAUSED_BY, MANAGER_PAUSE
from belay.core.decision import InstanceWrite
from belay.shell.cluster import Cluster, Object
from belay.shell.errors import ApiError, Forbidden, NotFound
from belay.shell.instances import resource_of, write_all
from belay.shell.resources import WORKFLOWS


@dataclass(frozen=True, slots=True)
class Marked:
    """An instance with our label."""

    kind: InstanceKind
    metadata: Object

    @property
    def holder(self) -> str:
        """UID of the Workflow that it was paused for."""
        return str(self.metadata["labels"][LABEL_PAUSED_BY])

    @property
    def told(self) -> str:
        return f"{self.kind.kind} {self.metadata['namespace']}/{self.metadata['name']}"


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and where it could not be looked for."""

    found: tuple[Marked, ...]
    problems: tuple[str, ...]


async def marked(
    cluster: Cluster,
    kinds: Iterable[InstanceKind],
    namespaces: Sequence[str | None],
    uid: str | None = None,
) -> Search:
    """All instances that we own a field of; with `uid`, those of one Workflow.

    A kind that is not installed has none.
    """
    labels = LABEL_PAUSED_BY + (f"={uid}" if uid is not None else "")
    found: list[Marked] = []
    problems: list[str] = []
    for kind in kinds:
        for namespace in namespaces:
            try:
                listed, _ = await cluster.list_metadata(resource_of(kind), namespace, labels=labels)
            except NotFound:
                continue
            except Forbidden as error:
                problems.append(error.message)
                continue
            found += [Marked(kind, o["metadata"]) for o in listed if _is_ours(o)]
    return Search(tuple(found), tuple(problems))


def _is_ours(raw: Object) -> bool:
    """Whether we put the label there, and not somebody who copied an object."""
    entries = raw["metadata"].get("managedFields") or []
    return any(e.get("manager") == MANAGER_PAUSE for e in entries)


async def orphans(cluster: Cluster, found: Iterable[Marked]) -> list[Marked]:
    """Those of a Workflow that is gone, or that has no rollout which holds them."""
    by_place: dict[str, list[Marked]] = {}
    for one in found:
        by_place.setdefault(one.metadata["namespace"], []).append(one)
    free: list[Marked] = []
    for namespace, there in by_place.items():
        holding = await _holding(cluster, namespace)
        free += [one for one in there if one.holder not in holding]
    return free


async def _holding(cluster: Cluster, namespace: str) -> set[str]:
    """UIDs of Workflows whose record says that they may have something paused."""
    listed = await cluster.list(WORKFLOWS, namespace)
    return {w["metadata"]["uid"] for w in listed if _holds(w.get("status") or {})}


def _holds(status: Mapping[str, Object]) -> bool:
    rollout = status.get("rollout") or {}
    return bool(rollout.get("paused")) and "outcome" not in rollout


async def release(cluster: Cluster, found: Iterable[Marked]) -> list[tuple[str, ApiError]]:
    """Let them go as they were read; what changed meanwhile is left to the next look.

    Gives those that were refused.
    """
    failed = await write_all(cluster, [_release(one) for one in found])
    return [(write.target, error) for write, error in failed]


def _release(one: Marked) -> InstanceWrite:
    kept = ("name", "namespace", "uid", "resourceVersion")
    metadata = {key: one.metadata[key] for key in kept}
    body = {"apiVersion": one.kind.api_version, "kind": one.kind.kind, "metadata": metadata}
    return InstanceWrite(one.kind, body)
