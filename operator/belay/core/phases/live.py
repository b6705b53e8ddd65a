"""What may happen to a delivered revision from outside while it is being proven."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Phase, Reason
from belay.core import ending, moves
from belay.core.decision import Decision
from belay.core.gates import delivery_of
from belay.core.observed import Observed
from belay.core.proof import Fault, Why


def disturbed(seen: Observed, now: datetime, rollout: Rollout) -> Decision | None:
    """The step to take when a target is gone, or no longer carries what is being proven."""
    lost = moves.gone(seen, rollout)
    if lost is not None:
        message = f"{lost.told} was deleted or replaced in mid-rollout"
        why = Why(Fault.ENVIRONMENT, Reason.ENVIRONMENT_TARGET_GONE, message)
        return ending.unproven(seen, now, rollout, why)
    if not moves.is_at(seen, delivery_of(seen, rollout.to)):
        limit = seen.spec.deadlines.deliver
        return moves.go(seen, now, moves.enter(rollout, Phase.DELIVERING, now, limit))
    return None
