"""Two operators and one lease on a real API server, and what becomes of them and of it."""

import re
import subprocess
import sys

import pytest
from tests.harness.setup import ROOT

SAMPLE = ("--scenarios", "3", "--handovers", "3")
"""In a run of `make test`, by the seed."""


@pytest.mark.timeout(3600)
def test_lost_leaders_are_not_missed(seed: int, request: pytest.FixtureRequest) -> None:
    """In every phase and every way, in a full run."""
    sample = () if request.config.getoption("--full") else SAMPLE
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.world", "--seed", str(seed), *sample],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    (handovers,) = re.findall(r"(\d+) handovers, 0 with a violation", done.stdout)
    assert int(handovers) >= 3
