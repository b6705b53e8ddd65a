"""Backups in a folder, such as a mounted volume: the administrator's choice for large ones."""

import asyncio
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from belay.core.keys import Key
from belay.shell.backups.store import StoreError

_NAME: Final = re.compile(r"[A-Za-z0-9][-.A-Za-z0-9]{0,252}")


@dataclass(frozen=True, slots=True)
class DirectoryStore:
    """A folder for each backup, in one for each Workflow, in one for each namespace."""

    root: Path

    async def put(self, key: Key, backup: str, part: str, data: bytes) -> None:
        try:
            await asyncio.to_thread(_write, self._folder(key, backup) / _safe(part), data)
        except OSError as error:
            raise _told(error, "written") from error

    async def get(self, key: Key, backup: str, part: str) -> bytes | None:
        file = self._folder(key, backup) / _safe(part)
        try:
            return await asyncio.to_thread(file.read_bytes)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _told(error, "read") from error

    async def names(self, key: Key) -> Sequence[str]:
        try:
            return await asyncio.to_thread(_names, self._home(key))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise _told(error, "listed") from error

    async def delete(self, key: Key, backup: str) -> None:
        try:
            await asyncio.to_thread(_remove, self._folder(key, backup))
        except OSError as error:
            raise _told(error, "deleted") from error

    def _home(self, key: Key) -> Path:
        return self.root / _safe(key.namespace) / _safe(key.name)

    def _folder(self, key: Key, backup: str) -> Path:
        return self._home(key) / _safe(backup)


def _write(file: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk before anything relies on it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.new")
    with fresh.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    fresh.chmod(0o600)
    fresh.rename(file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _names(home: Path) -> list[str]:
    return sorted(one.name for one in home.iterdir())


def _remove(folder: Path) -> None:
    (folder / "index").unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)


def _safe(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise StoreError(f"{name!r} is no name of a backup")
    return name


def _told(error: OSError, verb: str) -> StoreError:
    words = os.strerror(error.errno).lower() if error.errno else type(error).__name__
    return StoreError(f"the folder of backups (belay run --backups) could not be {verb}: {words}")
