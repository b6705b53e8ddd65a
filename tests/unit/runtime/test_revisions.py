"""The index of revisions: what a list and a watch make of it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from tests.unit.runtime.fake_api import FakeApi

from belay.core.keys import Key
from belay.runtime.revisions import Revisions
from belay.shell.errors import NotFound

TRIAGE = Key("shop", "triage")
NIGHTLY = Key("shop", "triage-nightly")


class Woken:
    """Keys that were woken, and a way to wait for the next."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[Key] = asyncio.Queue()

    def __call__(self, key: Key) -> None:
        self.queue.put_nowait(key)

    async def next(self) -> Key:
        return await asyncio.wait_for(self.queue.get(), 5)


@pytest.fixture
async def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
async def follow(api: Any, woken: Woken) -> AsyncIterator[Callable[..., Any]]:
    tasks = []

    async def start(*namespaces: str | None) -> Revisions:
        revisions = Revisions(api, namespaces or (None,), woken)
        tasks.append(asyncio.create_task(revisions.run()))
        await asyncio.wait_for(revisions.listed.wait(), 5)
        return revisions

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_last_hyphen_splits_workflow_and_revision(
    api: FakeApi, follow: Callable[..., Any]
) -> None:
    api.put("shop", "triage-v1", labels={"belay.dev/managed": "true"})
    api.put("shop", "triage-nightly-v1")
    api.put("shop", "triage-v2.1")
    revisions = await follow()
    assert set(revisions.known(TRIAGE)) == {"v1", "v2.1"}
    assert set(revisions.known(NIGHTLY)) == {"v1"}
    assert revisions.known(TRIAGE)["v1"].managed
    assert not revisions.known(TRIAGE)["v2.1"].managed
    assert revisions.known(Key("other", "triage")) == {}


async def test_a_server_that_cannot_stream_is_read_by_pages_and_nobody_is_woken_for_it(
    api: FakeApi, follow: Callable[..., Any], woken: Woken
) -> None:
    api.streams = False
    for number in range(5):
        api.put("shop", f"triage-v{number}")
    revisions = await follow()
    assert set(revisions.known(TRIAGE)) == {f"v{number}" for number in range(5)}
    assert woken.queue.empty()


async def test_a_revision_that_comes_changes_or_goes_wakes_its_workflow(
    api: FakeApi, follow: Callable[..., Any], woken: Woken
) -> None:
    revisions = await follow()
    api.put("shop", "triage-v1")
    assert await woken.next() == TRIAGE
    api.put("shop", "triage-v1", labels={"belay.dev/managed": "true"})
    assert await woken.next() == TRIAGE
    assert revisions.known(TRIAGE)["v1"].managed
    api.delete("shop", "triage-v1")
    assert await woken.next() == TRIAGE
    assert revisions.known(TRIAGE) == {}


async def test_a_watch_that_breaks_goes_on_where_it_was(
    api: FakeApi, follow: Callable[..., Any], woken: Woken
) -> None:
    await follow()
    api.put("shop", "triage-v1")
    await woken.next()
    api.break_watches()
    api.put("shop", "triage-v2")
    assert await woken.next() == TRIAGE
    assert (api.lists, woken.queue.empty()) == (1, True)


async def test_what_vanished_unseen_is_gone_after_the_next_list_and_nobody_else_is_woken(
    api: FakeApi, follow: Callable[..., Any], woken: Woken
) -> None:
    api.put("shop", "triage-v1")
    api.put("shop", "triage-nightly-v1")
    revisions = await follow()
    while not woken.queue.empty():
        woken.queue.get_nowait()
    api.delete("shop", "triage-v1")
    api.break_watches(forget=True)
    assert await woken.next() == TRIAGE
    assert revisions.known(TRIAGE) == {}
    assert set(revisions.known(NIGHTLY)) == {"v1"}
    assert woken.queue.empty()


async def test_a_crd_that_comes_later_is_waited_for(
    api: FakeApi, follow: Callable[..., Any]
) -> None:
    api.refusals = [NotFound(404, "NotFound", "the server could not find the resource")] * 2
    api.put("shop", "triage-v1")
    revisions = await follow()
    assert set(revisions.known(TRIAGE)) == {"v1"}
