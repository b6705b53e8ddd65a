"""What a place for backups can do, and what a backup looks like in it.

A backup is a list of parts, each known by the hash of what it holds, and an index that is written
last: without its index a backup is none.
"""

import asyncio
import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from belay.core.engine.view import BackupView, Kept
from belay.core.keys import Key

PART_BYTES: Final = 900 * 1024
"""Packed bytes of one part: a Secret ends at 1 MiB, with all that is written around its data."""
MOST_PARTS: Final = 64
MOST_UNPACKED: Final = 512 * 1024 * 1024
"""Bytes of a backup in memory; whoever may write Secrets could pack more into few."""
INDEX: Final = "index"


class StoreError(Exception):
    """The backup could not be stored or read. The message is for people, with the remedy."""

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing
        """Whether it may be another answer in a moment."""


class Store(Protocol):
    """A place for backups. Every failure is a `StoreError`."""

    async def put(self, key: Key, backup: str, part: str, data: bytes) -> None:
        """Store a part; one that is there with the same bytes is fine."""

    async def get(self, key: Key, backup: str, part: str) -> bytes | None:
        """The bytes of a part; None where there is none."""

    async def names(self, key: Key) -> Sequence[str]:
        """Names of the backups of this Workflow, unfinished ones, too."""

    async def delete(self, key: Key, backup: str) -> None:
        """Delete all parts of a backup, the index first."""


@dataclass(frozen=True, slots=True)
class Backup:
    """All that is needed to go on elsewhere."""

    envelopes: Mapping[str, dict[str, Any]]
    """By run."""
    contents: Mapping[str, dict[str, str]]
    """{revision, format, definition} by contentDigest, of the runs and of what ran."""
    target: Mapping[str, Any]
    """What the target ran: the names and digests of revision and ConfigMap."""


async def save(store: Store, key: Key, name: str, backup: Backup) -> BackupView:
    """Store a backup, read it back, and only then write its index."""
    packed = await asyncio.to_thread(_packed, backup)
    parts = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
    if len(parts) > MOST_PARTS:
        most = MOST_PARTS * PART_BYTES // 1024 // 1024
        raise StoreError(f"the backup has {len(packed)} bytes packed, and the most is {most} MiB")
    for part in parts:
        await store.put(key, name, _hash(part)[:16], part)
    for part in parts:
        found = await store.get(key, name, _hash(part)[:16])
        if found is None or _hash(found) != _hash(part):
            raise StoreError(f"backup {name}: what was stored does not read back as it was")
    index = _index(backup, [_hash(p) for p in parts], len(packed))
    await store.put(key, name, INDEX, index)
    return _view(name, _loaded(name, index))


async def look(store: Store, key: Key, name: str) -> BackupView | None:
    """What a backup holds; None where it is not there, or was never finished."""
    index = await store.get(key, name, INDEX)
    return None if index is None else _view(name, _loaded(name, index))


async def load(store: Store, key: Key, name: str) -> Backup:
    """A backup, all of whose hashes are right."""
    index = await store.get(key, name, INDEX)
    if index is None:
        raise StoreError(f"there is no backup {name}, or it was never finished")
    told = _loaded(name, index)
    packed = b""
    for digest in told["parts"]:
        part = await store.get(key, name, str(digest)[:16])
        if part is None or _hash(part) != digest:
            raise StoreError(f"backup {name} is damaged: part {str(digest)[:16]} is missing")
        packed += part
    return await asyncio.to_thread(_unpacked, name, packed)


def _packed(backup: Backup) -> bytes:
    """Takes a second for some 20 MB: in a thread, or the probes of all others would wait."""
    body = {
        "envelopes": {run: backup.envelopes[run] for run in sorted(backup.envelopes)},
        "contents": dict(sorted(backup.contents.items())),
        "target": dict(backup.target),
    }
    plain = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return gzip.compress(plain, 6, mtime=0)


def _index(backup: Backup, parts: list[str], size: int) -> bytes:
    runs = {
        run: [envelope["contentDigest"], envelope["sha256"]]
        for run, envelope in sorted(backup.envelopes.items())
    }
    body = {
        "schema": 1,
        "parts": parts,
        "bytes": size,
        "target": dict(backup.target),
        "runs": runs,
    }
    return gzip.compress(json.dumps(body, separators=(",", ":")).encode(), 6, mtime=0)


def _loaded(name: str, index: bytes) -> dict[str, Any]:
    try:
        told = json.loads(_unzipped(index))
        if told["schema"] != 1 or not isinstance(told["parts"], list):
            raise ValueError(told["schema"])  # noqa: TRY301
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"the index of backup {name} cannot be read") from error
    return dict(told)


def _view(name: str, told: Mapping[str, Any]) -> BackupView:
    return BackupView(name, {run: Kept(*kept) for run, kept in told["runs"].items()})


def _unpacked(name: str, packed: bytes) -> Backup:
    try:
        told = json.loads(_unzipped(packed))
        return Backup(told["envelopes"], told["contents"], told["target"])
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"backup {name} is damaged") from error


def _unzipped(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    found = unpacker.decompress(data, MOST_UNPACKED)
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise ValueError("cut off, or larger than what is read")
    return found


def _hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
