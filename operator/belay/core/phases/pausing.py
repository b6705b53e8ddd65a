"""Pausing: running instances stand still before anything is delivered, or before the way back."""

from datetime import datetime, timedelta

from belay.api.duration import spoken
from belay.api.instances import OnPauseTimeout
from belay.api.status import Rollout
from belay.api.words import Phase, Reason
from belay.core import ending, moves
from belay.core.decision import AccountFor, Action, Decision, PauseInstances
from belay.core.engine import account as runs_account
from belay.core.engine import steps
from belay.core.engine.telling import unpaused
from belay.core.evidence.proof import Fault, Why
from belay.core.instances import account, record, telling, writes
from belay.core.instances.view import Instances
from belay.core.observed import Observed
from belay.core.phases import backing_up
from belay.core.phases.content import is_passing, refused
from belay.core.phases.live import lost_target

_AT_ONCE, _SOON, _LATER = timedelta(seconds=0.1), timedelta(seconds=0.5), timedelta(seconds=2)


def pausing(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    found = seen.instances
    why = lost_target(seen, rollout)
    if why is None and seen.failure is not None and not is_passing(seen.failure):
        why = refused(seen.failure)
    if why is None and found is not None and found.unseen:
        unseen = found.unseen[0]
        why = Why(Fault.ENVIRONMENT, unseen.reason, unseen.message)
    unable = steps.objection(seen) if rollout.ending is None else None
    if why is None and unable is not None:
        why = Why(Fault.ENVIRONMENT, Reason.INSTANCES_UNSUPPORTED, unable)
    if why is not None:
        if rollout.ending is not None:
            return _on(seen, now, rollout, found)
        return ending.unproven(seen, now, rollout, why)
    moving = steps.waits(seen.engine)
    if found is None or not (found.to_pause or found.pending or found.contested or moving):
        return _on(seen, now, rollout, found)
    until = moves.patient(seen, rollout)
    late = until is not None and now >= until
    stuck = bool(found.contested) and not (found.pending or found.to_pause or moving)
    if late or stuck:
        return _late(seen, now, rollout, found)
    return _ask(seen, now, rollout, found, until)


def _ask(
    seen: Observed, now: datetime, rollout: Rollout, found: Instances, until: datetime | None
) -> Decision:
    todo = writes.pausing(found, seen.key.namespace)
    actions: list[Action] = [PauseInstances(todo)] if todo else []
    actions += steps.pausing(seen, rollout) if seen.failure is None else ()
    if actions:
        return moves.stay(seen, now, rollout, *actions, until=until, again=True)
    took = now - rollout.phase_started_at
    soon = _SOON if seen.engine is None else _AT_ONCE
    look = now + min(max(took / 4, soon), _LATER)
    return moves.stay(seen, now, rollout, until=look if until is None else min(look, until))


def _late(seen: Observed, now: datetime, rollout: Rollout, found: Instances) -> Decision:
    if rollout.ending is not None or seen.spec.instances is None:
        return _on(seen, now, rollout, found)
    wanted = seen.spec.instances.on_pause_timeout
    if wanted is OnPauseTimeout.PROCEED:
        return _on(seen, now, rollout, found)
    if wanted is OnPauseTimeout.WAIT:
        return _ask(seen, now, rollout, found, None)
    why = _why(seen, now, rollout, found)
    return ending.unproven(seen, now, _counted(seen, rollout, found), why)


def _why(seen: Observed, now: datetime, rollout: Rollout, found: Instances) -> Why:
    took = spoken(now - rollout.phase_started_at)
    if found.contested:
        message = (
            f"somebody resumes {telling.named(found.contested)} again and again: let whoever "
            "applies it leave that field alone"
        )
        return Why(Fault.ENVIRONMENT, Reason.PAUSE_CONTESTED, message)
    left = (*found.pending, *found.to_pause)
    runs = unpaused(seen.engine)
    if runs and not left:
        message = f"{'; '.join(runs)} after {took}"
        return Why(Fault.ENVIRONMENT, Reason.PAUSE_TIMEOUT, message)
    message = f"{len(left)} of {len(found.running)} instances did not pause within {took}"
    message += f" ({telling.named(left)})"
    return Why(Fault.ENVIRONMENT, Reason.PAUSE_TIMEOUT, message)


def _on(seen: Observed, now: datetime, rollout: Rollout, found: Instances | None) -> Decision:
    """All stand still that should, or it is time to go on without."""
    account_for: tuple[AccountFor, ...] = ()
    if found is not None:
        held = bool(found.held or found.unseen) or not steps.is_released(seen)
        rollout = _counted(seen, rollout, found).model_copy(update={"paused": held})
    limits = seen.spec.deadlines
    if rollout.ending is None and found is not None and found.running:
        account_for = (record.at_pausing(seen, now, found),)
    if backing_up.is_due(seen):
        limit = limits.backup if rollout.ending is None else limits.revert_pause
        storing = moves.enter(rollout, Phase.BACKING_UP, now, limit)
        return moves.go(seen, now, storing, *account_for)
    return backing_up.beyond(seen, now, rollout, *account_for)


def _counted(seen: Observed, rollout: Rollout, found: Instances) -> Rollout:
    counts = runs_account.paused(seen.engine, account.paused(found, rollout.instances))
    return rollout.model_copy(update={"instances": counts})
