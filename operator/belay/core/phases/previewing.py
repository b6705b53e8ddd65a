"""Previewing: the revision is tried in one pod that no Service selects."""

from datetime import datetime

from belay.api.duration import seconds, spoken
from belay.api.status import Rollout
from belay.api.words import Reason, Stage
from belay.api.workflow import OnInconclusive
from belay.core import ending, moves
from belay.core.decision import CreatePreview, Decision
from belay.core.delivery import preview_pod
from belay.core.evidence import proof
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import delivery_of, preview_workload
from belay.core.observed import Observed
from belay.core.phases.content import missing_content, refused
from belay.core.phases.live import lost_target
from belay.core.pods import Pod

START_SECONDS = 30.0
"""What a pod may take to start when its deadline passed while nobody looked."""


def previewing(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    if seen.failure is not None:
        return ending.unproven(seen, now, rollout, refused(seen.failure))
    lost = lost_target(seen, rollout)
    if lost is not None:
        return ending.unproven(seen, now, rollout, lost)
    until = proof.deadline(seen, rollout, Stage.PREVIEW, START_SECONDS)
    late = until is not None and now >= until
    pod = seen.preview
    if pod is None and not late:
        return _make(seen, now, rollout)
    if pod is None or pod.terminating:
        return _vanished(seen, now, rollout) if late else moves.stay(seen, now, rollout)
    session = moves.session(rollout)
    why = proof.failing(seen, Stage.PREVIEW, session, [pod]) or proof.hopeless([pod], now)
    if why is not None:
        return ending.unproven(seen, now, rollout, why)
    if pod.ready and proof.passed(seen, Stage.PREVIEW, session, [pod]):
        return _deliver(seen, now, rollout)
    if late:
        return _late(seen, now, rollout, pod)
    probes = proof.plan(seen, Stage.PREVIEW, session, [pod])
    return moves.stay(seen, now, rollout, probes=probes, until=until)


def _make(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    delivery = delivery_of(seen, rollout.to)
    content = missing_content(seen, now, rollout, delivery)
    if content is not None:
        return content
    limit = seconds(seen.spec.deadlines.preview)
    body = preview_pod(preview_workload(seen), delivery, seen.uid, rollout.id, limit)
    return moves.stay(seen, now, rollout, CreatePreview(body), until=rollout.deadline, again=True)


def _deliver(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    evidence = proof.evidence(seen, moves.session(rollout))
    record = moves.before_delivery(seen, now, rollout, evidence=evidence)
    return moves.go(seen, now, record)


def _late(seen: Observed, now: datetime, rollout: Rollout, pod: Pod) -> Decision:
    took = (now - rollout.phase_started_at).total_seconds()
    session = moves.session(rollout)
    why = (
        proof.undecided(seen, Stage.PREVIEW, session, [pod], took)
        if pod.ready
        else proof.late([pod], None, took)
    )
    return _inconclusive(seen, now, rollout, why)


def _vanished(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    took = (now - rollout.phase_started_at).total_seconds()
    message = f"no verdict within {spoken(took)}: somebody or something deletes the preview pod"
    return _inconclusive(seen, now, rollout, Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, message))


def _inconclusive(seen: Observed, now: datetime, rollout: Rollout, why: Why) -> Decision:
    promote = seen.spec.verification.on_inconclusive is OnInconclusive.PROMOTE
    if why.fault is Fault.UNKNOWN and promote:
        return _deliver(seen, now, rollout)
    return ending.unproven(seen, now, rollout, why)
