"""The table of a full run, as it stands in docs/reliability.md."""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from tests.faults.plans import plans_of
from tests.faults.records import Line, Records

BEGIN, END = "<!-- faults-full: begin -->", "<!-- faults-full: end -->"
_TITLES = {
    "plan": "one fault at one call or event",
    "handover": "a leader is lost",
    "outage": "the world breaks",
    "poison": "hostile neighbours",
    "bug": "bugs put in on purpose, and noticed",
}
_HEAD = "| What | Played | Came to pass | Violations |\n|---|---|---|---|"


def text(records: Records) -> str:
    """Markdown: when and how long, the sums, and a row for each kind."""
    parts: defaultdict[str, list[Line]] = defaultdict(list)
    for line in records.last:
        parts[line.part].append(line)
    every = sum(
        sum(1 for _ in plans_of(name, verbs, events))
        for name, (verbs, events) in records.calls.items()
    )
    rows = [row for part in _TITLES if part in parts for row in _rows(part, parts[part], every)]
    return "\n".join([_when(records.lines), "", _HEAD, *rows])


def _rows(part: str, lines: Sequence[Line], every: int) -> Iterator[str]:
    of = f" of {every:,}" if part == "plan" else ""
    yield _row(f"**{_TITLES[part]}**", lines, of)
    kinds: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        kinds[line.kind].append(line)
    if len(kinds) > 1 or part == "poison":
        yield from (_row(kind, kinds[kind]) for kind in sorted(kinds))


def _row(what: str, lines: Sequence[Line], of: str = "") -> str:
    came = sum(line.came_to_pass for line in lines)
    wrong = sum(bool(line.violations) for line in lines)
    return f"| {what} | {len(lines):,}{of} | {came:,} | {wrong} |"


def _when(lines: Iterable[Line]) -> str:
    """In how many goes, how long, and how busy the machine was."""
    lasted: defaultdict[str, float] = defaultdict(float)
    loads = [line.load for line in lines] or [0.0]
    for line in lines:
        lasted[line.run] = max(lasted[line.run], line.after)
    day = max(lasted, default="")[:10]
    minutes = sum(lasted.values()) / 60
    load = sum(loads) / len(loads)
    return (
        f"As of {day}: {minutes:.0f} minutes on {os.cpu_count()} cores, in {len(lasted)} goes; the "
        f"load of the machine, which had other work too, was {load:.0f} on average."
    )


def write(file: Path, told: str) -> None:
    """Between the markers."""
    old = file.read_text()
    new = re.sub(
        f"{re.escape(BEGIN)}.*{re.escape(END)}",
        lambda _: f"{BEGIN}\n{told}\n{END}",
        old,
        flags=re.DOTALL,
    )
    if BEGIN not in new:
        raise SystemExit(f"{file} has no place for the table: {BEGIN} ... {END}")
    file.write_text(new)
