"""Backups: whole or none, and what is damaged is not taken for good."""

import asyncio
import base64
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.scenario.api import FakeCluster
from tests.scenario.store import Server
from tests.unit.shell.virtual_time import now

from belay.core.keys import Key
from belay.shell.backups import store as backups
from belay.shell.backups.directory import DirectoryStore
from belay.shell.backups.secrets import SecretStore
from belay.shell.backups.store import Backup, Store, StoreError
from belay.shell.errors import Forbidden
from belay.shell.resources import SECRETS

KEY, NAME = Key("shop", "wf-1"), "wf-1-runs-0a1b2c3d-2-1-1"
DIGEST = "sha256:" + "a" * 64


def envelope(run: str, size: int = 0) -> dict[str, Any]:
    """Bytes that do not pack well, where a size is given."""
    noise = base64.b85encode(bytes(n * 7919 % 251 ^ n % 241 for n in range(size))).decode()
    return {"runId": run, "contentDigest": DIGEST, "sha256": DIGEST, "state": f"{run} {noise}"}


def backup(*runs: str, size: int = 0) -> Backup:
    content = {DIGEST: {"format": "JSON", "definition": "{}"}}
    return Backup({run: envelope(run, size) for run in runs}, content, {"revision": "v1"})


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.fixture(params=["secrets", "directory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "directory":
        return DirectoryStore(tmp_path)
    return SecretStore(FakeCluster(Server(now)))  # type: ignore[arg-type]


async def test_what_was_stored_comes_back_as_it_was(place: Store) -> None:
    kept = backup("run-1", "run-2")
    view = await backups.save(place, KEY, NAME, kept)
    assert set(view.runs) == {"run-1", "run-2"}
    assert await backups.load(place, KEY, NAME) == kept
    assert await backups.look(place, KEY, NAME) == view
    assert list(await place.names(KEY)) == [NAME]


async def test_a_second_try_after_a_crash_finds_its_own_parts(place: Store) -> None:
    for _ in range(2):
        await backups.save(place, KEY, NAME, backup("run-1"))
    assert await backups.load(place, KEY, NAME) == backup("run-1")


async def test_a_backup_without_its_index_is_none(place: Store) -> None:
    await place.put(KEY, NAME, "0123456789abcdef", b"a part")
    assert await backups.look(place, KEY, NAME) is None
    with pytest.raises(StoreError, match="never finished"):
        await backups.load(place, KEY, NAME)


async def test_a_large_backup_takes_several_parts(
    place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "PART_BYTES", 1000)
    kept = backup("run-1", size=20_000)
    await backups.save(place, KEY, NAME, kept)
    assert await backups.load(place, KEY, NAME) == kept


async def test_others_are_served_while_a_backup_is_packed_and_unpacked(
    place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both wait until the event loop has moved on; beside it they can, on it they cannot."""
    moved = threading.Event()

    def once_the_loop_moved(work: Callable[..., Any]) -> Callable[..., Any]:
        def then(*given: Any, **named: Any) -> Any:
            assert moved.wait(5), "the event loop stands still"
            moved.clear()
            return work(*given, **named)

        return then

    async def move() -> None:
        while True:
            await asyncio.sleep(0.01)
            moved.set()

    monkeypatch.setattr(backups, "_packed", once_the_loop_moved(backups._packed))
    monkeypatch.setattr(backups, "_unpacked", once_the_loop_moved(backups._unpacked))
    moving = asyncio.create_task(move())
    kept = backup("run-1")
    await backups.save(place, KEY, NAME, kept)
    assert await backups.load(place, KEY, NAME) == kept
    moving.cancel()


async def test_one_that_is_too_large_is_refused_before_anything_is_written(
    place: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "PART_BYTES", 100)
    monkeypatch.setattr(backups, "MOST_PARTS", 2)
    with pytest.raises(StoreError, match="the most is"):
        await backups.save(place, KEY, NAME, backup("run-1", size=20_000))
    assert list(await place.names(KEY)) == []


async def test_what_is_deleted_is_gone_and_others_stay(place: Store) -> None:
    other = "wf-1-runs-0a1b2c3d-3-1-1"
    for name in (NAME, other):
        await backups.save(place, KEY, name, backup("run-1"))
    await place.delete(KEY, NAME)
    assert list(await place.names(KEY)) == [other]
    assert await backups.look(place, KEY, NAME) is None


async def test_a_damaged_part_is_no_backup(tmp_path: Path) -> None:
    place = DirectoryStore(tmp_path)
    await backups.save(place, KEY, NAME, backup("run-1"))
    (part,) = [f for f in files(tmp_path) if f.name != "index"]
    part.write_bytes(part.read_bytes()[:-1] + b"x")
    with pytest.raises(StoreError, match="is damaged"):
        await backups.load(place, KEY, NAME)


async def test_what_reads_back_otherwise_gets_no_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that lies."""

    async def other(*_: Any) -> bytes:
        return b"something else"

    monkeypatch.setattr(DirectoryStore, "get", other)
    with pytest.raises(StoreError, match="does not read back"):
        await backups.save(DirectoryStore(tmp_path), KEY, NAME, backup("run-1"))
    assert "index" not in {f.name for f in files(tmp_path)}


async def test_a_name_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no name"):
        await DirectoryStore(tmp_path).put(KEY, "../elsewhere", "index", b"")


async def test_a_refusal_tells_the_role_to_grant() -> None:
    class Refusing(FakeCluster):
        async def create(self, *_: Any) -> dict[str, Any]:
            raise Forbidden(403, "Forbidden", "secrets is forbidden")

    place = SecretStore(Refusing(Server(now)))  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=r"deploy/samples/backup-role\.yaml"):
        await backups.save(place, KEY, NAME, backup("run-1"))


async def test_a_secret_of_another_type_is_no_backup() -> None:
    api = FakeCluster(Server(now))
    body = {"metadata": {"name": f"{NAME}-index"}, "type": "Opaque", "data": {"part": "eA=="}}
    await api.create(SECRETS, KEY.namespace, body)
    with pytest.raises(StoreError, match="its type is Opaque"):
        await backups.look(SecretStore(api), KEY, NAME)  # type: ignore[arg-type]
