"""The beginning of a rollout: its record, written before anything is touched."""

from datetime import datetime

from belay.api.instances import InstanceCounts
from belay.api.status import HistoryEntry, Rollout, TargetRecord, WorkflowStatus
from belay.api.words import Phase, Reason, RolloutKind, Trigger
from belay.core import gates, moves
from belay.core.attempt import only_found
from belay.core.decision import Action, Decision
from belay.core.gates import Go
from belay.core.instances import account
from belay.core.observed import Observed


def begin(
    seen: Observed,
    now: datetime,
    go: Go,
    trigger: Trigger,
    *actions: Action,
    history: list[HistoryEntry] | None = None,
    why: str = "",
) -> Decision:
    """Write the intent. A retry releases the quarantine of what it tries again.

    The baseline counts only where the live pods that answered it run the stable revision. What
    runs already needs no preview.
    """
    status = seen.status
    found, strays = _found_there(seen, go), _strays(seen)
    aside = gates.previewed(seen) and not found and trigger is not Trigger.DRIFT
    blank = Rollout(
        id=id_of(seen),
        kind=_kind(status, go.ref.revision, go.ref.digest),
        trigger=trigger,
        from_=status.active.revision if status.active else None,
        to=go.ref,
        attempt_digest=go.attempt,
        phase=Phase.GATING,
        started_at=now,
        phase_started_at=now,
        previewed=aside,
        delivered=strays,
        inherited=found or _inherited(seen),
        targets=[
            TargetRecord(
                kind=w.kind.kind,
                name=w.name,
                uid=w.uid,
                template_hash=w.template_hash,
                restarts=sum(p.total_restarts for p in w.pods) if w.in_place else 0,
            )
            for w in seen.workloads
        ],
        paused=_still_paused(status),
        runs=before.runs if (before := status.rollout) and _still_paused(status) else None,
        backup=before.backup if before and (_still_paused(status) or _left(before)) else None,
        instances=_instances(seen),
        baseline=list(seen.dry_run.baseline) if seen.dry_run and not strays else [],
        reason=Reason.DRIFTED if why else None,
        message=why,
    )
    limits = seen.spec.deadlines
    if aside:
        record = moves.enter(blank, Phase.PREVIEWING, now, limits.preview)
    elif only_found(seen.spec, blank):
        record = moves.enter(blank, Phase.DELIVERING, now, limits.verify, delivered=True)
    else:
        record = moves.before_delivery(seen, now, blank)
    kept = [q for q in status.quarantine if q.attempt_digest != go.attempt]
    return moves.go(
        seen,
        now,
        record,
        *actions,
        quarantine=kept,
        history=status.history if history is None else history,
    )


def id_of(seen: Observed) -> str:
    """`<generation>-<n>`, n within the generation."""
    last = seen.status.rollout
    if last is None:
        return f"{seen.generation}-1"
    generation, _, n = last.id.partition("-")
    return f"{seen.generation}-{int(n) + 1 if int(generation) == seen.generation else 1}"


def _still_paused(status: WorkflowStatus) -> bool:
    """Whether instances are paused for the rollout that this one takes the place of."""
    before = status.rollout
    return before is not None and before.outcome is None and before.paused


def _left(before: Rollout) -> bool:
    """Whether runs may be left that nothing but its backup has."""
    return before.instances is not None and before.instances.not_resumed > 0


def _instances(seen: Observed) -> InstanceCounts | None:
    before = seen.status.rollout
    if before is not None and before.outcome is None and before.instances is not None:
        return before.instances
    wanted = seen.spec.instances
    return account.before(seen.instances) if wanted and wanted.resources else None


def _kind(status: WorkflowStatus, revision: str, digest: str) -> RolloutKind:
    """Rollback when the revision was active before, by name and content."""
    before = any(
        e.activated and e.revision == revision and digest.startswith(e.digest)
        for e in status.history
    )
    return RolloutKind.ROLLBACK if before else RolloutKind.ROLLOUT


def _strays(seen: Observed) -> bool:
    """Whether what runs is already another thing than the stable revision."""
    stable = moves.fallback(seen)
    if stable is None:
        return any(w.carried is not None for w in seen.workloads)
    return not moves.is_at(seen, stable)


def _found_there(seen: Observed, go: Go) -> bool:
    """Whether another hand, or a time of which no record is left, brought this content here."""
    status = seen.status
    known = [status.active, status.stable, status.rollout.to if status.rollout else None]
    if any(r is not None and r.content_digest == go.ref.content_digest for r in known):
        return False
    return moves.is_at(seen, gates.delivery_of(seen, go.ref))


def _inherited(seen: Observed) -> bool:
    """Whether the targets came with a delivery of which nothing is known, and none is proven yet.

    It cannot be told what their own template was worth, nor brought back what they carried.
    """
    status = seen.status
    if status.stable is not None:
        return False
    if status.rollout is not None:
        return status.rollout.inherited
    return any(w.carried is not None for w in seen.workloads)
