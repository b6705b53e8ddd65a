"""Where a file comes from, by the git command; all of it is optional."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from belay.api.revision import Source, SourceGit

_SECONDS: Final = 10
_LONGEST: Final = 1024


@dataclass(frozen=True, slots=True)
class Provenance:
    """The source of a file, and who the repository says is at work."""

    source: Source
    author: str | None = None


def provenance(file: Path) -> Provenance:
    """What git knows of the file; without git or a commit only the path as it was given."""
    folder = file.resolve().parent
    commit, root = _git(folder, "rev-parse", "HEAD"), _git(folder, "rev-parse", "--show-toplevel")
    if not commit or not root or not folder.is_relative_to(Path(root).resolve()):
        return Provenance(Source(file=str(file)[:_LONGEST]))
    path = file.resolve().relative_to(Path(root).resolve())
    dirty = _git(folder, "status", "--porcelain", "--ignored", "--", file.name) != ""
    name, mail = _git(folder, "config", "user.name"), _git(folder, "config", "user.email")
    author = f"{name} <{mail}>" if name and mail else name or mail
    return Provenance(
        Source(file=path.as_posix()[:_LONGEST], git=SourceGit(commit=commit, dirty=dirty)),
        author[:256] if author else None,
    )


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where it is missing, fails or hangs."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and the arguments are our own
            command, capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip()
