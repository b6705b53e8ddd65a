"""Delivering: the template changes, and Kubernetes rolls the pods; or the pointer changes."""

from datetime import datetime, timedelta

from belay.api.status import Rollout
from belay.api.words import Phase, Reason, Stage, Trigger
from belay.api.workflow import OnInconclusive
from belay.core import ending, moves
from belay.core.decision import Decision
from belay.core.evidence import proof, reports
from belay.core.evidence.probe import ProbePlan
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import delivery_of
from belay.core.observed import Observed
from belay.core.phases import pushing
from belay.core.phases.content import is_passing, missing_content, refused
from belay.core.phases.live import lost_target, taken_out
from belay.core.phases.observing import activate
from belay.core.phases.own_update import given_up, late_update
from belay.core.phases.reporting import (
    all_report,
    no_report,
    other_content,
    reported_since,
    unreported,
)
from belay.core.phases.stuck import unstick
from belay.core.writing import deliveries

_SOON = timedelta(seconds=0.3)


def delivering(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    why = lost_target(seen, rollout)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    if seen.failure is not None and not is_passing(seen.failure):
        return _refused(seen, now, rollout, refused(seen.failure))
    rollout = moves.note_foreign_changes(seen, rollout)
    delivery = delivery_of(seen, rollout.to)
    missing = [w for w in seen.workloads if not delivery.arrived_at(w)]
    until = proof.deadline(seen, rollout, Stage.GATE)
    late = until is not None and now >= until
    if missing and late:
        return ending.unproven(seen, now, rollout, taken_out(missing[0]))
    pushes = bool(pushing.behind(seen, rollout.to))
    if missing or pushes or rollout.trigger is Trigger.ADOPTION:
        content = missing_content(seen, now, rollout, delivery)
        if content is not None:
            return content
    if seen.failure is not None:
        return moves.stay(seen, now, rollout, until=now + _SOON)
    told = pushing.validation(seen, rollout.to)
    if told is None and not missing:
        told = pushing.activation(seen, rollout.to)
    if told is not None and not late:
        return moves.stay(seen, now, rollout, told, until=rollout.deadline, again=True)
    if missing:
        there = seen.config_maps[delivery.config_map]
        actions = deliveries(seen, delivery, missing, there.content or "")
        again = any(w.in_place for w in missing)
        return moves.stay(seen, now, rollout, *actions, until=rollout.deadline, again=again)
    return _rolling(seen, now, rollout, until)


def _refused(seen: Observed, now: datetime, rollout: Rollout, why: Why) -> Decision:
    """Where a pod rejects the content before any uses it, there is nothing to take back."""
    if why.reason is Reason.REVISION_REJECTED and not pushing.has_begun(seen, rollout.to):
        rollout = rollout.model_copy(update={"delivered": False})
    return ending.unproven(seen, now, rollout, why)


def _rolling(seen: Observed, now: datetime, rollout: Rollout, until: datetime | None) -> Decision:
    pods = [p for w in seen.workloads for p in w.pods]
    session = moves.session(rollout)
    took = (now - rollout.phase_started_at).total_seconds()
    why = proof.failing(seen, Stage.GATE, session, pods) or proof.hopeless(pods, now)
    why = why or given_up(seen, pods, took)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    done = all(w.completion.done for w in seen.workloads)
    late = until is not None and now >= until
    if done and all_report(seen, session):
        return _complete(seen, now, rollout, until)
    if late and done and _trusted(seen, session):
        return activate(seen, now, rollout)
    if late:
        return ending.unproven(seen, now, rollout, _late(seen, now, rollout))
    probes = _probes(seen, session)
    return moves.stay(seen, now, rollout, *unstick(seen), probes=probes, until=until)


def _probes(seen: Observed, session: str) -> ProbePlan | None:
    """Where all is updated in place, the gate begins as soon as pods report."""
    if all(w.in_place for w in seen.workloads):
        return proof.plan(seen, Stage.GATE, session)
    asked = reports.plan(seen, Stage.GATE, session)
    return ProbePlan(session, tuple(asked)) if asked else None


def _trusted(seen: Observed, session: str) -> bool:
    """Pods that say nothing are taken as proven, where the user wants that."""
    promote = seen.spec.verification.on_inconclusive is OnInconclusive.PROMOTE
    why = unreported(seen, session, 0.0)
    return promote and why is not None and why.fault is Fault.UNKNOWN


def _late(seen: Observed, now: datetime, rollout: Rollout) -> Why:
    session = moves.session(rollout)
    pods = [p for w in seen.workloads for p in w.pods]
    took = (now - rollout.phase_started_at).total_seconds()
    other = other_content(seen, session)
    if other is not None:
        return other
    silent = no_report(seen, session, took) if all(p.ready for p in pods) else None
    return silent or late_update(seen, pods, took)


def _complete(seen: Observed, now: datetime, rollout: Rollout, until: datetime | None) -> Decision:
    """Without checks for the gate, completion itself is the proof.

    In place, the gate has begun already and decides here; a slow one gets the time of its own.
    """
    if not proof.checks_at(seen, Stage.GATE) and all(w.pods for w in seen.workloads):
        return activate(seen, now, rollout)
    session = moves.session(rollout)
    if all(w.in_place and w.pods for w in seen.workloads):
        if proof.passed(seen, Stage.GATE, session):
            return activate(seen, now, rollout)
        begun = reported_since(seen, session) or now
        patience = begun + proof.evidence_period(seen, Stage.GATE)
        patience = patience if until is None else min(until, patience)
        if now < patience:
            probes = proof.plan(seen, Stage.GATE, session)
            return moves.stay(seen, now, rollout, probes=probes, until=patience)
    limit = seen.spec.deadlines.verify
    return moves.go(seen, now, moves.enter(rollout, Phase.VERIFYING, now, limit))
