"""Observing: real traffic for the window, then the proof is complete."""

from datetime import datetime
from typing import Any

from belay.api.duration import seconds
from belay.api.status import Evidence, Rollout
from belay.api.words import Outcome, Phase, Reason, Stage, Trigger
from belay.api.workflow import OnInconclusive
from belay.core import ending, moves
from belay.core.attempt import only_found
from belay.core.decision import Decision
from belay.core.evidence import proof
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed
from belay.core.phases.live import disturbed
from belay.core.phases.reporting import all_report, stray, unreported

_REASONS = {Trigger.ADOPTION: Reason.ADOPTED, Trigger.DRIFT: Reason.PUT_BACK}


def observing(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    disturbance = disturbed(seen, now, rollout)
    if disturbance is not None:
        return disturbance
    noted = moves.note_foreign_changes(seen, rollout)
    if noted is not rollout:
        window = seen.spec.verification.window
        return moves.go(seen, now, moves.enter(noted, Phase.OBSERVING, now, window))
    pods = [p for w in seen.workloads for p in w.pods]
    session = moves.session(rollout)
    why = (
        proof.failing(seen, Stage.OBSERVATION, session, pods)
        or stray(seen, session)
        or _restarted(seen, rollout)
    )
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    over = rollout.deadline or now
    if now >= over and _proven(seen, session):
        return promote(seen, now, rollout)
    probes = proof.plan(seen, Stage.OBSERVATION, session)
    if proof.unheard(seen, Stage.OBSERVATION):
        return moves.stay(seen, now, rollout, probes=probes)
    if now < over:
        return moves.stay(seen, now, rollout, probes=probes, until=over)
    patience = max(over, seen.looking_since or over)
    patience += proof.evidence_period(seen, Stage.OBSERVATION)
    if now < patience:
        return moves.stay(seen, now, rollout, probes=probes, until=patience)
    took = (now - rollout.phase_started_at).total_seconds()
    unproven = unreported(seen, session, took)
    certain = unproven is not None and unproven.fault is Fault.REVISION
    if not certain and seen.spec.verification.on_inconclusive is OnInconclusive.PROMOTE:
        return promote(seen, now, rollout)
    why = unproven or proof.undecided(seen, Stage.OBSERVATION, session, pods, took)
    return ending.unproven(seen, now, rollout, why)


def activate(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """Through the gate: `active` moves, in the write that ends it."""
    pods = {(w.kind.kind, w.name): w.pods for w in seen.workloads}
    targets = [
        t.model_copy(
            update={"restarts": sum(p.total_restarts for p in pods.get((t.kind, t.name), ()))}
        )
        for t in rollout.targets
    ]
    record = rollout.model_copy(
        update={
            "activated_at": now,
            "targets": targets,
            "evidence": proof.evidence(seen, moves.session(rollout)) or rollout.evidence,
        }
    )
    if rollout.paused:
        record = moves.letting_go(seen, now, record)
        return moves.go(seen, now, record, active=rollout.to, active_revision=rollout.to.revision)
    return begin_window(seen, now, record)


def begin_window(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """Real traffic from now on; without a window, the gate was all the proof."""
    window = seen.spec.verification.window
    record = moves.enter(rollout, Phase.OBSERVING, now, window)
    if not seconds(window) or only_found(seen.spec, record):
        return promote(seen, now, record)
    return moves.go(seen, now, record, active=rollout.to, active_revision=rollout.to.revision)


def promote(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """Proven: stable moves, in the write that ends the rollout."""
    only = not seen.spec.verification.checks
    usual = Reason.AVAILABILITY_ONLY if only else Reason.PROMOTED
    reason = _REASONS.get(rollout.trigger, usual)
    evidence = proof.evidence(seen, moves.session(rollout)) or rollout.evidence
    message = rollout.message or _summary(evidence)
    notes: dict[str, Any] = {"evidence": [], "baseline": [], "targets": []}
    record = rollout.model_copy(update={"reason": reason, "message": message, **notes})
    return ending.end(seen, now, record, Outcome.PROMOTED, active=rollout.to, stable=rollout.to)


def _summary(evidence: list[Evidence]) -> str:
    """All that is kept of the evidence once it has done its work."""
    if not evidence:
        return ""
    right, tries = sum(e.passes for e in evidence), sum(e.tries for e in evidence)
    return f"{right} of {tries} answers right, from {len({e.pod for e in evidence})} pods"


def _proven(seen: Observed, session: str) -> bool:
    if not all_report(seen, session):
        return False
    if proof.checks_at(seen, Stage.OBSERVATION):
        return proof.passed_over_time(seen, session)
    return all(w.completion.done and w.pods for w in seen.workloads)


def _restarted(seen: Observed, rollout: Rollout) -> Why | None:
    """Without checks, availability is the proof, and a restart in the window breaks it (rule 6)."""
    if proof.checks_at(seen, Stage.OBSERVATION):
        return None
    before = {(t.kind, t.name): t.restarts for t in rollout.targets}
    for workload in seen.workloads:
        restarts = sum(p.total_restarts for p in workload.pods)
        if restarts > before.get((workload.kind.kind, workload.name), 0):
            pod = max(workload.pods, key=lambda p: p.total_restarts)
            message = f"a container of pod {pod.name} restarted in the window"
            message += f", last with {pod.last_exit}" if pod.last_exit else ""
            return Why(Fault.REVISION, Reason.CONTAINER_RESTARTED, message)
    return None
