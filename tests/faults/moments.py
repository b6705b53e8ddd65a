"""Schedules of the model, as moments of a real run: what disturbs it, and at which call."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.model.disturbances import DISTURBANCES
from tests.model.scenarios import SCENARIOS
from tests.model.schedules import drawn
from tests.model.search import disturbed_by
from tests.model.state import Call, State, WriteStatus
from tests.model.steps import natural

from belay.core.decision import (
    ApplyTemplate,
    CreatePreview,
    DeletePreview,
    EnsureConfigMap,
    PauseInstances,
    ResumeInstances,
)

UNPLAYABLE: Final = frozenset({"deadline", "cut off", "workflow deleted", "workflow anew"})
"""Nobody can have time pass in a real run; one Workflow says nothing of a network; and here is no
garbage collector, nor an end to be judged of what is gone."""
_KINDS: Final = {
    WriteStatus: "workflows/status",
    ApplyTemplate: "deployments",
    EnsureConfigMap: "configmaps",
    CreatePreview: "pods",
    DeletePreview: "pods",
    PauseInstances: "jobs",
    ResumeInstances: "jobs",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """A disturbance, once so many statuses were written, and at a call of this kind if any."""

    what: str
    statuses: int
    call: str = ""

    def __str__(self) -> str:
        at = f", at {self.call}" if self.call else ""
        return f"{self.what} after {self.statuses} statuses{at}"


@dataclass(frozen=True, slots=True)
class Schedule:
    """One walk of the model, as it is printed, and where it ends there."""

    scenario: str
    plan: str
    moments: tuple[Moment, ...]
    end: State

    def __str__(self) -> str:
        return f"{self.scenario}: {'; '.join(map(str, self.moments)) or 'undisturbed'}"


def read(plan: str) -> Schedule:
    """`scenario:choice,choice,...`, as `python -m tests.model` prints it."""
    name, _, choices = plan.partition(":")
    scenario = SCENARIOS[name]
    state, statuses, moments = scenario.start(), 0, list[Moment]()
    for choice in choices.split(","):
        if choice in DISTURBANCES:
            moments.append(Moment(choice, statuses, _met(state)))
            ((_, after),) = disturbed_by(choice, state, scenario)
        else:
            _, after = natural(state, scenario.world)[int(choice)]
        if choice != "status lost":
            statuses += after.cluster.status is not state.cluster.status
        state = after
    return Schedule(name, plan, tuple(moments), state)


def playable(seed: int, most: int) -> Iterator[Schedule]:
    """Random ones without end, of all scenarios in turn, each with a disturbance at least."""
    names = sorted(SCENARIOS)
    Random(f"{seed}-schedules").shuffle(names)
    for number in range(10**9):
        for name in names:
            found = read(drawn(name, seed, number, most))
            kinds = {m.what for m in found.moments}
            if kinds and not kinds & UNPLAYABLE:
                yield found


def _met(state: State) -> str:
    """The kind of the call that comes next; empty where none is known."""
    turn = state.operator.turn
    first: Call | None = turn.calls[0] if turn and turn.calls else None
    return _KINDS.get(type(first), "") if first is not None else ""
