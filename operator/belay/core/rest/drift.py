"""Drift at rest: the targets do not carry any more what is active.

What was taken out altogether is put back, later each time. What somebody replaced by another
delivery of ours, as `kubectl rollout undo` does, is theirs to decide: it is told and left alone.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason, Trigger
from belay.core import conditions, moves
from belay.core.attempt import attempt_digest
from belay.core.begin import begin
from belay.core.conditions import Say
from belay.core.decision import Decision
from belay.core.gates import Go, consents, delivery_of, retry_command
from belay.core.milestones import Milestone
from belay.core.observed import Observed
from belay.core.workloads import WorkloadView

_FIRST_WAIT: Final = timedelta(minutes=1)
_LONGEST_WAIT: Final = timedelta(hours=1)
_LOOKED_AT: Final = frozenset({Outcome.PROMOTED, Outcome.REVERTED, Outcome.ABORTED, Outcome.HELD})


class How(StrEnum):
    """What became of the delivery."""

    GONE = "Gone"
    """The workload itself is not there."""
    REPLACED = "Replaced"
    """Another delivery is in its place, or the workload's owner has taken consent back."""
    REMOVED = "Removed"
    """Our fields were taken out."""


@dataclass(frozen=True, slots=True)
class Drift:
    """What runs against what should."""

    how: How
    what: str
    """One clause for people."""


def looked_at(status: WorkflowStatus) -> bool:
    """Whether the targets are compared with what is active, in this state of rest.

    What was held is a person's to decide, unless it was held while something was put back; and
    after RevertFailed nothing is known that should run.
    """
    if status.active is None or status.phase not in _LOOKED_AT:
        return False
    return status.phase != Outcome.HELD or _by_drift(status.rollout)


def found(seen: Observed) -> Drift | None:
    """The drift of the targets, as far as they were read; the worst of all."""
    active = seen.status.active
    if active is None:
        return None
    delivery, worst = delivery_of(seen, active), None
    for workload in seen.workloads:
        carried, by = workload.carried, workload.moved_by or "somebody"
        if not workload.found:
            return Drift(How.GONE, f"{workload.told} is gone")
        if delivery.arrived_at(workload):
            continue
        if carried is not None and carried.content_digest != active.content_digest:
            what = (
                f"{by} changed {workload.told}: it runs the content of "
                f"{carried.revision or carried.content_digest[:15]}"
            )
            worst = Drift(How.REPLACED, what)
        elif not consents(seen, workload):
            worst = Drift(How.REPLACED, f"{workload.told} does not name this workflow any more")
        elif worst is None:
            worst = Drift(How.REMOVED, _removed(workload))
    return worst


def _removed(workload: WorkloadView) -> str:
    """Who only takes fields away leaves no name; whoever wrote before may be the one or not."""
    by = f" (last written by {workload.moved_by})" if workload.moved_by else ""
    if workload.in_place and workload.pointer is not None:
        return f"ConfigMap {workload.pointer.name} does not hold what was delivered{by}"
    if workload.in_place:
        return f"somebody deleted the ConfigMap that {workload.told} watches"
    return f"the delivery was taken out of {workload.told}{by}"


def at_rest(seen: Observed, now: datetime) -> Decision | None:
    """What drift calls for; None where there is none, and none to be taken back."""
    if not looked_at(seen.status) or not seen.workloads:
        return None
    drift = found(seen)
    if drift is None:
        return _over(seen, now)
    if drift.how is not How.REMOVED or not _put_back_here(seen.status):
        return _told(seen, now, drift, None)
    due = _due(seen.status)
    if due is None or now >= due:
        return _put_back(seen, now, drift)
    decision = _told(seen, now, drift, due) or Decision()
    return replace(decision, requeue=due - now)


def say(seen: Observed, drift: Drift, due: datetime | None = None) -> Say:
    """The condition Drifted, which stands only where it is True."""
    assert seen.status.active is not None  # noqa: S101
    active, retry = seen.status.active.revision, retry_command(seen)
    should = f"{drift.what}, and {active} should run."
    match drift.how:
        case How.GONE:
            remedy = "It is delivered again when the workload is back"
        case How.REMOVED if due is not None:
            times = _corrections(seen.status)[0]
            remedy = (
                f"It was put back {times} times and is again at {due:%H:%M:%S}: let its manager "
                "apply its own fields only (kubectl apply --server-side; no Replace=true)"
            )
        case _:
            remedy = (
                f"Belay leaves it alone. To have {active} back: {retry}; to keep what runs, set "
                "spec.activeRevision to it"
            )
    return Say("True", Reason.DRIFTED, f"{should} {remedy}")


def serving(drift: Drift) -> Say:
    return Say("False", Reason.DRIFTED, f"{drift.what}: what runs now is not what was proven")


def _told(seen: Observed, now: datetime, drift: Drift, due: datetime | None) -> Decision | None:
    """Say it. Of a wish that had failed before, the conditions go on to tell why."""
    told = say(seen, drift, due)
    says: dict[ConditionType, Say | None] = {
        ConditionType.DRIFTED: told,
        ConditionType.SERVING: serving(drift),
    }
    if seen.status.phase == Outcome.PROMOTED or _by_drift(seen.status.rollout):
        waits = due is not None or drift.how is How.GONE
        says |= {
            ConditionType.READY: replace(told, status="Unknown" if waits else "False"),
            ConditionType.ACTIVE: replace(told, status="False"),
            ConditionType.RECONCILING: told if waits else None,
            ConditionType.STALLED: None if waits else told,
        }
    before = seen.status.conditions
    amended = conditions.amended(before, says, now, seen.generation)
    status = seen.status.model_copy(update={"conditions": amended})
    since = conditions.find(amended, ConditionType.DRIFTED)
    assert since is not None  # noqa: S101
    at = since.last_transition_time
    milestone = Milestone(_occasion(at), Reason.DRIFTED, told.message, at, True, "Drift")
    return Decision(status=seen.to_write(status), milestones=(milestone,))


def _over(seen: Observed, now: datetime) -> Decision | None:
    """Somebody set it right: what was proven runs again."""
    status = seen.status
    if conditions.find(status.conditions, ConditionType.DRIFTED) is None:
        return None
    assert status.active is not None  # noqa: S101
    message = f"{status.active.revision} runs again and is proven: Belay touched nothing"
    proven = Say("True", Reason.SAME_CONTENT, message)
    says: dict[ConditionType, Say | None] = {
        ConditionType.DRIFTED: None,
        ConditionType.SERVING: proven,
    }
    update = {}
    if status.phase == Outcome.PROMOTED or _by_drift(status.rollout):
        says |= {
            ConditionType.READY: proven,
            ConditionType.ACTIVE: proven,
            ConditionType.RECONCILING: None,
            ConditionType.STALLED: None,
        }
        update = {"phase": Outcome.PROMOTED.value}
    amended = conditions.amended(status.conditions, says, now, seen.generation)
    after = status.model_copy(update={"conditions": amended, **update})
    return Decision(status=seen.to_write(after), again=True)


def _put_back_here(status: WorkflowStatus) -> bool:
    """Whether what is active is proven, and nobody has asked to leave it."""
    last = status.rollout
    if status.stable is None or status.stable != status.active or last is None:
        return False
    if status.phase == Outcome.HELD:
        return last.reason is Reason.TARGET_CHANGED
    return status.phase != Outcome.ABORTED or not _by_drift(last)


def _put_back(seen: Observed, now: datetime, drift: Drift) -> Decision:
    """A small rollout of what is active; after a failed wish, the way back is taken once more."""
    active, last = seen.status.active, seen.status.rollout
    assert active is not None  # noqa: S101
    assert last is not None  # noqa: S101
    if seen.status.phase not in (Outcome.REVERTED, Outcome.ABORTED):
        go = Go(active, attempt_digest(seen.spec, active.digest))
        return begin(seen, now, go, Trigger.DRIFT, why=drift.what)
    again = last.model_copy(
        update={
            "ending": last.outcome,
            "outcome": None,
            "started_at": now,
            "ended_at": None,
            "delivered": True,
        }
    )
    record = moves.enter(again, Phase.REVERTING, now, seen.spec.deadlines.revert)
    note = f"{active.revision}: {drift.what}; it is put back"
    milestone = Milestone(_occasion(now), Reason.DRIFTED, note, now, True, "Drift")
    decision = moves.go(seen, now, record)
    return replace(decision, milestones=(milestone,))


def _due(status: WorkflowStatus) -> datetime | None:
    """When it may be put back once more; None for the first time."""
    times, last = _corrections(status)
    if not times or last is None:
        return None
    return last + min(_LONGEST_WAIT, _FIRST_WAIT * (1 << min(times - 1, 10)))


def _corrections(status: WorkflowStatus) -> tuple[int, datetime | None]:
    """How often in a row it was put back, and when last, by the history."""
    if not status.history:
        return 0, None
    last = status.history[0]
    return last.times - (last.trigger is not Trigger.DRIFT), last.ended_at


def _by_drift(rollout: Rollout | None) -> bool:
    return rollout is not None and rollout.trigger is Trigger.DRIFT


def _occasion(at: datetime) -> str:
    return f"d{at:%Y%m%d%H%M%S}"
