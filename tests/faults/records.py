"""What was played, line by line in a file: a run that is interrupted goes on where it was."""

import json
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was played, and what came of it."""

    part: str
    """`plan`, `handover`, `outage`, `poison` or `bug`."""
    name: str
    kind: str
    """What it is counted under."""
    violations: tuple[str, ...] = ()
    came_to_pass: bool = True
    seconds: float = 0.0
    run: str = ""
    """When the process began that played it."""
    after: float = 0.0
    """Seconds since then."""
    load: float = 0.0
    """Of the machine, then."""


class Records:
    """What is known from a file, and what is added to it; without a file, only the latter."""

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self._run = datetime.now(UTC).isoformat(timespec="seconds")
        self._began = time.monotonic()
        self.lines: list[Line] = []
        self.calls: dict[str, tuple[list[str], int]] = {}
        """By scenario: the verbs of the undisturbed calls, and how many events were watched."""
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            for text in file.read_text().splitlines() if file.exists() else ():
                self._read(json.loads(text))

    def _read(self, told: dict[str, Any]) -> None:
        if "calls" in told:
            self.calls[told["scenario"]] = (told["calls"], told["events"])
        else:
            self.lines.append(Line(**{**told, "violations": tuple(told["violations"])}))

    @property
    def last(self) -> list[Line]:
        """What was played more than once counts as it was in the end."""
        return list({(line.part, line.name): line for line in self.lines}.values())

    def done(self, part: str) -> set[str]:
        """What was played, and nothing was wrong."""
        return {line.name for line in self.last if line.part == part and not line.violations}

    def add(self, line: Line) -> None:
        told = asdict(line) | {
            "run": self._run,
            "after": round(time.monotonic() - self._began, 1),
            "load": round(os.getloadavg()[0], 1),
        }
        self._write(told)
        self._read(told)

    def count(self, scenario: str, calls: Sequence[str], events: int) -> None:
        """Where faults may come to pass in this scenario, for all runs that share the file."""
        if scenario not in self.calls:
            told = {"scenario": scenario, "calls": list(calls), "events": events}
            self._write(told)
            self._read(told)

    def _write(self, told: dict[str, Any]) -> None:
        if self._file is not None:
            with self._file.open("a") as file:
                file.write(json.dumps(told) + "\n")
