"""Each bug that is put in is noticed by the tests that it is said to be noticed by."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from tests.bugs.bugs import BUGS, Bug
from tests.harness.setup import ROOT

SAMPLE = 5
"""Bugs in a run of `make test`, by the seed."""
FAILED = 1
"""pytest's exit code where tests ran and some failed."""


def noticed(bug: Bug, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the tests on a copy of the operator with this bug."""
    copy = folder / "operator"
    shutil.copytree(ROOT / "operator", copy, ignore=shutil.ignore_patterns("__pycache__"))
    file = copy / "belay" / bug.file
    text = file.read_text()
    file.write_text(text.replace(bug.old, bug.new))
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p"]
    command += ["no:xdist", "--cluster", "control-plane", "--seed", "1", *bug.caught.split()]
    return subprocess.run(
        [*command, "-o", f"pythonpath={copy} {ROOT}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{copy}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


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
