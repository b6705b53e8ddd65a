"""`make faults-full`: every fault at every call, the world, and every bug that is put in."""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bugs.bugs import BUGS
from tests.bugs.noticing import FAILED, noticed
from tests.faults import __main__ as faults
from tests.faults import report, world
from tests.faults.records import Line, Records
from tests.harness.setup import ROOT

RESULTS = ROOT / "build/faults.jsonl"
DOCS = ROOT / "docs/reliability.md"
PARTS = ("plans", "world", "bugs")


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 where anything is wrong. What the results have already is not played again."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.full", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="go on from this file")
    parser.add_argument("--part", choices=PARTS, action="append", help="by default all of them")
    parser.add_argument("--at-once", type=int, default=16, help="plans side by side")
    parser.add_argument("--report", action="store_true", help="play nothing, show what there is")
    parser.add_argument("--write", action="store_true", help=f"the table, into {DOCS.name}")
    given = parser.parse_args(arguments)
    parts = () if given.report else given.part or PARTS
    shared = ["--results", str(given.results)]
    wrong = False
    if "plans" in parts:
        much = ["--seconds", "1e9", "--at-once", str(given.at_once)]
        wrong |= bool(faults.main([*shared, *much]))
    if "world" in parts:
        wrong |= bool(world.main(shared))
    if "bugs" in parts:
        wrong |= _bugs(Records(given.results))
    told = report.text(Records(given.results))
    print(told)
    if given.write:
        report.write(DOCS, told)
    return int(wrong)


def _bugs(records: Records) -> bool:
    """Put in those that are not known to be noticed; gives whether one is not."""
    done, wrong = records.done("bug"), False
    for bug in BUGS:
        if bug.name in done:
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="belay-bug-") as folder:
            code = noticed(bug, Path(folder)).returncode
        found = () if code == FAILED else (f"not noticed: pytest ended with {code}",)
        seconds = round(time.monotonic() - began, 1)
        records.add(Line("bug", bug.name, "bugs put in", found, seconds=seconds))
        print(f"Belay {bug}: {found[0] if found else 'noticed'}, {seconds} s", flush=True)
        wrong |= bool(found)
    return wrong


if __name__ == "__main__":
    sys.exit(main())
