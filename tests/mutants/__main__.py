"""`make mutants`: small changes of core/, one at a time, which its unit tests are to notice.

mutmut makes them in a copy, and forks a pytest for each, with the tests that come by it. All of
them take hours. By default it is one of each function: its n-th, with n drawn by the seed.
"""

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from tests.harness.setup import ROOT, say

FOLDER = ROOT / "build/mutants"
COPIED = ("tests", "crds", "deploy", "charts", "docs")
MUTMUT = Path(sys.executable).with_name("mutmut")
NTH = 6
"""At most: few functions have many more."""
SETTINGS = """
[tool.mutmut]
source_paths = ["src"]
only_mutate = ["src/belay/core/*"]
also_copy = ["crds", "deploy", "charts", "docs"]
pytest_add_cli_args_test_selection = ["tests/unit/core", "tests/unit/revisions"]
pytest_add_cli_args = ["-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--cluster=control-plane"]
"""
NOTICED = frozenset({"killed", "timeout"})


def main() -> int:
    """Gives 1 where one is not noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--seed", type=int, default=Random().randrange(10**6))
    parser.add_argument("--nth", type=int, help="of each function; else by the seed; 0 is all")
    parser.add_argument("--only", default="", help="a part of core/, such as rest")
    parser.add_argument("--children", type=int, default=2, help="processes side by side")
    given = parser.parse_args()
    nth = Random(given.seed).randint(1, NTH) if given.nth is None else given.nth
    which = f"belay.core.{given.only}*" + (f"__mutmut_{nth}" if nth else "")
    say(f"mutants {which} (--seed {given.seed})")
    _copy()
    _run("--max-children", str(given.children), which)
    listed = (line.strip().split(": ") for line in _told("results", "--all", "true").splitlines())
    states = {name: state for name, state in listed if state != "not checked"}
    unnoticed = sorted(name for name, state in states.items() if state not in NOTICED)
    for name in unnoticed:
        print(f"\n{states[name]}: {_told('show', name)}")
    told = (f"{count:,} {state}" for state, count in Counter(states.values()).most_common())
    say(f"{len(states):,} mutants: {', '.join(told)}")
    return int(bool(unnoticed))


def _copy() -> None:
    """The working tree; mutmut takes a package for importable if its folder is called src."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    without = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "operator", FOLDER / "src", ignore=without)
    for name in COPIED:
        shutil.copytree(ROOT / name, FOLDER / name, ignore=without)
    project = (ROOT / "pyproject.toml").read_text()
    project = project.replace('pythonpath = ["operator", "."]', 'pythonpath = ["src", "."]')
    (FOLDER / "pyproject.toml").write_text(project + SETTINGS)


def _run(*words: str) -> None:
    """Its spinner, thousands of lines where it is not looked at, goes to a file."""
    log = FOLDER / "mutmut.log"
    say(f"progress: {log.relative_to(ROOT)}")
    with log.open("w") as out:
        done = subprocess.run([MUTMUT, "run", *words], cwd=FOLDER, stdout=out, check=False)
    if done.returncode:
        sys.exit(log.read_text()[-3000:])


def _told(*words: str) -> str:
    return subprocess.run(
        [MUTMUT, *words], cwd=FOLDER, stdout=subprocess.PIPE, text=True, check=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main())
