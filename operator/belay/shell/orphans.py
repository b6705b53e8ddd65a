"""What carries our label, and letting go what no rollout holds any more."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from belay.api.instance_kinds import InstanceKind
from belay.api.names import LABEL_PAUSED_BY
from belay.core.instances.orphans import freed, holds
from belay.core.workloads import KINDS
from belay.core.workloads.raw import is_paused_by_us
from belay.shell.cluster import Cluster
from belay.shell.engine.engines import Engines
from belay.shell.engine.orphans import let_go
from belay.shell.errors import ApiError, Forbidden, NotFound
from belay.shell.instances import resource_of, write_all
from belay.shell.resources import WORKFLOWS, WORKLOADS, Object, Resource


@dataclass(frozen=True, slots=True)
class Marked:
    """An instance with our label, or a target whose engine is paused."""

    resource: Resource
    metadata: Object
    kind: InstanceKind | None
    """None for a target."""

    @property
    def holder(self) -> str:
        """UID of the Workflow that it was paused for."""
        return str(self.metadata["labels"][LABEL_PAUSED_BY])

    @property
    def told(self) -> str:
        place = f"{self.metadata['namespace']}/{self.metadata['name']}"
        return f"{self.resource.kind} {place}" + ("" if self.kind else " with its engine")


@dataclass(frozen=True, slots=True)
class Search:
    """What was found, and where it could not be looked for."""

    found: tuple[Marked, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Kinds:
    """Where to look."""

    instances: Iterable[InstanceKind]
    targets: Iterable[str] = ()
    """Options of kinds of targets besides the built-in ones, as the administrator allows them."""
    tried: bool = False
    """The administrator's word on `targets` is not known: without rights there are none."""

    def may_be_missing(self, resource: Resource) -> bool:
        return self.tried and any(
            WORKLOADS[at] == resource and kind.option for at, kind in KINDS.items()
        )

    def resources(self) -> list[tuple[Resource, InstanceKind | None]]:
        allowed = {"", None, *self.targets}
        targets = [WORKLOADS[at] for at, kind in KINDS.items() if kind.option in allowed]
        return [(resource_of(k), k) for k in self.instances] + [(r, None) for r in targets]


async def marked(
    cluster: Cluster, kinds: Kinds, namespaces: Sequence[str | None], uid: str | None = None
) -> Search:
    """All that we own a field of; with `uid`, what was paused for one Workflow.

    A kind that is not installed has none.
    """
    labels = LABEL_PAUSED_BY + (f"={uid}" if uid is not None else "")
    found: list[Marked] = []
    problems: list[str] = []
    for resource, kind in kinds.resources():
        for namespace in namespaces:
            try:
                listed, _ = await cluster.list_metadata(resource, namespace, labels=labels)
            except NotFound:
                continue
            except Forbidden as error:
                if not kinds.may_be_missing(resource):
                    problems.append(error.message)
                continue
            found += [Marked(resource, o["metadata"], kind) for o in listed if is_paused_by_us(o)]
    return Search(tuple(found), tuple(problems))


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
    return {w["metadata"]["uid"] for w in listed if holds(w.get("status") or {})}


@dataclass(frozen=True, slots=True)
class Released:
    """What was let go, and what was refused, each with the words for it."""

    done: tuple[str, ...]
    refused: tuple[str, ...]


async def release(cluster: Cluster, engines: Engines, found: Iterable[Marked]) -> Released:
    """Let them go as they were read; what changed meanwhile is left to the next look."""
    some = list(found)
    writes = {id(one): freed(one.kind, one.metadata) for one in some if one.kind is not None}
    failed = {id(write): error for write, error in await write_all(cluster, writes.values())}
    done, refused = list[str](), list[str]()
    for one in some:
        write = writes.get(id(one))
        error = failed.get(id(write)) if write is not None else None
        if error is not None:
            refused.append(f"{one.told} stays paused: {error.message}")
        elif write is not None:
            done.append(f"{one.told} goes on")
    for (namespace, _), targets in _by_engine(some).items():
        raws = [
            {"apiVersion": t.resource.api_version, "kind": t.resource.kind, "metadata": t.metadata}
            for t in targets
        ]
        names = ", ".join(t.told for t in targets)
        try:
            went = await let_go(cluster, engines, namespace, raws)
        except ApiError as error:
            refused.append(f"{names} stays paused: {error}")
            continue
        if went.problem:
            refused.append(f"{names} stays paused: {went.problem}")
        else:
            done.append(f"{names} goes on" + (f": {went.told}" if went.told else ""))
    return Released(tuple(done), tuple(refused))


def _by_engine(found: Iterable[Marked]) -> dict[tuple[str, str], list[Marked]]:
    """Targets of one Workflow have one engine."""
    groups: dict[tuple[str, str], list[Marked]] = {}
    for one in found:
        if one.kind is None:
            groups.setdefault((one.metadata["namespace"], one.holder), []).append(one)
    return groups
