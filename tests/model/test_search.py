"""All that may happen to a rollout, by one disturbance or by a crash and one more."""

import pytest
from tests.model.__main__ import main
from tests.model.disturbances import DISTURBANCES
from tests.model.scenarios import SCENARIOS
from tests.model.schedules import Walker
from tests.model.search import Bounds, search, undisturbed


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_a_disturbance_all_orders_have_one_end(name: str) -> None:
    report = search(SCENARIOS[name], Bounds())
    assert len(report.endings) == 1
    assert report.states > 3


@pytest.mark.parametrize("name", SCENARIOS)
def test_any_disturbance_and_a_crash_at_any_time(name: str) -> None:
    """Each alone, and a crash before or after it; two crashes, too."""
    bounds = Bounds(dict.fromkeys(DISTURBANCES, 1) | {"crash": 2}, total=2, others=1)
    report = search(SCENARIOS[name], bounds, undisturbed(name))
    print(f"{name}: {report}")
    assert report.complete
    assert report.states > 800


def test_bounds_hold_for_what_is_no_crash() -> None:
    crashes = {"crash": 2}
    both = crashes | {"repeated wake-up": 1, "suspend": 1}
    found = [
        search(SCENARIOS["same-content"], bounds).states
        for bounds in (
            Bounds(crashes, 2),
            Bounds(both, 2, others=0),
            Bounds(both, 2, others=1),
            Bounds(both, 2),
        )
    ]
    assert found[0] == found[1] < found[2] < found[3]


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
