"""How long `decide` takes, over what random schedules of the model see."""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from statistics import median, quantiles

from tests.bench.report import Report
from tests.model.scenarios import SCENARIOS
from tests.model.schedules import Walker

from belay.core.decide import decide, under_way
from belay.core.decision import Decision
from belay.core.observed import Observed

SEED = "decide"
SCHEDULES = 60
"""Of each scenario."""
MOST = 4
"""Disturbances of one schedule."""
TIMES = 5
"""How often each is repeated for the best."""
HEAD = ("", "calls", "p50", "p90", "p99", "best of 5: p50", "p99")


def measure(report: Report) -> None:
    """Each observation once as it comes, in the middle of other work, and again for the best."""
    took: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def measured(seen: Observed, now: datetime) -> Decision:
        first = _seconds(seen, now)
        best = min(_seconds(seen, now) for _ in range(TIMES))
        took["at rest" if under_way(seen) is None else "in a rollout"].append((first, best))
        return decide(seen, now)

    for name, scenario in SCENARIOS.items():
        world = replace(scenario.world, decide=measured)
        Walker(replace(scenario, world=world), f"{SEED}-{name}", MOST, None).walk(range(SCHEDULES))
    rows = [_row(where, took[where]) for where in sorted(took)]
    report.table(HEAD, [*rows, _row("all", list(chain(*took.values())))])


def _seconds(seen: Observed, now: datetime) -> float:
    began = time.perf_counter()
    decide(seen, now)
    return time.perf_counter() - began


def _row(name: str, took: Sequence[tuple[float, float]]) -> list[str]:
    first, best = zip(*took, strict=True)
    return [name, f"{len(took):,}", *map(_told, _points(first)), *map(_told, _points(best)[::2])]


def _points(took: Sequence[float]) -> tuple[float, float, float]:
    hundredths = quantiles(took, n=100, method="inclusive")
    return median(took), hundredths[89], hundredths[98]


def _told(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
