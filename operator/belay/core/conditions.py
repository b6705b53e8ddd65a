"""Conditions of a Workflow, by kstatus: one story told as a whole, so that they never disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from belay.api.status import Condition
from belay.api.words import ConditionType, Reason

MOST_WORDS: Final = 2048
"""Characters of a message that the CRD admits."""


@dataclass(frozen=True, slots=True)
class Say:
    """Status, reason and message of one condition."""

    status: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Story:
    """What the conditions say. The later three are absent when fine, the first two never both."""

    ready: Say
    active: Say
    serving: Say
    reconciling: Say | None = None
    stalled: Say | None = None
    drifted: Say | None = None


def moving(reason: str, message: str, active: Say, serving: Say) -> Story:
    """Moving or waiting: Ready is Unknown, Reconciling is True."""
    unknown = Say("Unknown", reason, message)
    return Story(unknown, active, serving, reconciling=Say("True", reason, message))


def stopped(reason: str, message: str, active: Say, serving: Say) -> Story:
    """Someone must act: Ready is False and Stalled True, with the same reason."""
    no = Say("False", reason, message)
    return Story(no, active, serving, stalled=Say("True", reason, message))


def settled(reason: str, message: str, serving: Say) -> Story:
    """The wanted revision is active and proven."""
    yes = Say("True", reason, message)
    return Story(yes, Say("True", reason, message), serving)


def write(story: Story, before: list[Condition], now: datetime, generation: int) -> list[Condition]:
    """The conditions of a story; a transition time moves only with its status."""
    told = {
        ConditionType.READY: story.ready,
        ConditionType.ACTIVE: story.active,
        ConditionType.SERVING: story.serving,
        ConditionType.RECONCILING: story.reconciling,
        ConditionType.STALLED: story.stalled,
        ConditionType.DRIFTED: story.drifted,
    }
    return _written(told, before, now, generation)


def amended(
    before: list[Condition],
    says: Mapping[ConditionType, Say | None],
    now: datetime,
    generation: int,
) -> list[Condition]:
    """The conditions as they were, but for some."""
    return _written(
        {**{t: keep(before, t) for t in ConditionType}, **says}, before, now, generation
    )


def _written(
    told: Mapping[ConditionType, Say | None],
    before: list[Condition],
    now: datetime,
    generation: int,
) -> list[Condition]:
    old = {c.type: c for c in before}
    return [
        _one(kind, say, old.get(kind), now, generation)
        for kind, say in told.items()
        if say is not None
    ]


def _one(
    kind: ConditionType, say: Say, old: Condition | None, now: datetime, generation: int
) -> Condition:
    message = say.message[:MOST_WORDS]
    told = (say.status, say.reason, message, generation)
    if old and told == (old.status, old.reason, old.message, old.observed_generation):
        return old
    return Condition(
        type=kind,
        status=say.status,
        reason=say.reason,
        message=message,
        last_transition_time=_since(old, say, now),
        observed_generation=generation,
    )


def find(conditions: list[Condition], kind: ConditionType) -> Condition | None:
    return next((c for c in conditions if c.type is kind), None)


def keep(conditions: list[Condition], kind: ConditionType) -> Say | None:
    """What a condition says already."""
    found = find(conditions, kind)
    return Say(found.status, found.reason, found.message) if found else None


def _since(old: Condition | None, say: Say, now: datetime) -> datetime:
    if old is not None and old.status == say.status:
        return old.last_transition_time
    return now.replace(microsecond=0)


NOTHING_PROVEN = Say("Unknown", Reason.PROGRESSING, "nothing has been proven yet")
