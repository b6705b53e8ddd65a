"""Breadth first through all states, so that the first schedule that fails is a shortest one."""

from collections import deque
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from time import monotonic

from tests.model import oracles
from tests.model.around import Step
from tests.model.disturbances import DISTURBANCES, NEUTRAL, TO_THE_WORKFLOW
from tests.model.oracles import Violation
from tests.model.scenarios import SCENARIOS, Scenario
from tests.model.state import State
from tests.model.steps import natural

Choice = tuple[str, str, State]
"""The word in a plan, what happens, and what is then."""


@dataclass(frozen=True)
class Bounds:
    """How often each disturbance may happen, how many of all, and how many that are no crash."""

    each: Mapping[str, int] = field(default_factory=dict)
    total: int = 0
    others: float = float("inf")
    seconds: float = float("inf")


@dataclass
class Report:
    """What one search saw."""

    states: int = 0
    merged: int = 0
    """Steps that led to a state that was known."""
    ends: int = 0
    seconds: float = 0.0
    complete: bool = True
    endings: set[tuple[object, ...]] = field(default_factory=set)

    def __str__(self) -> str:
        left = "" if self.complete else ", not complete"
        return (
            f"{self.states} states, {self.merged} steps to known ones, {self.ends} ends, "
            f"{self.seconds:.1f} s{left}"
        )


class Found(AssertionError):
    """A violation, with the shortest schedule that leads to it."""

    def __init__(
        self, scenario: Scenario, plan: list[str], story: list[str], why: Violation
    ) -> None:
        lines = [f"{n:3}. {line}" for n, line in enumerate(story, 1)]
        again = f"{scenario.name}:{','.join(plan)}"
        text = f"{why}\n" + "\n".join(lines)
        super().__init__(
            f'{text}\non a real API server: python -m tests.faults.schedules --replay "{again}"'
            f'\nagain: python -m tests.model --replay "{again}"'
        )
        self.oracle = why.oracle
        self.story = story


def search(
    scenario: Scenario, bounds: Bounds, expected: tuple[object, ...] | None = None
) -> Report:
    """All that may happen within bounds. Raises `Found`."""
    return _Search(scenario, bounds, expected).run()


@cache
def undisturbed(name: str) -> tuple[object, ...]:
    """The one end of a scenario in which nothing is disturbed."""
    (ending,) = search(SCENARIOS[name], Bounds()).endings
    return ending


class _Search:
    def __init__(
        self, scenario: Scenario, bounds: Bounds, expected: tuple[object, ...] | None
    ) -> None:
        self._scenario = replace(scenario, world=replace(scenario.world))
        self._bounds = bounds
        self._expected = expected
        self._numbers: dict[Hashable, int] = {}
        self._from: list[tuple[int, str, str]] = []
        """Of each state: the one before, the choice made there, and what it was."""
        self._before: list[list[int]] = []
        self._ends: list[int] = []
        self._frontier: deque[tuple[int, State]] = deque()
        self._report = Report()

    def run(self) -> Report:
        began = monotonic()
        start = self._scenario.start()
        self._visit(-1, "", "", start)
        while self._frontier:
            if monotonic() - began > self._bounds.seconds:
                self._report.complete = False
                break
            number, state = self._frontier.popleft()
            self._expand(number, state)
        self._report.states = len(self._from)
        self._report.ends = len(self._ends)
        self._report.seconds = monotonic() - began
        if self._report.complete:
            self._all_end()
        return self._report

    def _expand(self, number: int, state: State) -> None:
        try:
            steps = natural(state, self._scenario.world)
            if not steps:
                self._end(number, state)
        except Violation as why:
            raise self._found(number, why) from None
        for nth, (label, after) in enumerate(steps):
            self._visit(number, str(nth), label, after)
        try:
            more = disturbed(state, self._scenario, self._bounds)
        except Violation as why:
            raise self._found(number, why) from None
        for choice, label, after in more:
            self._visit(number, choice, label, after)

    def _visit(self, before: int, choice: str, label: str, state: State) -> None:
        key = state.key
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._from)
            self._from.append((before, choice, label))
            self._before.append([])
            self._frontier.append((number, state))
        else:
            self._report.merged += 1
        if before >= 0:
            self._before[number].append(before)

    def _end(self, number: int, state: State) -> None:
        self._ends.append(number)
        oracles.at_end(state, self._scenario.world.good)
        ending = oracles.ending(state)
        self._report.endings.add(ending)
        neutral = set(state.ledger.disturbed) <= NEUTRAL
        if neutral and self._expected not in (None, ending):
            raise Violation("the same end", f"{ending} instead of {self._expected}")

    def _all_end(self) -> None:
        """From every state an end can be reached: nothing goes round for ever."""
        reached, todo = set(self._ends), [*self._ends]
        while todo:
            for before in self._before[todo.pop()]:
                if before not in reached:
                    reached.add(before)
                    todo.append(before)
        for number in range(len(self._from)):
            if number not in reached:
                raise self._found(number, Violation("eventually stable", "no end from here"))

    def _found(self, number: int, why: Violation) -> Found:
        plan, story = [], []
        while number > 0:
            number, choice, label = self._from[number]
            plan.append(choice)
            story.append(label)
        return Found(self._scenario, plan[::-1], story[::-1], why)


def disturbed(state: State, scenario: Scenario, bounds: Bounds) -> list[Choice]:
    """What may disturb this state, within bounds."""
    had = state.ledger.disturbed
    if len(had) >= bounds.total:
        return []
    kinds = DISTURBANCES if len(had) - had.count("crash") < bounds.others else ("crash",)
    return [
        (name, label, after)
        for name in kinds
        if had.count(name) < bounds.each.get(name, 0)
        for label, after in disturbed_by(name, state, scenario)
    ]


def disturbed_by(name: str, state: State, scenario: Scenario) -> list[Step]:
    """The states after one disturbance: none where there is nothing for it to disturb."""
    if state.cluster.uid is None and name in TO_THE_WORKFLOW:
        return []
    had = (*state.ledger.disturbed, name)
    return [
        (f"** {label}", replace(after, ledger=replace(after.ledger, disturbed=had)))
        for label, after in DISTURBANCES[name](state, scenario.world)
    ]
