"""A folder of finished files: each is made once and verified on every use."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.harness.setup import locked


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a finished file looked like: its full hash, and the cheap signs that it is the same."""

    size: int
    modified_ns: int
    sha256: str


class Store:
    """Files in one folder of the cache, named by what they are made of.

    A file appears under its name only when it is whole; an interrupted or a second, simultaneous
    build does no harm. A file whose content is not what was built is built again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifest = folder / "manifest.json"

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """Give the file; `make` writes it to the path it is handed if it is not there yet."""
        path = self.folder / name
        if self._intact(path):
            return path
        with locked(self.folder / ".lock", f"making {name}"):
            if self._intact(path):
                return path
            unfinished = self.folder / f".{name}.{os.getpid()}"
            try:
                make(unfinished)
                self._record(name, unfinished)
                unfinished.replace(path)
            finally:
                unfinished.unlink(missing_ok=True)
        return path

    def missing(self, names: Iterable[str]) -> list[str]:
        """Those of the files that `get` would have to make."""
        return [name for name in names if not self._intact(self.folder / name)]

    def _intact(self, path: Path) -> bool:
        known = self._read().get(path.name)
        if known is None or not path.exists():
            return False
        now = path.stat()
        if (now.st_size, now.st_mtime_ns) == (known.size, known.modified_ns):
            return True
        return now.st_size == known.size and _sha256(path) == known.sha256

    def _record(self, name: str, unfinished: Path) -> None:
        seen = unfinished.stat()
        entries = self._read()
        entries[name] = Fingerprint(seen.st_size, seen.st_mtime_ns, _sha256(unfinished))
        text = json.dumps({key: asdict(value) for key, value in entries.items()}, indent=1)
        fresh = self._manifest.with_suffix(".tmp")
        fresh.write_text(text)
        fresh.replace(self._manifest)

    def _read(self) -> dict[str, Fingerprint]:
        if not self._manifest.exists():
            return {}
        entries = json.loads(self._manifest.read_text())
        return {name: Fingerprint(**entry) for name, entry in entries.items()}


def content_key(parts: Iterable[str | bytes | Path]) -> str:
    """A short name for a set of inputs: texts as they are, files and folders by their content."""
    total = hashlib.sha256()
    for part in parts:
        for piece in _pieces(part):
            total.update(len(piece).to_bytes(8, "big") + piece)
    return total.hexdigest()[:16]


def _pieces(part: str | bytes | Path) -> Iterable[bytes]:
    match part:
        case str():
            yield part.encode()
        case bytes():
            yield part
        case Path() if part.is_dir():
            for file in sorted(part.rglob("*")):
                if file.is_file() and "__pycache__" not in file.parts:
                    yield str(file.relative_to(part)).encode()
                    yield str(file.stat().st_mode & 0o111).encode()
                    yield file.read_bytes()
        case Path():
            yield part.read_bytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
