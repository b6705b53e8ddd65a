"""What was measured, as a table of Markdown that the command itself writes into the docs."""

import os
import platform
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT

PAGE = ROOT / "docs/benchmarks.md"


@dataclass(slots=True)
class Report:
    """One part of the benchmarks: where and when it was measured, and its tables."""

    part: str
    """Stands in the markers `<!-- part -->` and `<!-- /part -->` of the page."""
    where: str
    _pieces: list[str] = field(default_factory=list)

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Add a table, and print it."""
        lines = [_line(head), _line(["---"] * len(head)), *map(_line, rows)]
        self._add("\n".join(lines))

    def text(self, words: str) -> None:
        """Add a paragraph, and print it."""
        self._add(words)

    def write(self, page: Path = PAGE) -> None:
        """Put all of it between the markers of its part, or at the end with a heading."""
        begin, end = f"<!-- {self.part} -->", f"<!-- /{self.part} -->"
        found = re.compile(f"{begin}\n.*?{end}", re.DOTALL)
        body = "\n\n".join([f"{begin}\n{self.where}", *self._pieces])
        text = page.read_text()
        if begin not in text:
            text += f"\n## {self.part.capitalize()}\n\n{begin}\n{end}\n"
        page.write_text(found.sub(lambda _: f"{body}\n{end}", text))

    def _add(self, piece: str) -> None:
        self._pieces.append(piece)
        print(f"\n{piece}", flush=True)


def started(part: str, cluster: Cluster | None = None) -> Report:
    """A report whose heading tells machine, versions and how busy the machine is now."""
    found = f"Kubernetes {_version(cluster)}, " if cluster is not None else ""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = os.getloadavg()[0]
    where = (
        f"Measured {datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {found}Python "
        f"{platform.python_version()}, {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"load {load:.1f} before."
    )
    print(f"\n{where}", flush=True)
    return Report(part, where)


def _version(cluster: Cluster) -> str:
    found = re.search(r'"gitVersion": *"([^"]+)"', cluster.kubectl("get", "--raw", "/version"))
    return found[1] if found else "of an unknown version"


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", info.read_text()) if info.exists() else None
    return found[1] if found else platform.machine()


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def percentile(of: Sequence[float], share: int) -> float:
    """The value that so many of a hundred do not exceed."""
    return statistics.quantiles(of, n=100, method="inclusive")[share - 1]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"
