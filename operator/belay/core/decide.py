"""`decide`: from what was observed to what is to be done. Pure and total."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from belay.api.status import Rollout
from belay.api.words import Outcome, Phase, Reason, Trigger
from belay.core import ending, gates, milestones, moves
from belay.core.attempt import is_wished, only_found
from belay.core.begin import begin
from belay.core.decision import Decision, TryDelivery
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import Ask, Go, Refuse, Same, Wait
from belay.core.instances import account
from belay.core.observed import Observed
from belay.core.phases.backing_up import backing_up
from belay.core.phases.delivering import delivering
from belay.core.phases.observing import observing, promote
from belay.core.phases.pausing import pausing
from belay.core.phases.previewing import previewing
from belay.core.phases.resuming import is_over, let_go, resuming
from belay.core.phases.reverting import reverting
from belay.core.phases.verifying import verifying
from belay.core.rest.settled import adopted_status, settled, wants_retry

PHASES: Final[dict[Phase, Callable[[Observed, datetime, Rollout], Decision]]] = {
    Phase.PREVIEWING: previewing,
    Phase.PAUSING: pausing,
    Phase.BACKING_UP: backing_up,
    Phase.RESUMING: resuming,
    Phase.DELIVERING: delivering,
    Phase.VERIFYING: verifying,
    Phase.OBSERVING: observing,
    Phase.REVERTING: reverting,
}
SET_BACK: Final = timedelta(minutes=1)
"""How far ahead of us the beginning of a phase may lie, as the clocks of two nodes differ. Beyond
that the clock was set back, and the phase begins now: it would last as much longer."""
_WHILE_PAUSED: Final = frozenset(
    {Phase.PAUSING, Phase.BACKING_UP, Phase.DELIVERING, Phase.VERIFYING}
)


def decide(seen: Observed, now: datetime) -> Decision:
    """One step for one Workflow."""
    decision = _decide(seen, now)
    left = moves.preview_left(seen)
    return replace(decision, actions=(*left, *decision.actions)) if left else decision


def _decide(seen: Observed, now: datetime) -> Decision:
    rollout = under_way(seen)
    if rollout is None:
        return settled(seen, now)
    if seen.spec.suspend:
        return _suspend(seen, now, rollout)
    if rollout.suspended_at is not None:
        return _resume(seen, now, rollout)
    if seen.abort not in (None, seen.status.last_handled_abort):
        return _abort(seen, now, rollout)
    if wish_changed(seen, rollout):
        if only_found(seen.spec, rollout):
            return promote(seen, now, rollout)
        return _supersede(seen, now, rollout)
    return _go_on(seen, now, rollout)


def under_way(seen: Observed) -> Rollout | None:
    """The rollout in progress."""
    rollout = seen.status.rollout
    return rollout if rollout is not None and rollout.outcome is None else None


def wish_changed(seen: Observed, rollout: Rollout) -> bool:
    """Whether the user wants something else than what is being tried.

    A wish for the stable revision does not disturb the way back to it. What is found running goes
    through the gate first: a newer wish needs a way back. What is being let go ends soon, and a
    newer wish begins after it.
    """
    if rollout.letting_go:
        return False
    if rollout.trigger is Trigger.ADOPTION and rollout.phase is not Phase.OBSERVING:
        return False
    wanted, stable = seen.spec.active_revision, seen.status.stable
    if rollout.going_back and stable is not None and wanted == stable.revision:
        return False
    return not is_wished(seen.spec, rollout)


def _go_on(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    if rollout.phase_started_at > now + SET_BACK:
        return moves.go(seen, now, _shifted(rollout, now - rollout.phase_started_at))
    phase = PHASES.get(rollout.phase)
    if phase is None:
        why = Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, f"phase {rollout.phase} is unknown here")
        return ending.unproven(seen, now, rollout, why)
    return phase(seen, now, rollout)


def _suspend(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    if rollout.suspended_at is not None and rollout.paused:
        return _released(seen, now, rollout)
    if rollout.suspended_at is not None:
        return replace(moves.stay(seen, now, rollout), requeue=None, follow=False)
    counts = account.untold(rollout.instances)
    record = rollout.model_copy(update={"suspended_at": now, "instances": counts})
    return moves.go(seen, now, record, *moves.preview_gone(seen, rollout))


def _released(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """A person takes over: nothing stays paused for Belay (rule 10)."""
    if not is_over(seen):
        return let_go(seen, now, rollout)
    return moves.go(seen, now, rollout.model_copy(update={"paused": False}))


def _resume(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """Time that was suspended does not count (rule 4)."""
    assert rollout.suspended_at is not None  # noqa: S101
    record = _shifted(rollout, now - rollout.suspended_at, suspended_at=None)
    if seen.spec.instances is not None and rollout.phase in _WHILE_PAUSED:
        limits = seen.spec.deadlines
        limit = limits.pause if rollout.ending is None else limits.revert_pause
        record = moves.pausing(seen, now, record, limit)
    return moves.go(seen, now, record)


def _shifted(rollout: Rollout, by: timedelta, **more: Any) -> Rollout:
    """The record, with the times of its phase moved."""
    deadline = rollout.deadline + by if rollout.deadline else None
    times = {"phase_started_at": rollout.phase_started_at + by, "deadline": deadline}
    return rollout.model_copy(update={**times, **more})


def _abort(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    handled = seen.status.model_copy(update={"last_handled_abort": seen.abort})
    seen = replace(seen, status=handled, written=seen.status)
    if rollout.going_back or rollout.letting_go:
        return moves.go(seen, now, rollout)
    message = f"somebody asked for it by the annotation belay.dev/abort={seen.abort}"
    return ending.unproven(seen, now, rollout, Why(Fault.PERSON, Reason.ABORTED, message))


def _supersede(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """A person's newer wish wins (rule 10); one that cannot start yet first brings stable back."""
    retried = wants_retry(seen)
    answer = gates.gate(seen, released=retried)
    ended = rollout.model_copy(
        update={
            "outcome": Outcome.SUPERSEDED,
            "reason": Reason.SUPERSEDED,
            "ended_at": now,
            "message": f"{seen.spec.active_revision} is wanted now",
        }
    )
    match answer:
        case Ask(action):
            return _ask(seen, now, rollout, action)
        case Go():
            history = ending.remember(seen.status, ended)
            trigger = Trigger.RETRY if retried else Trigger.SPEC
            gone = moves.preview_gone(seen, rollout)
            if retried:
                handled = seen.status.model_copy(update={"last_handled_retry": seen.retry})
                seen = replace(seen, status=handled, written=seen.status)
            decision = begin(seen, now, answer, trigger, *gone, history=history)
            told = (*milestones.of(ended, seen.status.stable), *decision.milestones)
            return replace(decision, milestones=told)
        case Same() if rollout.paused and not rollout.going_back:
            return ending.end(seen, now, _anew(ended), Outcome.SUPERSEDED)
        case Same() if not rollout.going_back:
            seen = _without(seen, ended)
            status = adopted_status(seen, now, answer)
            told = milestones.of(ended, seen.status.stable)
            return Decision((), status, told, again=True)
        case Wait() | Refuse() if rollout.delivered and not rollout.going_back:
            return ending.back(seen, now, _anew(ended), Outcome.SUPERSEDED)
        case Wait() | Refuse() if not rollout.delivered:
            return ending.end(seen, now, _anew(ended), Outcome.SUPERSEDED)
        case _:
            return _go_on(seen, now, rollout)


def _ask(seen: Observed, now: datetime, rollout: Rollout, action: TryDelivery) -> Decision:
    """Ask the server of a newer wish. The way back loses neither evidence nor its end by that."""
    question = Decision((action,), again=True, follow=True)
    if not rollout.going_back:
        return question
    back = _go_on(seen, now, rollout)
    record = back.status.rollout if back.status is not None else None
    if record is not None and record.outcome is not None:
        return back
    return replace(question, probes=back.probes)


def _anew(ended: Rollout) -> Rollout:
    return ended.model_copy(update={"outcome": None, "ended_at": None})


def _without(seen: Observed, ended: Rollout) -> Observed:
    update = {"rollout": ended, "history": ending.remember(seen.status, ended)}
    return replace(seen, status=seen.status.model_copy(update=update), written=seen.status)
