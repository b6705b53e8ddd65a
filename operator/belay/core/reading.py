"""What a pass needs to read: at rest next to nothing, in each phase only what its decision uses."""

from dataclasses import dataclass

from belay.api.instances import RunsAfterwards
from belay.api.status import RevisionRef, Rollout
from belay.api.words import Phase, Trigger
from belay.core.decide import under_way, wish_changed
from belay.core.delivery import preview_name
from belay.core.engine.view import Ask
from belay.core.gates import delivery_of
from belay.core.instances.view import Look
from belay.core.moves import fallback, is_at, preview_outlived
from belay.core.observed import Observed, RevisionView
from belay.core.phases import pushing
from belay.core.rest import adoption, drift, pods, restoring
from belay.core.rest.settled import answered, idle
from belay.core.rest.steady import steady

_OF_RUNS = (Phase.PAUSING, Phase.BACKING_UP, Phase.RESUMING)
_PUSHING = (Phase.DELIVERING, Phase.REVERTING)
_WITHOUT_PODS = (Phase.PREVIEWING, *_OF_RUNS)
_LOOKS = {Phase.PAUSING: Look.WANTED, Phase.RESUMING: Look.HELD}


@dataclass(frozen=True, slots=True)
class Needs:
    """Parts of the cluster to read."""

    revision: bool = False
    """The wanted WorkflowRevision."""
    workloads: bool = False
    pods: bool = False
    """The workloads' new pods, and the Services of checks."""
    claims: bool = False
    """The access modes of the template's volume claims."""
    preview: str | None = None
    """Name of the preview pod."""
    engine: Ask = Ask.NOTHING
    """What of the engine."""
    instances: Look = Look.NONE
    """Which running instances."""


def needs(seen: Observed) -> Needs:
    """`seen` holds the Workflow itself so far, and nothing else."""
    rollout = under_way(seen)
    if rollout is None and restoring.is_due(seen):
        begun = restoring.goes_on(seen) is not None
        talk = Ask.RUNS if begun else Ask.NOTHING
        return Needs(workloads=begun, pods=begun, engine=talk, preview=_preview(seen))
    if rollout is None:
        gating = not answered(seen) and not seen.spec.suspend
        compared = not seen.spec.suspend and drift.looked_at(seen.status)
        asked = gating or (idle(seen) and steady(seen))
        reloads = idle(seen) and pods.looked_at(seen)
        return Needs(
            revision=gating,
            workloads=asked or compared or reloads,
            pods=asked or reloads,
            engine=Ask.CONTENTS if reloads or (gating and _restarts(seen)) else Ask.NOTHING,
            claims=gating,
            instances=Look.WANTED if gating and seen.spec.instances else Look.NONE,
            preview=_preview(seen),
        )
    if rollout.suspended_at is not None:
        talk = Ask.RUNS if rollout.paused and _has_engine(seen, rollout) else Ask.NOTHING
        return Needs(
            workloads=talk is not Ask.NOTHING,
            pods=talk is not Ask.NOTHING,
            engine=talk,
            instances=Look.HELD if rollout.paused else Look.NONE,
        )
    phase = rollout.phase
    preview = _preview(seen)
    if seen.spec.suspend:
        return Needs(preview=preview)
    changed = wish_changed(seen, rollout)
    talk = Ask.RUNS if phase in _OF_RUNS and _has_engine(seen, rollout) else Ask.NOTHING
    if phase in _PUSHING and seen.spec.reloads:
        talk = Ask.CONTENTS
    return Needs(
        revision=changed or phase is Phase.PREVIEWING,
        workloads=True,
        pods=changed or phase not in _WITHOUT_PODS or talk is not Ask.NOTHING,
        engine=talk,
        claims=changed,
        preview=preview,
        instances=_LOOKS.get(phase, Look.NONE),
    )


def _preview(seen: Observed) -> str | None:
    rollout = seen.status.rollout
    if rollout is None:
        return None
    tried = rollout.phase is Phase.PREVIEWING and rollout.outcome is None
    there = tried or preview_outlived(seen.status)
    return preview_name(seen.key.name, rollout.id) if there else None


def _has_engine(seen: Observed, rollout: Rollout) -> bool:
    """One that is wanted, or was paused and is not wanted any more."""
    wanted = seen.spec.instances
    return rollout.runs is not None or (wanted is not None and wanted.engine is not None)


def _restarts(seen: Observed) -> bool:
    """Whether an engine has to be able to begin runs anew."""
    wanted = seen.spec.instances.engine if seen.spec.instances is not None else None
    return wanted is not None and wanted.afterwards is RunsAfterwards.RESTART


def contents(seen: Observed) -> tuple[RevisionRef, ...]:
    """The contents whose ConfigMaps matter now, once revision and workloads have been read."""
    wanted: list[RevisionRef | None] = []
    rollout = under_way(seen)
    if rollout is None or wish_changed(seen, rollout):
        wanted.append(seen.revision.ref if isinstance(seen.revision, RevisionView) else None)
        wanted.append(adoption.found(seen))
        wanted.append(_stray(seen) if rollout is None else None)
    elif (rollout.phase is Phase.PREVIEWING and seen.preview is None) or (
        rollout.phase is Phase.DELIVERING
        and (
            rollout.trigger is Trigger.ADOPTION
            or not is_at(seen, delivery_of(seen, rollout.to))
            or bool(pushing.behind(seen, rollout.to))
        )
    ):
        wanted.append(rollout.to)
    stable = fallback(seen)
    if rollout is not None and rollout.phase is Phase.REVERTING and stable is not None:
        there = is_at(seen, stable) and not pushing.behind(seen, stable.ref)
        wanted.append(None if there else stable.ref)
    found = {r.content_digest: r for r in wanted if r is not None}
    return tuple(found.values())


def _stray(seen: Observed) -> RevisionRef | None:
    """What is active, where a pod uses another content."""
    active = seen.status.active
    return active if active is not None and pushing.behind(seen, active) else None


def source(seen: Observed) -> RevisionRef | None:
    """The content that its revision's object has to bring back, should its ConfigMap be gone."""
    rollout = under_way(seen)
    if rollout is None:
        return adoption.found(seen)
    if rollout.phase is Phase.REVERTING:
        return seen.status.stable
    return rollout.to if rollout.phase is Phase.DELIVERING else None
