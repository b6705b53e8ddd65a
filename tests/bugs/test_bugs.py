"""Each bug that is put in is noticed by the tests that it is said to be noticed by."""

from pathlib import Path
from random import Random

import pytest
from tests.bugs.bugs import BUGS, Bug
from tests.bugs.noticing import FAILED, noticed
from tests.harness.setup import ROOT

SAMPLE = 5
"""Bugs in a run of `make test`, by the seed."""


@pytest.mark.parametrize("bug", BUGS, ids=str)
def test_each_bug_has_its_one_place(bug: Bug) -> None:
    assert (ROOT / "operator/belay" / bug.file).read_text().count(bug.old) == 1


def test_bugs_are_noticed(seed: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """All of them in a full run."""
    full = request.config.getoption("--full")
    chosen = BUGS if full else Random(f"{seed}-bugs").sample(BUGS, SAMPLE)
    for number, bug in enumerate(chosen):
        done = noticed(bug, tmp_path / str(number))
        assert done.returncode == FAILED, f"{bug}: {done.returncode}\n{done.stdout[-3000:]}"


def test_without_a_bug_they_pass(tmp_path: Path) -> None:
    """Or the others would notice anything."""
    same = Bug("none", "core/moves.py", "def gone(", "def gone(", "tests/unit/core/test_proof.py")
    done = noticed(same, tmp_path)
    assert done.returncode == 0, done.stdout[-3000:]


def test_the_list_in_the_docs_is_the_list() -> None:
    text = (ROOT / "docs/reliability.md").read_text()
    rows = text.partition("| Belay ... | Noticed by |\n|---|---|\n")[2]
    told = [row.split("|")[1].strip() for row in rows.splitlines() if row.startswith("|")]
    assert told == [bug.name for bug in BUGS]
