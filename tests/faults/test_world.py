"""Two operators and one lease on a real API server, and what becomes of them and of it."""

import re
import subprocess
import sys

import pytest
from tests.harness.setup import ROOT

SAMPLE = (
    "--scenarios",
    "2",
    "--handovers",
    "3",
    "--outages",
    "1",
    "--spots",
    "3",
    "--poison",
    "20",
)
"""In a run of `make test`, by the seed."""
HANGS = 900
"""Seconds; a sample takes a fifth of that."""


@pytest.mark.timeout(3600)
def test_leaders_may_be_lost_and_the_world_may_break(
    seed: int, request: pytest.FixtureRequest
) -> None:
    """In every phase and every way, in a full run."""
    full = request.config.getoption("--full")
    sample = () if full else SAMPLE
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.world", "--seed", str(seed), *sample],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=3590 if full else HANGS,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    for what, fewest in (("handovers", 3), ("rollouts met an outage", 1)):
        (count,) = re.findall(rf"(\d+) {what}, 0 with a violation", done.stdout)
        assert int(count) >= fewest
