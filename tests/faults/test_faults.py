"""A real operator and a real API server, and one thing that goes wrong between them."""

import re

import pytest
from tests.faults.__main__ import main

SECONDS = 45
"""In a run of `make test`, with the undisturbed runs."""
FEWEST = 10


@pytest.mark.timeout(7200)
def test_every_plan_ends_as_if_nothing_had_happened_or_says_why(
    seed: int, request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """A sample by the seed; all plans in a full run."""
    full = request.config.getoption("--full")
    code = main(["--seed", str(seed), "--seconds", str(7000 if full else SECONDS)])
    told = capsys.readouterr().out
    print(told)
    assert code == 0
    (came_to_pass,) = re.findall(r"plans, (\d+) came to pass, 0 with a violation", told)
    assert int(came_to_pass) >= FEWEST
