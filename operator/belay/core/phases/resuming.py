"""Resuming: what was paused goes on, after the gate and on every way out."""

from datetime import datetime, timedelta

from belay.api.status import Rollout
from belay.core import ending, moves
from belay.core.decision import Decision, ResumeInstances
from belay.core.engine import account as runs_account
from belay.core.engine import steps
from belay.core.instances import account, record, writes
from belay.core.instances.view import InstanceView
from belay.core.observed import Observed
from belay.core.phases.observing import begin_window

_SOON = timedelta(seconds=0.3)


def resuming(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    held = _held(seen)
    until = moves.patient(seen, rollout)
    if not is_over(seen) and (until is None or now < until):
        return let_go(seen, now, rollout)
    left = account.left(held, rollout.instances, hidden=_hidden(seen))
    counts = runs_account.settled(seen.engine, left)
    rollout = rollout.model_copy(update={"paused": False, "instances": counts})
    if rollout.ending is not None:
        return ending.end(seen, now, rollout, rollout.ending)
    return begin_window(seen, now, rollout)


def is_over(seen: Observed) -> bool:
    """Nothing is held any more, as far as can be seen and where all can."""
    return not (_held(seen) or _hidden(seen)) and steps.is_released(seen)


def let_go(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """The account first, then one write for each that is held; after a refusal, in a while."""
    held = _held(seen)
    if not held:
        return _runs_go_on(seen, now, rollout)
    ended = account.to_cancel(seen, rollout, held)
    if not account.is_told(rollout.instances):
        counts = account.let_go(held, ended, rollout.instances, hidden=_hidden(seen))
        account_for = record.at_resuming(seen, now, held, ended)
        told = rollout.model_copy(update={"instances": counts})
        return moves.go(seen, now, told, account_for)
    until = moves.patient(seen, rollout)
    if seen.failure is not None:
        return moves.stay(seen, now, rollout, until=until)
    action = ResumeInstances(writes.letting_go(held, ended, seen.key.namespace))
    return moves.stay(seen, now, rollout, action, until=until, again=True)


def _runs_go_on(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    """The engine's part; what was refused, or waits for a pod, is tried again in a moment."""
    until = moves.patient(seen, rollout)
    action = steps.resuming(seen, rollout) if seen.failure is None else None
    if action is not None:
        return moves.stay(seen, now, rollout, action, until=until, again=True)
    soon = now + _SOON
    return moves.stay(seen, now, rollout, until=soon if until is None else min(soon, until))


def _held(seen: Observed) -> tuple[InstanceView, ...]:
    return seen.instances.held if seen.instances is not None else ()


def _hidden(seen: Observed) -> bool:
    """Whether some may be held that cannot be looked for."""
    return seen.instances is not None and bool(seen.instances.unseen)
