"""What holds for every status that is written, whatever led to it."""

from datetime import datetime

from belay.api.status import WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase

STOPPED = {
    Outcome.REVERTED,
    Outcome.HELD,
    Outcome.REFUSED,
    Outcome.FAILED,
    Outcome.ABORTED,
    Outcome.REVERT_FAILED,
}
MOVING = set(Phase)


def consistent(status: WorkflowStatus, generation: int) -> None:
    """The conditions tell one story, of this generation, that fits the phase (kstatus)."""
    told = {c.type: c for c in status.conditions}
    assert len(told) == len(status.conditions)
    assert {ConditionType.READY, ConditionType.ACTIVE, ConditionType.SERVING} <= told.keys()
    assert status.observed_generation == generation
    assert {c.observed_generation for c in status.conditions} == {generation}
    ready = told[ConditionType.READY]
    reconciling, stalled = told.get(ConditionType.RECONCILING), told.get(ConditionType.STALLED)
    assert reconciling is None or stalled is None
    assert {c.status for c in (reconciling, stalled) if c is not None} <= {"True"}
    assert (ready.status == "Unknown") == (reconciling is not None)
    assert (ready.status == "False") == (stalled is not None)
    if stalled is not None:
        assert (stalled.reason, stalled.message) == (ready.reason, ready.message)
    if ConditionType.DRIFTED in told:
        assert told[ConditionType.DRIFTED].status == "True"
        assert ready.status != "True"
        assert told[ConditionType.SERVING].status == "False"
    elif status.phase in STOPPED:
        assert ready.status == "False"
    elif status.phase == Outcome.PROMOTED:
        assert ready.status == "True"
        assert told[ConditionType.ACTIVE].status == "True"
    else:
        assert status.phase in MOVING
        assert ready.status == "Unknown" or status.phase == Phase.SUSPENDED
    assert status.active_revision == (status.active.revision if status.active else None)
    assert status.stable_revision == (status.stable.revision if status.stable else None)
    for one in told.values():
        assert one.reason
        assert isinstance(one.last_transition_time, datetime)
        assert len(one.message) <= 2048
