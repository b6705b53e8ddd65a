"""A real operator and a real API server, and one thing that goes wrong between them."""

import re
import subprocess
import sys

import pytest
from tests.harness.setup import ROOT

SAMPLE = ("--seconds", "25", "--scenarios", "4")
"""In a run of `make test`, by the seed; the undisturbed runs come before."""
FEWEST = 3
HANGS = 600
"""Seconds; a sample takes a tenth of that."""


@pytest.mark.timeout(7200)
def test_every_plan_ends_as_if_nothing_had_happened_or_says_why(
    seed: int, request: pytest.FixtureRequest
) -> None:
    """A sample by the seed; all plans in a full run."""
    full = request.config.getoption("--full")
    much = ("--seconds", "7000") if full else SAMPLE
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults", "--seed", str(seed), *much],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=7190 if full else HANGS,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    (came_to_pass,) = re.findall(r"plans, (\d+) came to pass, 0 with a violation", done.stdout)
    assert int(came_to_pass) >= FEWEST
