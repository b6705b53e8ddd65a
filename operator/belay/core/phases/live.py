"""What may happen to a delivered revision from outside while it is being proven."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Reason
from belay.core import ending, moves
from belay.core.decision import Decision
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import delivery_of
from belay.core.observed import Observed
from belay.core.workloads import WorkloadView


def disturbed(seen: Observed, now: datetime, rollout: Rollout) -> Decision | None:
    """The step to take when a target is gone, or no longer carries what is being proven.

    Whoever took the delivery out is not fought: the proof fails, by nobody's fault.
    """
    why = lost_target(seen, rollout)
    if why is None:
        delivery = delivery_of(seen, rollout.to)
        stray = next((w for w in seen.workloads if not delivery.arrived_at(w)), None)
        if stray is None:
            return None
        why = taken_out(stray)
    return ending.unproven(seen, now, rollout, why)


def lost_target(seen: Observed, rollout: Rollout) -> Why | None:
    """A target that is not the one any more that the rollout began with."""
    lost = moves.gone(seen, rollout)
    if lost is None:
        return None
    message = f"{lost.told} was deleted or replaced in mid-rollout"
    return Why(Fault.ENVIRONMENT, Reason.ENVIRONMENT_TARGET_GONE, message)


def taken_out(workload: WorkloadView) -> Why:
    """Somebody else removed the delivery from a template, such as by `kubectl rollout undo`."""
    if workload.in_place:
        verb = "changed" if workload.pointer is not None else "deleted"
        who = workload.moved_by or "somebody"
        message = f"{who} {verb} the ConfigMap that {workload.told} watches"
        return Why(Fault.ENVIRONMENT, Reason.TARGET_CHANGED, message)
    message = f"{workload.changed_by or 'somebody'} took the delivery out of {workload.told}"
    return Why(Fault.ENVIRONMENT, Reason.TARGET_CHANGED, message)
