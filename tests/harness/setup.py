"""What every part of the set-up shares: places on disk, locks, progress, commands, one error."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The project's own folder."""
_PATIENCE = 20
"""Seconds that a person waits without wondering whether it hangs."""


class SetupError(Exception):
    """The set-up cannot go on; the message is one for the person, with the remedy in it."""


def cache_home() -> Path:
    """Where finished builds are kept between runs (XDG base directories)."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "belay"


def state_home() -> Path:
    """Where running clusters keep their files (XDG base directories)."""
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "belay"


def say(text: str) -> None:
    """Tell the person at the terminal what happens, without waiting for a full buffer."""
    print(text, file=sys.stderr, flush=True)


@contextmanager
def step(what: str) -> Iterator[None]:
    """Announce a piece of work that takes a while, say that it goes on, and how long it took."""
    say(f"  {what} ...")
    began = time.monotonic()
    done = threading.Event()

    def go_on() -> None:
        while not done.wait(_PATIENCE):
            say(f"  {what}: {time.monotonic() - began:.0f} s so far ...")

    threading.Thread(target=go_on, daemon=True).start()
    try:
        yield
    finally:
        done.set()
    say(f"  {what}: {time.monotonic() - began:.1f} s")


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | None = None,
) -> str:
    """Run a command to its end and give its output; `SetupError` with its last words if it fails.

    `env` is added to this process's environment.
    """
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=stdin if stdin is not None else "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        words = " ".join(str(part) for part in command)
        said = (done.stderr.strip() or done.stdout.strip())[-2000:]
        raise SetupError(f"`{words[:300]}` ended with {done.returncode}:\n{said}")
    return done.stdout


def run_binary(command: Sequence[str | Path], *, cwd: Path) -> bytes:
    """As `run`, for output that is no text."""
    done = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()[-2000:]
        raise SetupError(f"`{command[0]} {command[1]}` ended with {done.returncode}:\n{said}")
    return done.stdout


@contextmanager
def locked(path: Path, purpose: str) -> Iterator[None]:
    """Hold an exclusive lock on a file; waiting for another process is announced, not silent.

    The kernel frees the lock when its holder dies, however it dies.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            say(f"  waiting for process {file.read().strip() or '?'}, which is at {purpose}")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()))
        file.flush()
        yield
