"""Long-lived child processes, known by pid and start time, so that none is left behind."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.harness.setup import SetupError

_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}
"""Those that this very process started: it has to reap them."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one cluster, recorded as files in `folder` with their logs beside them.

    `owned`: they die with the thread that started them, however that ends (Linux).
    """

    folder: Path
    owned: bool

    def start(
        self, name: str, command: Sequence[str | Path], keep_open: Sequence[int] = ()
    ) -> None:
        """Start one process; its output goes to `<name>.log`. It inherits `keep_open`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        words = [*(dying_with_us() if self.owned else ()), *map(str, command)]
        with self.log(name).open("wb") as log:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=_environment(),
                pass_fds=keep_open,
            )
        _CHILDREN[process.pid] = process
        record = {"pid": process.pid, "started": _started(process.pid)}
        (self.folder / f"{name}.json").write_text(json.dumps(record))

    def log(self, name: str) -> Path:
        """Where a process writes what it has to say."""
        return self.folder / f"{name}.log"

    def alive(self, name: str) -> bool:
        """Whether the process that was recorded under this name still runs."""
        record = self.folder / f"{name}.json"
        return record.exists() and _same_process(**json.loads(record.read_text()))

    def await_(self, what: str, name: str, good: Callable[[], bool], seconds: float = 90) -> None:
        """Wait until `good`; the process's death or the end of the time is a `SetupError`."""
        end = time.monotonic() + seconds
        while not good():
            if not self.alive(name):
                raise SetupError(f"{name} ended before {what}:\n{self._last_words(name)}")
            if time.monotonic() > end:
                raise SetupError(f"no {what} within {seconds:.0f} s:\n{self._last_words(name)}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Kill all that were recorded and still are the same processes; forget them."""
        pids = []
        for record in self.folder.glob("*.json"):
            entry = json.loads(record.read_text() or "{}")
            if entry and _same_process(**entry):
                pids.append(entry["pid"])
            record.unlink()
        kill(pids)

    def _last_words(self, name: str) -> str:
        return self.log(name).read_text(errors="replace")[-3000:]


def dying_with_us() -> list[str]:
    """Put before a command: it dies with the thread that starts it, however that ends (Linux).

    The kernel is asked by the child itself, so the child looks whether we died before that.
    """
    if not shutil.which("setpriv"):
        return []
    unless_orphaned = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "sh", "-c", unless_orphaned, str(os.getpid())]


def kill(pids: Sequence[int]) -> None:
    """Kill processes and wait until they are gone."""
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    end = time.monotonic() + 10
    while (left := [pid for pid in pids if _runs(pid)]) and time.monotonic() < end:
        time.sleep(0.01)
    if left:
        raise SetupError(f"processes that cannot be killed: {left}")


def _runs(pid: int) -> bool:
    """Whether the process is there and no zombie; a child of ours is reaped."""
    child = _CHILDREN.get(pid)
    if child is None:
        return _started(pid) is not None
    if child.poll() is None:
        return True
    del _CHILDREN[pid]
    return False


def _same_process(pid: int, started: str | None) -> bool:
    return started is not None and _runs(pid) and _started(pid) == started


def _started(pid: int) -> str | None:
    """When the process was started, in the kernel's own words; None if it is not (or a zombie)."""
    stat = Path(f"/proc/{pid}/stat")
    if not Path("/proc/self").exists():
        shown = subprocess.run(
            ["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
        )
        return shown.stdout.strip() or None
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else fields[19]


def _environment() -> dict[str, str]:
    """No proxies, for the components talk to this machine only; and less collecting of garbage."""
    kept = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    return {"GOGC": "150", **kept}
