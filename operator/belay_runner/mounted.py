"""The folder that Belay delivers into: the pointer, the definition it names, values beside it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

POINTER = "current.json"
_BINDINGS = "bindings"


@dataclass(frozen=True, slots=True)
class Delivered:
    """A definition, read and found to be the one that the pointer promises."""

    content_digest: str
    text: str


class Damaged(Exception):
    """The folder does not hold what its pointer promises."""


def digest_of(text: str) -> str:
    """ContentDigest of a definition."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def short(content_digest: str) -> str:
    return content_digest.removeprefix("sha256:")[:16]


def delivered(mount: Path) -> Delivered | None:
    """What the pointer names now; None where there is no pointer."""
    try:
        pointer = json.loads((mount / POINTER).read_text())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise Damaged(f"{POINTER}: {error}") from error
    try:
        digest, name = str(pointer["contentDigest"]), Path(str(pointer["file"])).name
        text = _file(mount, digest, name).read_bytes().decode()
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise Damaged(f"what {POINTER} names cannot be read: {error}") from error
    if digest_of(text) != digest:
        raise Damaged(f"{name} is not what {POINTER} promises ({digest})")
    return Delivered(digest, text)


def _file(mount: Path, digest: str, name: str) -> Path:
    """In a folder of its own where pods are replaced, beside the pointer where they are not."""
    own = mount / "revisions" / short(digest) / name
    return own if own.exists() else mount / name


def values(mount: Path, content_digest: str, folder: Path | None) -> dict[str, str]:
    """env.NAME of what is mounted: for all revisions, and over it the bindings of this one.

    Read anew for each run, because kubelet brings rotated Secrets up to date.
    """
    beside = mount / "revisions" / short(content_digest) / _BINDINGS
    return {**_texts(folder), **_texts(beside)}


def _texts(folder: Path | None) -> dict[str, str]:
    if folder is None or not folder.is_dir():
        return {}
    files = (f for f in folder.iterdir() if f.is_file() and not f.name.startswith("."))
    return {file.name: file.read_text() for file in files}
