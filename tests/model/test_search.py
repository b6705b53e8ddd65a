"""All that may happen to a rollout, by one disturbance or by a crash and one more."""

from random import Random
from time import monotonic

import pytest
from tests.model.__main__ import main, undisturbed
from tests.model.disturbances import DISTURBANCES
from tests.model.scenarios import SCENARIOS
from tests.model.search import Bounds, search

SECONDS = 15.0
"""For the pairs, in a run of `make test`."""


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_disturbance_all_orders_have_one_end(name: str) -> None:
    report = search(SCENARIOS[name], Bounds())
    assert len(report.endings) == 1
    assert report.states > 3


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_single_disturbance_at_any_time(name: str) -> None:
    report = search(SCENARIOS[name], Bounds(dict.fromkeys(DISTURBANCES, 1), 1), undisturbed(name))
    print(f"{name}: {report}")
    assert report.complete
    assert report.states > 100


def test_a_crash_and_any_other_disturbance(seed: int, request: pytest.FixtureRequest) -> None:
    """As many pairs as fit into the time, by the seed; all of them in a full run."""
    pairs = [(name, kind) for name in SCENARIOS for kind in DISTURBANCES]
    Random(f"{seed}-pairs").shuffle(pairs)
    full, began, states, done = request.config.getoption("--full"), monotonic(), 0, 0
    for name, kind in pairs:
        if not full and monotonic() - began > SECONDS:
            break
        each = {"crash": 2} if kind == "crash" else {"crash": 1, kind: 1}
        states += search(SCENARIOS[name], Bounds(each, 2), undisturbed(name)).states
        done += 1
    print(f"{done} of {len(pairs)} pairs, {states} states")
    assert states > 1000


def test_the_search_by_hand_tells_what_it_explored(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "wrong", "--total", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("wrong: ")
    assert "states" in told
    assert "not complete" not in told
