"""Instances in words, for conditions and events."""

from collections.abc import Sequence

from belay.api.instances import InstanceCounts
from belay.core.engine.telling import named as runs_named
from belay.core.instances.view import InstanceView

_SHOWN = 3


def named(some: Sequence[InstanceView]) -> str:
    """The first few by name: `Job a, Job b and 7 more`."""
    shown = ", ".join(i.told for i in some[:_SHOWN])
    return shown + (f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")


def running(counts: InstanceCounts | None) -> str:
    """For the event that a rollout begins."""
    if counts is None:
        return ""
    return f", {counts.found} instance{'' if counts.found == 1 else 's'} running"


def became(counts: InstanceCounts | None) -> str:
    """What became of the instances, for people; empty where there were none."""
    if counts is None:
        return ""
    parts = (
        (counts.resumed, "resumed"),
        (counts.restarted, "restarted"),
        (counts.cancelled, "cancelled"),
        (counts.pinned, "left running"),
        (counts.already_suspended, "suspended by others"),
        (counts.not_paused, "not paused in time"),
        (counts.contested, "contested"),
        (counts.not_resumed, "still paused"),
    )
    told = [f"{number} {word}" for number, word in parts if number]
    if counts.lost:
        told.append(f"{counts.lost} lost ({runs_named(counts.lost_runs)})")
    return f"instances: {', '.join(told)}" if told else ""
