"""A Python that the reference runner can run on, with the runner's own locked packages."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.harness.setup import ROOT, SetupError, cache_home, locked, run, step
from tests.harness.store import content_key

from belay_runner.main import refusal

LOCK = ROOT / "deploy/runner/requirements.lock"
_NAMES = ("python3.13", "python3.12", "python3")
_ASK = "import sys, venv; print(*sys.version_info[:3], sys.base_prefix)"
_CHECK = """
import sys
from importlib.metadata import version
for line in sys.stdin.read().split():
    name, wanted = line.split("==")
    assert version(name) == wanted, name
"""


def python() -> Path:
    """The interpreter of a finished environment, made at the first use.

    Raises `SetupError` where the machine has no Python that fits.
    """
    base, version = _fitting()
    key = content_key([LOCK, version, str(base)])
    home = cache_home() / f"runner-{key}"
    found = home / "bin/python"
    with locked(home.with_suffix(".lock"), "making the runner's environment"):
        if not _whole(found):
            with step(f"making an environment for the reference runner (Python {version})"):
                _make(base, home)
    return found


def _make(base: Path, home: Path) -> None:
    """In a folder aside, which gets its name when it is whole."""
    unfinished = home.with_suffix(".unfinished")
    for folder in (unfinished, home):
        shutil.rmtree(folder, ignore_errors=True)
    run([base, "-m", "venv", "--without-pip", unfinished])
    uv = Path(sys.executable).parent / "uv"
    run([uv, "pip", "install", "--quiet", "--compile-bytecode", "--require-hashes", "--no-deps",
         "--python", unfinished / "bin/python", "--requirement", LOCK])  # fmt: skip
    unfinished.rename(home)
    if not _whole(home / "bin/python"):
        raise SetupError(f"the packages in {home} are not those of {LOCK}")


def _whole(python: Path) -> bool:
    if not python.exists():
        return False
    pins = "\n".join(re.findall(r"^[-_.a-zA-Z0-9]+==[^\s;]+", LOCK.read_text(), re.MULTILINE))
    done = subprocess.run([python, "-I", "-c", _CHECK], input=pins, text=True, check=False,
                          capture_output=True)  # fmt: skip
    return done.returncode == 0


def _fitting() -> tuple[Path, str]:
    seen = []
    for candidate in _candidates():
        told = subprocess.run([candidate, "-c", _ASK], text=True, capture_output=True, check=False)
        if told.returncode:
            continue
        major, minor, micro, prefix = told.stdout.strip().split(" ", 3)
        version = f"{major}.{minor}.{micro}"
        seen.append(version)
        if refusal((int(major), int(minor), int(micro))) is None and int(minor) < 14:
            return Path(prefix) / f"bin/python{major}.{minor}", version
    there = f"only {', '.join(dict.fromkeys(seen))}" if seen else "none"
    raise SetupError(
        f"the reference runner needs Python 3.12, or 3.13.3 and newer; here is {there}"
    )


def _candidates() -> Iterator[Path]:
    """What the path finds, and what pyenv keeps beside it."""
    for name in _NAMES:
        found = shutil.which(name)
        if found:
            yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from sorted(pyenv.glob("versions/3.1[23]*/bin/python3"), reverse=True)
