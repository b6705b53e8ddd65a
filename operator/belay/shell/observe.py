"""Observe: read what one pass needs, and nothing else."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from belay.api.instance_kinds import SHIPPED, InstanceKind
from belay.api.names import ANNOTATION_ABORT, ANNOTATION_RESTORE, ANNOTATION_RETRY
from belay.api.status import RevisionRef, WorkflowStatus
from belay.api.workflow import Preview, WorkflowSpec, Workload
from belay.core import reading
from belay.core.delivery import config_map_name
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Tally
from belay.core.keys import Key
from belay.core.observed import (
    ConfigMapView,
    DamagedRevision,
    KnownRevision,
    Observed,
    RevisionView,
    ServiceView,
)
from belay.core.pods import Pod, read_pod
from belay.core.workloads import KINDS, WorkloadView
from belay.core.workloads.pointer import pointer_name, watching
from belay.core.workloads.raw import controller_of
from belay.core.workloads.reading import mounted_container, read_workload
from belay.shell import instances
from belay.shell.checks.services import behind_service
from belay.shell.content import read_config_map
from belay.shell.engine import observe as engine
from belay.shell.engine.engines import Engines
from belay.shell.garbage import Garbage
from belay.shell.pod_events import explained, with_trouble
from belay.shell.resources import (
    CLAIMS,
    CONFIG_MAPS,
    HISTORIES,
    PODS,
    WORKFLOWS,
    WORKLOADS,
    Object,
)
from belay.shell.revisions import RevisionCache
from belay.shell.selectors import label_selector
from belay.shell.turn import Turn


@dataclass(frozen=True, slots=True)
class Watched:
    """What this process knows of a Workflow besides the cluster."""

    known: tuple[KnownRevision, ...] = ()
    known_complete: bool = False
    tallies: tuple[Tally, ...] = ()
    session: str = ""
    lost_contact: LostContact | None = None
    looking_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Allowed:
    """What the administrator allows and has configured."""

    mounts: tuple[str, ...]
    host_network: bool = False
    kinds: frozenset[str] = frozenset()
    """Of targets, besides the built-in ones."""
    instance_kinds: tuple[InstanceKind, ...] = SHIPPED


Watching = Callable[[Key, WorkflowStatus], Watched]


class Observer:
    """Reads the cluster for `decide`."""

    def __init__(
        self,
        revisions: RevisionCache,
        garbage: Garbage,
        watching: Watching,
        allowed: Allowed,
        engines: Engines,
    ) -> None:
        self._revisions = revisions
        self._garbage = garbage
        self._watching = watching
        self._allowed = allowed
        self._engines = engines

    async def observe(self, turn: Turn) -> Observed | None:
        """One Workflow as it is now; None when it is gone or going.

        Raises `ApiError`, and `pydantic.ValidationError` for what is no valid Workflow.
        """
        raw = await turn.get(WORKFLOWS, turn.key.name)
        if raw is None or "deletionTimestamp" in raw["metadata"]:
            return None
        seen = self._itself(turn, raw)
        needs = reading.needs(seen)
        revision, preview, workloads = await asyncio.gather(
            self._revision(turn, seen.spec.active_revision if needs.revision else None),
            self._preview(turn, seen, needs.preview),
            self._workloads(turn, seen, needs),
        )
        seen = replace(seen, revision=revision, preview=preview, workloads=workloads)
        seen = replace(seen, instances=await instances.find(turn, seen, needs.instances))
        seen = replace(seen, engine=await engine.find(turn, seen, needs.engine, self._engines))
        services = await self._services(turn, seen) if needs.pods else {}
        seen = replace(seen, services=services)
        wanted = reading.contents(seen)
        maps = await asyncio.gather(*(self._content(turn, ref) for ref in wanted))
        seen = replace(seen, config_maps={view.name: view for view in maps if view is not None})
        missing = [ref for ref, view in zip(wanted, maps, strict=True) if view is None]
        source = reading.source(seen)
        if source in missing:
            seen = replace(seen, fallback=await self._revision(turn, source.revision))
        return replace(seen, garbage=await self._garbage.find(turn, seen))

    def _itself(self, turn: Turn, raw: Object) -> Observed:
        metadata = raw["metadata"]
        annotations = metadata.get("annotations") or {}
        status = WorkflowStatus.model_validate(raw.get("status") or {})
        watched = self._watching(turn.key, status)
        return Observed(
            key=turn.key,
            uid=metadata["uid"],
            generation=int(metadata["generation"]),
            spec=WorkflowSpec.model_validate(raw["spec"]),
            status=status,
            retry=_token(annotations.get(ANNOTATION_RETRY)),
            abort=_token(annotations.get(ANNOTATION_ABORT)),
            restore=_token(annotations.get(ANNOTATION_RESTORE)),
            known=watched.known,
            known_complete=watched.known_complete,
            tallies=watched.tallies,
            session=watched.session,
            lost_contact=watched.lost_contact,
            looking_since=watched.looking_since,
            dry_run=turn.dry_run,
            failure=turn.failure,
            allowed_mounts=self._allowed.mounts,
            host_network_allowed=self._allowed.host_network,
            allowed_kinds=self._allowed.kinds,
            instance_kinds=self._allowed.instance_kinds,
        )

    async def _revision(
        self, turn: Turn, revision: str | None
    ) -> RevisionView | DamagedRevision | None:
        if revision is None:
            return None
        return await self._revisions.read(turn, f"{turn.key.name}-{revision}")

    async def _preview(self, turn: Turn, seen: Observed, name: str | None) -> Pod | None:
        """One of a deleted Workflow of the same name is on its way out, if not marked so yet."""
        raw = await turn.get(PODS, name) if name is not None else None
        if raw is None:
            return None
        if all(o["uid"] != seen.uid for o in raw["metadata"].get("ownerReferences") or []):
            pod = read_pod(raw, mounted_container(raw["spec"]))
            return replace(pod, terminating=True)
        return await explained(turn, read_pod(raw, mounted_container(raw["spec"])))

    async def _workloads(
        self, turn: Turn, seen: Observed, needs: reading.Needs
    ) -> tuple[WorkloadView, ...]:
        if not needs.workloads:
            return ()
        claims = needs.claims and seen.spec.preview is Preview.POD
        wanted = seen.spec.target.workloads
        pointer, views = await asyncio.gather(
            _pointer(turn, wanted),
            asyncio.gather(
                *(
                    target(turn, w, needs.pods, claims) if _is_allowed(seen, w) else _unread(w)
                    for w in wanted
                )
            ),
        )
        pairs = zip(views, wanted, strict=True)
        return tuple(
            watching(view, seen.spec.reports(one), pointer, turn.key.name) for view, one in pairs
        )

    async def _services(self, turn: Turn, seen: Observed) -> dict[str, ServiceView]:
        checks = [c for c in seen.spec.verification.checks if c.http and c.http.service]
        views = await asyncio.gather(*(behind_service(turn, c) for c in checks))
        return {check.name: view for check, view in zip(checks, views, strict=True)}

    async def _content(self, turn: Turn, ref: RevisionRef) -> ConfigMapView | None:
        name = config_map_name(turn.key.name, ref.content_digest)
        raw = await turn.get(CONFIG_MAPS, name)
        return read_config_map(raw, ref) if raw is not None else None


async def _pointer(turn: Turn, wanted: Iterable[Workload]) -> Object | None:
    """The ConfigMap that workloads updated in place watch."""
    if not any(w.in_place for w in wanted):
        return None
    return await turn.get(CONFIG_MAPS, pointer_name(turn.key.name))


def _is_allowed(seen: Observed, wanted: Workload) -> bool:
    option = KINDS[wanted.api_version, wanted.kind].option
    return not option or option in seen.allowed_kinds


async def _unread(wanted: Workload) -> WorkloadView:
    """Of a kind that the administrator does not allow, for which there may be no rights."""
    return read_workload(wanted, None, (), ())


async def target(
    turn: Turn, wanted: Workload, pods: bool = True, claims: bool = False
) -> WorkloadView:
    """A target as it is now, with as much around it as is asked for."""
    raw = await turn.get(WORKLOADS[wanted.api_version, wanted.kind], wanted.name)
    owned: list[Object] = []
    all_pods: list[Object] = []
    if raw is not None and pods:
        labels = label_selector(raw["spec"].get("selector") or {})
        history = KINDS[wanted.api_version, wanted.kind].history
        owned, all_pods = await asyncio.gather(
            turn.listed(HISTORIES[history.kind], labels), turn.listed(PODS, labels)
        )
        owned = [o for o in owned if _is_owned(o, raw)]
    view = read_workload(wanted, raw, owned, all_pods)
    view = replace(view, pods=tuple(await asyncio.gather(*(explained(turn, p) for p in view.pods))))
    if raw is not None and pods:
        view = await with_trouble(turn, view, sum(controller_of(p) == view.uid for p in all_pods))
    if raw is not None and claims:
        return replace(view, single_claims=await _single_claims(turn, view))
    return view


async def _single_claims(turn: Turn, workload: WorkloadView) -> tuple[str, ...]:
    assert workload.raw is not None  # noqa: S101
    spec = workload.kind.template(workload.raw)["spec"]
    names = [
        v["persistentVolumeClaim"]["claimName"]
        for v in spec.get("volumes") or []
        if "persistentVolumeClaim" in v
    ]
    found = await asyncio.gather(*(turn.get(CLAIMS, name) for name in names))
    return tuple(
        name
        for name, claim in zip(names, found, strict=True)
        if claim and "ReadWriteOncePod" in (claim["spec"].get("accessModes") or [])
    )


def _is_owned(candidate: Object, owner: Object) -> bool:
    references: Iterable[Object] = candidate["metadata"].get("ownerReferences") or []
    return any(r.get("uid") == owner["metadata"]["uid"] for r in references)


def _token(value: str | None) -> str | None:
    """An annotation's value as a token; the status has room for 256 characters."""
    return value[:256] if value else None
