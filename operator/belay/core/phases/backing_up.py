"""BackingUp: paused runs are stored outside their pods before anything may end those."""

from datetime import datetime, timedelta

from belay.api.status import Rollout
from belay.api.words import Phase, Reason
from belay.core import ending, moves
from belay.core.decision import Action, Decision
from belay.core.engine import steps
from belay.core.engine.actions import BackUp
from belay.core.engine.telling import unpaused
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed
from belay.core.phases.content import is_passing
from belay.core.phases.live import lost_target

_SOON = timedelta(seconds=0.3)


def is_due(seen: Observed) -> bool:
    """Whether a run stands still that could be lost."""
    engine = seen.engine
    return engine is not None and not engine.problem and bool(engine.held or engine.carried)


def backing_up(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    engine, name = seen.engine, rollout.runs
    if engine is None or name is None:
        return beyond(seen, now, rollout)
    if engine.backup is not None:
        return beyond(seen, now, rollout.model_copy(update={"backup": name}))
    why = lost_target(seen, rollout) or _failed(seen, now, rollout)
    if why is None and _waits(seen):
        return moves.stay(seen, now, rollout, until=now + _SOON)
    if why is None and engine.record is None:
        # Pausing may have been cut short: what no record names would be given to nobody.
        note = steps.noting(seen, rollout, engine)
        return moves.stay(seen, now, rollout, note, until=rollout.deadline, again=True)
    if why is None:
        action = BackUp(engine, name, _contents(seen), seen.status.active, seen.key)
        return moves.stay(seen, now, rollout, action, until=rollout.deadline, again=True)
    if rollout.ending is not None:
        return beyond(seen, now, rollout)
    return ending.unproven(seen, now, rollout, why)


def beyond(seen: Observed, now: datetime, rollout: Rollout, *actions: Action) -> Decision:
    """To what instances were paused for: the delivery, or the way back."""
    limits = seen.spec.deadlines
    if rollout.ending is not None:
        back = moves.enter(rollout, Phase.REVERTING, now, limits.revert)
        return moves.go(seen, now, back, *actions)
    record = moves.enter(rollout, Phase.DELIVERING, now, limits.deliver, delivered=True)
    return moves.go(seen, now, record, *actions)


def _failed(seen: Observed, now: datetime, rollout: Rollout) -> Why | None:
    until = moves.patient(seen, rollout)
    message = seen.failure.message if seen.failure and not is_passing(seen.failure) else ""
    if not message and until is not None and now >= until:
        trouble = unpaused(seen.engine) or [seen.failure.message if seen.failure else ""]
        message = f"not done within {seen.spec.deadlines.backup} ({trouble[0]})"
    if not message:
        return None
    return Why(Fault.ENVIRONMENT, Reason.BACKUP_FAILED, f"runs could not be stored: {message}")


def _waits(seen: Observed) -> bool:
    """Whether a pod, or what is kept, cannot be asked just now."""
    engine = seen.engine
    return seen.failure is not None or (
        engine is not None and bool(engine.problem or engine.unheard)
    )


def _contents(seen: Observed) -> tuple[str, ...]:
    """Of paused runs, and of what the target runs."""
    engine, active = seen.engine, seen.status.active
    found = {active.content_digest} if active is not None else set()
    if engine is not None:
        found |= {engine.runs[run][1].content_digest for run in engine.held}
        found |= {kept.content_digest for kept in engine.carried.values()}
    return tuple(sorted(found))
