"""What a process uses, as the kernel counts it (Linux)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

MIB = 1024.0
"""/proc counts in KiB."""


@dataclass(frozen=True, slots=True)
class Usage:
    """One process at one moment. Memory in MiB."""

    at: float
    """Of the monotonic clock."""
    cpu: float
    """Seconds of processor time so far, in and outside the kernel."""
    rss: float
    peak: float
    anonymous: float
    """The part of `rss` that no file stands behind."""
    files: int
    """Open file descriptors."""
    threads: int

    def share_since(self, before: "Usage") -> float:
        """Per cent of one core."""
        return 100 * (self.cpu - before.cpu) / (self.at - before.at)


def usage(pid: int) -> Usage:
    folder = Path(f"/proc/{pid}")
    told = dict(
        line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line
    )
    ticks = (folder / "stat").read_text().rpartition(")")[2].split()
    return Usage(
        at=time.monotonic(),
        cpu=(int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"),
        rss=_mib(told["VmRSS"]),
        peak=_mib(told["VmHWM"]),
        anonymous=_mib(told["RssAnon"]),
        files=len(list((folder / "fd").iterdir())),
        threads=int(told["Threads"]),
    )


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / MIB
