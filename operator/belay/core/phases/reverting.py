"""Reverting: the stable revision goes back to the pods, by its ConfigMap alone, and is proven."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Outcome, Reason, Stage
from belay.core import ending, moves
from belay.core.decision import Action, Decision, DeleteConfigMap, EnsureConfigMap, WritePointer
from belay.core.delivery import Delivery
from belay.core.engine.actions import PushContent
from belay.core.evidence import proof
from belay.core.evidence.proof import Why
from belay.core.gates import consents
from belay.core.observed import Observed, Refusal
from belay.core.phases import pushing
from belay.core.phases.content import ensured, is_passing
from belay.core.phases.reporting import all_report, other_content
from belay.core.phases.stuck import unstick
from belay.core.pods import Pod
from belay.core.writing import deliveries, withdrawals

_AT_ONCE = (EnsureConfigMap, WritePointer, DeleteConfigMap, PushContent)


def reverting(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    seen = seen.of(tuple(w for w in seen.workloads if consents(seen, w)))
    stable = moves.fallback(seen)
    if seen.failure is not None and not is_passing(seen.failure):
        return _failed(seen, now, rollout, seen.failure.reason, seen.failure.message)
    if not seen.workloads:
        message = "every target is gone, or no longer names this workflow"
        return _failed(seen, now, rollout, Reason.ENVIRONMENT_TARGET_GONE, message)
    step = withdrawals(seen) if stable is None else _restore(seen, stable)
    if isinstance(step, Refusal):
        return _failed(seen, now, rollout, step.reason, step.message)
    if step:
        again = any(isinstance(s, _AT_ONCE) for s in step)
        return moves.stay(seen, now, rollout, *step, until=rollout.deadline, again=again)
    return _prove(seen, now, rollout, stable)


def _restore(seen: Observed, stable: Delivery) -> list[Action] | Refusal:
    missing = [w for w in seen.workloads if not stable.arrived_at(w)]
    if not missing and not pushing.behind(seen, stable.ref):
        return []
    content = ensured(seen, stable)
    told = pushing.validation(seen, stable.ref)
    if content is None and told is None and not missing:
        told = pushing.activation(seen, stable.ref)
    if content is None and told is not None:
        return [told] if seen.failure is None else []
    if content is None:
        there = seen.config_maps[stable.config_map]
        return list(deliveries(seen, stable, missing, there.content or ""))
    return content if isinstance(content, Refusal) else [content]


def _prove(seen: Observed, now: datetime, rollout: Rollout, stable: Delivery | None) -> Decision:
    found = seen.workloads
    pods = [p for w in found for p in w.pods]
    session = moves.session(rollout)
    elsewhere = other_content(seen, session) if stable is not None else None
    complete = elsewhere is None and all(w.completion.done for w in found)
    if complete and (stable is None or not pods):
        return _done(seen, now, rollout)
    until = proof.deadline(seen, rollout, Stage.GATE)
    if until is not None and now >= until:
        if complete:
            return _done(seen, now, rollout)
        counts = ", ".join(f"{w.told}: {w.completion.told}" for w in found)
        counts += f"; {elsewhere.message}" if elsewhere is not None else ""
        message = f"the way back is not complete after {seen.spec.deadlines.revert} ({counts})"
        return _failed(seen, now, rollout, Reason.REVERT_TIMEOUT, message)
    why = _failing(seen, session, pods) if stable is not None else None
    if why is not None and stable is not None:
        message = f"{stable.ref.revision} fails too: {why.message}"
        return _failed(seen, now, rollout, Reason.STABLE_FAILING, message)
    if complete and all_report(seen, session) and proof.passed(seen, Stage.GATE, session):
        return _done(seen, now, rollout)
    asked = complete or elsewhere is not None
    probes = proof.plan(seen, Stage.GATE, session) if asked else None
    return moves.stay(seen, now, rollout, *unstick(seen), probes=probes, until=until)


def _failing(seen: Observed, session: str, pods: list[Pod]) -> Why | None:
    """Pods that were never replaced may have restarted long ago: a ready one is no crash loop."""
    looping = proof.crash_loop([p for p in pods if not p.ready])
    return looping or proof.wrong_answers(seen, Stage.GATE, session, pods)


def _done(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    outcome = rollout.ending or Outcome.REVERTED
    return ending.end(seen, now, rollout, outcome, active=seen.status.stable)


def _failed(
    seen: Observed, now: datetime, rollout: Rollout, reason: Reason, message: str
) -> Decision:
    """Nobody knows what runs now, so nothing is called active."""
    record = rollout.model_copy(
        update={"reason": reason, "message": f"{rollout.message}; and {message}"[:2048]}
    )
    return ending.end(seen, now, record, Outcome.REVERT_FAILED, active=None)
