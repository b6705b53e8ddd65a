"""What a pass needs to read: at rest next to nothing, in each phase only what its decision uses."""

from dataclasses import dataclass

from belay.api.status import RevisionRef
from belay.api.words import Phase
from belay.core.decide import under_way, wish_changed
from belay.core.delivery import config_map_name, preview_name
from belay.core.observed import Observed
from belay.core.settled import idle


@dataclass(frozen=True, slots=True)
class Needs:
    """Parts of the cluster to read."""

    revision: bool = False
    """The wanted WorkflowRevision."""
    fallback: bool = False
    """The stable WorkflowRevision, should its ConfigMap be gone."""
    workloads: bool = False
    pods: bool = False
    """The workloads' new pods, and the Services of checks."""
    claims: bool = False
    """The access modes of the template's volume claims."""
    preview: str | None = None
    """Name of the preview pod."""


def needs(seen: Observed) -> Needs:
    """`seen` holds the Workflow itself so far, and nothing else."""
    rollout = under_way(seen)
    if rollout is None:
        gating = not idle(seen) and not seen.spec.suspend
        return Needs(revision=gating, workloads=gating, pods=gating, claims=gating)
    if seen.spec.suspend or rollout.suspended_at is not None:
        return Needs()
    changed = wish_changed(seen, rollout)
    phase = rollout.phase
    return Needs(
        revision=changed or phase in (Phase.PREVIEWING, Phase.DELIVERING),
        fallback=phase is Phase.REVERTING,
        workloads=True,
        pods=changed or phase is not Phase.PREVIEWING,
        claims=changed,
        preview=preview_name(seen.key.name, rollout.id) if phase is Phase.PREVIEWING else None,
    )


def contents(seen: Observed) -> tuple[RevisionRef, ...]:
    """The contents whose ConfigMaps matter now, once revision and workloads have been read."""
    rollout = under_way(seen)
    wanted: list[RevisionRef | None] = [seen.revision.ref if seen.revision else None]
    if rollout is not None:
        wanted += [rollout.to, seen.status.stable]
    elif seen.revision is not None:
        wanted.append(seen.status.stable)
    names = {config_map_name(seen.key.name, r.content_digest): r for r in wanted if r is not None}
    return tuple(names.values())
