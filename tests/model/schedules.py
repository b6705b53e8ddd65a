"""Random schedules: one walk each from a scenario's start to its end, disturbed again and again.

The search takes all orders of few disturbances, these take some orders of many. Walks share what
they have explored: states with the same key have the same steps.
"""

import gc
from collections import Counter
from collections.abc import Hashable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from random import Random
from time import monotonic

from tests.model import oracles
from tests.model.disturbances import FORGETFUL, NEUTRAL, WILFUL
from tests.model.oracles import Violation
from tests.model.scenarios import SCENARIOS, Scenario
from tests.model.search import Found, disturbed_by, undisturbed
from tests.model.state import State
from tests.model.steps import natural

DISTURBS = 0.08
"""How probable a disturbance is at each step, until all have happened."""
FORGETS = 0.1
"""How many schedules may lose the status."""
MOST_STEPS = 2_000
PIECE = 1_000
"""Schedules of one scenario that one process walks in a row, with one memory of states."""
KEPT = 100_000
"""States whose steps are remembered at a time."""
NEW = 100_000
"""Objects between two looks for garbage: most of what a walk makes is kept until its end."""
TELLS = 60
"""Seconds between two lines of progress: what a run that is cut short has walked."""


@dataclass(slots=True)
class Node:
    """A state, and what is known of its steps."""

    state: State
    steps: list[tuple[str, "Node"]] | None = None
    disturbed: dict[str, list[tuple[str, "Node"]]] = field(default_factory=dict)


class Walker:
    """Walks through one scenario."""

    def __init__(
        self, scenario: Scenario, seed: str, most: int, expected: tuple[object, ...] | None
    ) -> None:
        self._scenario, self._seed, self._most = scenario, seed, most
        self._expected = expected
        self._nodes: dict[Hashable, Node] = {}
        self.seen: Counter[str] = Counter()
        """Schedules, steps, disturbances; states, of which some were met anew later."""

    def walk(self, numbers: range) -> None:
        """Walk the schedules of these numbers. Raises `Found`."""
        for number in numbers:
            if len(self._nodes) > KEPT:
                self._nodes.clear()
            plan, end = self.one(number)
            disturbed = len(end.ledger.disturbed)
            self.seen.update(schedules=1, steps=len(plan), disturbances=disturbed)

    def one(self, number: int) -> tuple[list[str], State]:
        """The schedule of this number, and its end. Raises `Found`."""
        rng = Random(f"{self._seed}-{number}")
        node, plan = self._node(self._scenario.start()), list[str]()
        kinds = FORGETFUL if rng.random() < FORGETS else WILFUL
        try:
            while len(plan) < MOST_STEPS:
                if len(node.state.ledger.disturbed) < self._most and rng.random() < DISTURBS:
                    kind = rng.choice(kinds)
                    if choices := self._disturbed(node, kind):
                        node = choices[0][1]
                        plan.append(kind)
                        continue
                steps = self._steps(node)
                if not steps:
                    self._end(node.state)
                    return plan, node.state
                choice = rng.randrange(len(steps))
                plan.append(str(choice))
                node = steps[choice][1]
        except Violation as why:
            raise Found(self._scenario, plan, plan, why) from None
        raise Found(
            self._scenario, plan, plan[-50:], Violation("eventually stable", "it goes on and on")
        )

    def _steps(self, node: Node) -> list[tuple[str, Node]]:
        if node.steps is None:
            found = natural(node.state, self._scenario.world)
            node.steps = [(label, self._node(after)) for label, after in found]
        return node.steps

    def _disturbed(self, node: Node, kind: str) -> list[tuple[str, Node]]:
        if kind not in node.disturbed:
            found = disturbed_by(kind, node.state, self._scenario)
            node.disturbed[kind] = [(label, self._node(after)) for label, after in found]
        return node.disturbed[kind]

    def _node(self, state: State) -> Node:
        key = state.key
        if key not in self._nodes:
            self._nodes[key] = Node(state)
            self.seen["states"] += 1
        return self._nodes[key]

    def _end(self, state: State) -> None:
        oracles.at_end(state, self._scenario.world.good)
        neutral = set(state.ledger.disturbed) <= NEUTRAL
        if neutral and self._expected not in (None, oracles.ending(state)):
            raise Violation("the same end", f"{oracles.ending(state)} instead of {self._expected}")


def walked(names: list[str], schedules: int, seed: int, most: int) -> int:
    """Random schedules, as many of each scenario, on all cores; how many pieces broke an oracle."""
    each, began = schedules // len(names), monotonic()
    print(f"{each} schedules of {len(names)} scenarios, seed {seed}", flush=True)
    told, total, last = list[str](), Counter[str](), began
    spawn = get_context("spawn")
    with ProcessPoolExecutor(
        mp_context=spawn, initializer=gc.set_threshold, initargs=(NEW,)
    ) as pool:
        jobs = [
            pool.submit(_walk, n, seed, most, range(i, min(i + PIECE, each)))
            for i in range(0, each, PIECE)
            for n in names
        ]
        for job in as_completed(jobs):
            found = job.result()
            if isinstance(found, str):
                told.append(found)
                print(found, flush=True)
            else:
                total += found
            if monotonic() - last > TELLS:
                last = monotonic()
                _tell(total, told, began)
    _tell(total, told, began)
    return len(told)


def _tell(total: Counter[str], told: list[str], began: float) -> None:
    print(f"{dict(total)}, {len(told)} violations, {monotonic() - began:.0f} s", flush=True)


def drawn(name: str, seed: int, number: int, most: int) -> str:
    """One of the random schedules of a scenario, as `--replay` takes it."""
    plan, _ = _walker(name, seed, most).one(number)
    return f"{name}:{','.join(plan)}"


def _walker(name: str, seed: int, most: int) -> Walker:
    return Walker(SCENARIOS[name], f"{seed}-{name}", most, undisturbed(name))


def _walk(name: str, seed: int, most: int, numbers: range) -> Counter[str] | str:
    walker = _walker(name, seed, most)
    try:
        walker.walk(numbers)
    except Found as found:
        return f"{name}: {found}"
    return walker.seen
