"""Verifying: the gate. Every check must pass on every new pod."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Stage
from belay.api.workflow import OnInconclusive
from belay.core import ending, moves
from belay.core.decision import Decision
from belay.core.evidence import proof
from belay.core.evidence.proof import Fault
from belay.core.observed import Observed
from belay.core.phases.live import disturbed
from belay.core.phases.observing import activate
from belay.core.phases.reporting import all_report, unreported


def verifying(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    disturbance = disturbed(seen, now, rollout)
    if disturbance is not None:
        return disturbance
    rollout = moves.note_foreign_changes(seen, rollout)
    pods = [p for w in seen.workloads for p in w.pods]
    session = moves.session(rollout)
    why = proof.failing(seen, Stage.GATE, session, pods) or proof.hopeless(pods, now)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    ready = bool(pods) and all(w.completion.done for w in seen.workloads)
    if ready and all_report(seen, session) and proof.passed(seen, Stage.GATE, session):
        return activate(seen, now, rollout)
    until = proof.deadline(seen, rollout, Stage.GATE)
    if until is not None and now >= until:
        took = (now - rollout.phase_started_at).total_seconds()
        unproven = unreported(seen, session, took)
        certain = unproven is not None and unproven.fault is Fault.REVISION
        if not certain and seen.spec.verification.on_inconclusive is OnInconclusive.PROMOTE:
            return activate(seen, now, rollout)
        why = unproven or proof.undecided(seen, Stage.GATE, session, pods, took)
        return ending.unproven(seen, now, rollout, why)
    probes = proof.plan(seen, Stage.GATE, session)
    return moves.stay(seen, now, rollout, probes=probes, until=until)
