"""`make model-full`: the whole search within bounds by hand, or one schedule again."""

import argparse
import sys
from itertools import product
from random import Random

from tests.model import oracles
from tests.model.disturbances import DISTURBANCES, FORGETFUL, WILFUL
from tests.model.oracles import Violation
from tests.model.scenarios import SCENARIOS
from tests.model.schedules import walked
from tests.model.search import Bounds, Found, disturbed_by, search, undisturbed
from tests.model.steps import natural

MOST = {
    "crash": 2,
    "conflict": 2,
    "stale read": 1,
    "lost wake-up": 1,
    "repeated wake-up": 1,
    "wish v3": 1,
    "target deleted": 1,
    "workflow deleted": 1,
}
"""How often each may happen by default, all in one run."""


def main(words: list[str] | None = None) -> int:
    options = _options(words)
    if options.replay:
        return replay(options.replay)
    failed = False
    if options.schedules:
        names = options.scenario or list(SCENARIOS)
        seed = Random().randrange(10**6) if options.seed is None else options.seed
        return int(walked(names, options.schedules, seed, options.total) > 0)
    for name, each in product(options.scenario or SCENARIOS, _kinds(options)):
        bounds = Bounds(each, options.total, options.seconds)
        try:
            told = str(search(SCENARIOS[name], bounds, undisturbed(name)))
        except Found as found:
            failed, told = True, str(found)
        print(f"{name}: {told}", flush=True)
    return int(failed)


def _kinds(options: argparse.Namespace) -> list[dict[str, int]]:
    """How often each kind may happen, for every search of a scenario."""
    if options.everything:
        return [dict.fromkeys(kinds, 1) | {"crash": 2} for kinds in (WILFUL, FORGETFUL)]
    return [MOST | dict(_counted(w) for w in options.each)]


def replay(plan: str) -> int:
    """Play `scenario:choice,choice,...` and tell it step by step; 1 where an oracle fires."""
    name, _, choices = plan.partition(":")
    scenario = SCENARIOS[name]
    state = scenario.start()
    try:
        for choice in choices.split(","):
            if choice in DISTURBANCES:
                ((label, state),) = disturbed_by(choice, state, scenario)
            else:
                label, state = natural(state, scenario.world)[int(choice)]
            print(f"{label:70} {state.cluster.status.status.phase or '-'}")
        if not natural(state, scenario.world):
            oracles.at_end(state, scenario.world.good)
    except Violation as why:
        print(why)
        return 1
    return 0


def _counted(word: str) -> tuple[str, int]:
    name, _, number = word.partition("=")
    if name not in DISTURBANCES:
        sys.exit(f"no disturbance {name!r}; there are: {', '.join(DISTURBANCES)}")
    return name, int(number)


def _options(words: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.model", description=__doc__)
    parser.add_argument("--total", type=int, default=3, help="disturbances in one run")
    parser.add_argument("--each", action="append", default=[], metavar="KIND=N")
    parser.add_argument("--everything", action="store_true", help="all kinds, not the usual ones")
    parser.add_argument("--seconds", type=float, default=600.0, help="of each scenario, at most")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS)
    parser.add_argument("--schedules", type=int, default=0, help="random ones instead, so many")
    parser.add_argument("--seed", type=int, help="of random schedules")
    parser.add_argument("--replay", metavar="PLAN", help="as a violation printed it")
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
