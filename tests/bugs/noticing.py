"""Puts a bug into a copy of the operator, and runs the tests that are to notice it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.bugs.bugs import Bug
from tests.harness.setup import ROOT

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
        timeout=1200,
        check=False,
    )
