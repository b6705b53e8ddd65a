"""All that may happen to a rollout, by one disturbance or by a crash and one more."""

from random import Random
from time import monotonic

import pytest
from tests.model.__main__ import main
from tests.model.disturbances import DISTURBANCES
from tests.model.scenarios import SCENARIOS
from tests.model.schedules import Walker
from tests.model.search import Bounds, search, undisturbed

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


def test_random_schedules_of_many_disturbances(seed: int, request: pytest.FixtureRequest) -> None:
    """Up to four of them, of all kinds; few here, a million by hand."""
    many = 2000 if request.config.getoption("--full") else 40
    for name in SCENARIOS:
        Walker(SCENARIOS[name], f"{seed}-{name}", 4, undisturbed(name)).walk(range(many))


def test_schedules_by_hand_tell_their_seed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--schedules", "5", "--seed", "7", "--scenario", "same-content"]) == 0
    told = capsys.readouterr().out
    assert "seed 7" in told
    assert "'schedules': 5" in told
    assert "0 violations" in told


def test_the_search_by_hand_tells_what_it_explored(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--scenario", "wrong", "--total", "1"]) == 0
    told = capsys.readouterr().out
    assert told.startswith("wrong: ")
    assert "states" in told
    assert "not complete" not in told
