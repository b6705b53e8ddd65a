"""How the world of one search behaves, and what `decide` says in it."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from tests.model.observing import observe
from tests.model.state import CONTENTS, Call, Kept, State, Tell, Turn, WriteStatus
from tests.unit.core.world import NOW, seconds

from belay.api.words import Stage
from belay.core.decide import decide
from belay.core.decision import Decision
from belay.core.evidence.probe import Answer
from belay.core.observed import Observed

Decide = Callable[[Observed, datetime], Decision]
Thought = tuple[Decision, tuple[Call, ...]]
"""A decision, and the calls that it takes."""
REMEMBERED = 20_000
"""Thoughts at a time."""


class Mode(StrEnum):
    """How pods with one content behave."""

    GOOD = "good"
    WRONG = "wrong"
    LATE = "right at the gate, wrong on real traffic"
    UNREADY = "never ready"
    UNCLEAR = "no check can tell"
    UNCLEAR_LATE = "right at the gate, and no check can tell on real traffic"


_ANSWERS: Final = {
    Mode.GOOD: (Answer.RIGHT, Answer.RIGHT),
    Mode.WRONG: (Answer.WRONG, Answer.WRONG),
    Mode.LATE: (Answer.RIGHT, Answer.WRONG),
    Mode.UNREADY: (Answer.WRONG, Answer.WRONG),
    Mode.UNCLEAR: (Answer.UNASKED, Answer.UNASKED),
    Mode.UNCLEAR_LATE: (Answer.RIGHT, Answer.UNASKED),
}
"""Before real traffic, and on it."""
GOT: Final = {
    Answer.RIGHT: "200",
    Answer.WRONG: "500 instead of 200",
    Answer.UNASKED: "a Secret is missing",
    Answer.NONE: "no answer within 1 s",
}


@dataclass(frozen=True)
class World:
    """What does not change in one search."""

    modes: Mapping[str, Mode] = field(default_factory=dict)
    promotes_unclear: bool = False
    """The spec wants that."""
    decide: Decide = decide
    _thoughts: dict[Hashable, Thought] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )

    @property
    def good(self) -> frozenset[str]:
        """What may become stable."""
        unclear = {Mode.UNCLEAR, Mode.UNCLEAR_LATE} if self.promotes_unclear else set()
        return frozenset(c for c in CONTENTS.values() if self.mode(c) in {Mode.GOOD, *unclear})

    def mode(self, content: str | None) -> Mode:
        return self.modes.get(content or "", Mode.GOOD)

    def answer(self, content: str | None, stage: Stage) -> Answer:
        before, real = _ANSWERS[self.mode(content)]
        return real if stage is Stage.OBSERVATION else before

    def thought(self, state: State, turn: Turn) -> Thought:
        """What is decided now. `decide` is pure: most states differ in nothing that it sees."""
        seen = _seen(state, turn)
        if seen not in self._thoughts:
            if len(self._thoughts) >= REMEMBERED:
                self._thoughts.clear()
            decision = self.decide(observe(state, turn), NOW + seconds(state.now))
            self._thoughts[seen] = decision, _calls(decision)
        return self._thoughts[seen]


def _seen(state: State, turn: Turn) -> Hashable:
    """All that `observe` reads, to the second; a status is the same if it is of the same write."""
    read, operator = turn.read, state.operator
    return (
        read.wish.key,
        read.status,
        read.target,
        read.config_maps,
        read.preview,
        read.jobs,
        read.uid,
        operator.plan.session if operator.plan else None,
        operator.tallies,
        operator.looking,
        operator.lost_contact,
        turn.dry_run,
        turn.failure,
        state.now,
    )


def _calls(decision: Decision) -> tuple[Call, ...]:
    calls: tuple[Call, ...] = decision.actions
    if decision.status is not None:
        calls = (*calls, WriteStatus(Kept(decision.status)))
    if decision.milestones and calls:
        calls = (*calls, Tell(decision.milestones))
    return calls
