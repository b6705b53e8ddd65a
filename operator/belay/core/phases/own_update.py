"""What a workload's own controller says of its update: that it gave up, or waits for a person."""

from collections.abc import Sequence
from typing import assert_never

from belay.api.duration import spoken
from belay.api.words import Reason
from belay.core.evidence import proof
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed
from belay.core.phases.stuck import waited_for
from belay.core.pods import Pod
from belay.core.workloads import Cause, GaveUp


def given_up(seen: Observed, pods: Sequence[Pod], took: float) -> Why | None:
    """The first update that its controller ended; waiting for it would be in vain."""
    for workload in seen.workloads:
        gave_up = workload.completion.gave_up
        if gave_up is not None and not workload.in_place:
            return _why(gave_up, f"{workload.told}: {gave_up.message}", pods, took)
    return None


def late_update(seen: Observed, pods: Sequence[Pod], took: float) -> Why:
    """What to say of updates that are not complete at the deadline; `took` is in seconds."""
    trouble = next((w.completion.trouble for w in seen.workloads if w.completion.trouble), None)
    told = Why(Fault.ENVIRONMENT, trouble.reason, trouble.message) if trouble else None
    why = proof.late(pods, told or waited_for(seen, took), took)
    paused = next((w for w in seen.workloads if w.completion.pause and not w.in_place), None)
    if why.fault is not Fault.UNKNOWN or paused is None:
        return why
    message = f"after {spoken(took)} {paused.told} still {paused.completion.pause}"
    return Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, message)


def _why(gave_up: GaveUp, message: str, pods: Sequence[Pod], took: float) -> Why:
    """The fault by the evidence (rule 2): what merely took too long is judged by its pods."""
    match gave_up.cause:
        case Cause.EVIDENCE:
            return Why(Fault.REVISION, Reason.CHECK_FAILED, message)
        case Cause.PERSON:
            return Why(Fault.PERSON, Reason.ABORTED, message)
        case Cause.NO_EVIDENCE:
            return Why(Fault.ENVIRONMENT, Reason.INCONCLUSIVE, message)
        case Cause.TIME:
            seen = proof.late(pods, None, took)
            unknown = Why(Fault.ENVIRONMENT, Reason.INCONCLUSIVE, message)
            return unknown if seen.fault is Fault.UNKNOWN else seen
        case _:
            assert_never(gave_up.cause)
