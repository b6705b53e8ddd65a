"""Delivering: the template changes, and Kubernetes rolls the pods."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Phase, Stage, Trigger
from belay.core import ending, moves, proof
from belay.core.decision import Decision
from belay.core.gates import delivery_of
from belay.core.observed import Observed
from belay.core.phases.content import missing_content, refused
from belay.core.phases.live import lost_target, taken_out
from belay.core.phases.observing import activate
from belay.core.phases.stuck import unstick
from belay.core.proof import Fault, Why
from belay.core.writing import deliver


def delivering(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    why = lost_target(seen, rollout)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    if seen.failure is not None:
        return ending.unproven(seen, now, rollout, refused(seen.failure))
    rollout = moves.note_foreign_changes(seen, rollout)
    delivery = delivery_of(seen, rollout.to)
    missing = [w for w in seen.workloads if not delivery.arrived_at(w)]
    until = proof.deadline(seen, rollout, Stage.GATE)
    if missing and until is not None and now >= until:
        return ending.unproven(seen, now, rollout, taken_out(missing[0]))
    if missing or rollout.trigger is Trigger.ADOPTION:
        content = missing_content(seen, now, rollout, delivery)
        if content is not None:
            return content
    if missing:
        actions = [deliver(w, delivery) for w in missing]
        return moves.stay(seen, now, rollout, *actions, until=rollout.deadline)
    return _rolling(seen, now, rollout, until)


def _rolling(seen: Observed, now: datetime, rollout: Rollout, until: datetime | None) -> Decision:
    pods = [p for w in seen.workloads for p in w.pods]
    session = moves.session(rollout)
    why = proof.failing(seen, Stage.GATE, session, pods) or proof.hopeless(pods, now)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    if all(w.completion.done for w in seen.workloads):
        return _complete(seen, now, rollout)
    if until is not None and now >= until:
        took = (now - rollout.phase_started_at).total_seconds()
        trouble = next((w.completion.trouble for w in seen.workloads if w.completion.trouble), None)
        stuck = Why(Fault.ENVIRONMENT, trouble.reason, trouble.message) if trouble else None
        return ending.unproven(seen, now, rollout, proof.late(pods, stuck, took))
    return moves.stay(seen, now, rollout, *unstick(seen), until=until)


def _complete(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """Without checks for the gate, completion itself is the proof."""
    if not proof.checks_at(seen, Stage.GATE) and all(w.pods for w in seen.workloads):
        return activate(seen, now, rollout)
    limit = seen.spec.deadlines.verify
    return moves.go(seen, now, moves.enter(rollout, Phase.VERIFYING, now, limit))
