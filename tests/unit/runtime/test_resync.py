"""The periodic list: what it repairs, and what it makes of a silent source."""

import asyncio
from typing import Any

import pytest
from tests.unit.runtime.fake_api import FakeApi, until

from belay.core.keys import Key
from belay.runtime.deliveries import Deliveries
from belay.runtime.queue import WorkQueue
from belay.runtime.resync import Resync, ResyncSettings, SourceDead
from belay.shell.errors import NotFound, Unavailable

QUICK = ResyncSettings(period=0.02, patience=0.02, per_second=1e6)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Scene:
    def __init__(self, settings: ResyncSettings = QUICK) -> None:
        self.api = FakeApi()
        self.clock = Clock()
        self.queue = WorkQueue(self.clock)
        self.deliveries = Deliveries()
        api: Any = self.api
        self.resync = Resync(api, self.queue, self.deliveries, (None,), settings)

    def put(self, *names: str, delivered: bool = True) -> None:
        for name in names:
            self.api.put("shop", name)
            if delivered:
                self.deliver(name)

    def deliver(self, name: str, *, deleted: bool = False) -> None:
        self.deliveries.record(Key("shop", name), str(self.api.version), deleted=deleted)

    async def rounds(self, count: int) -> None:
        """Let it list so often."""
        run = asyncio.create_task(self.resync.run())
        await until(lambda: self.api.lists > count or run.done())
        if run.done():
            await run
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)

    async def round(self) -> None:
        """One list after the first."""
        await self.resync._round(*await self.resync._list())

    def queued(self, until: float = 1e9) -> list[str]:
        self.clock.now = until
        names = []
        while (key := self.queue.take()) is not None:
            names.append(key.name)
            self.queue.done(key)
        return names


async def test_every_workflow_is_visited_spread_over_the_period() -> None:
    scene = Scene(ResyncSettings(period=60, patience=15, per_second=5))
    scene.put(*"abcdef")
    await scene.round()
    assert scene.queued(until=0) == ["a"]
    assert scene.queued(until=31) == ["b", "c", "d"]
    assert scene.queued() == ["e", "f"]


async def test_of_very_many_each_round_visits_the_next() -> None:
    scene = Scene(ResyncSettings(period=0.02, patience=0.02, per_second=50))
    scene.put(*"abcde")
    visited: list[str] = []
    run = asyncio.create_task(scene.resync.run())
    await until(lambda: visited.extend(scene.queued()) or len(visited) >= 6)
    run.cancel()
    assert visited[:6] == list("abcdea")


async def test_a_source_that_misses_a_change_is_dead() -> None:
    scene = Scene()
    scene.put("a", "b")
    scene.put("b", delivered=False)
    with pytest.raises(SourceDead, match=r"1 Workflows changed .* such as shop/b"):
        await scene.rounds(2)


async def test_a_change_is_looked_at_before_its_late_event_comes() -> None:
    scene = Scene(ResyncSettings(period=60, patience=0.02))
    scene.put("a", "b")
    scene.put("b", delivered=False)
    round_ = asyncio.create_task(scene.round())
    await until(lambda: scene.queue.depth)
    assert "b" in scene.queued(until=0)
    scene.deliver("b")
    await round_


async def test_a_source_that_is_late_but_comes_on_lives() -> None:
    scene = Scene(ResyncSettings(period=0.02, patience=0.1))
    scene.put(*"abcd", delivered=False)

    async def catch_up() -> None:
        for name in "abcd":
            await asyncio.sleep(0.05)
            scene.deliver(name)

    late = asyncio.create_task(catch_up())
    await scene.rounds(3)
    await late


async def test_no_workflows_at_all_is_no_dead_source() -> None:
    scene = Scene()
    await scene.rounds(5)
    assert scene.resync.trouble == ""


async def test_an_event_newer_than_the_list_is_not_behind() -> None:
    deliveries = Deliveries()
    deliveries.record(Key("shop", "a"), "30", deleted=False)
    deliveries.record(Key("shop", "new"), "31", deleted=False)
    deliveries.record(Key("shop", "gone"), "32", deleted=True)
    listed = {Key("shop", "a"): 20, Key("shop", "gone"): 20}
    comparison = deliveries.compare(listed, at=25)
    assert (comparison.behind, comparison.gone) == ({}, frozenset())


async def test_a_deletion_that_no_event_told_of_is_looked_at_and_does_not_kill_the_source() -> None:
    scene = Scene()
    scene.put("a", "b")
    scene.api.delete("shop", "a")
    await scene.round()
    await scene.round()
    assert scene.queued() == ["a", "b"]


async def test_a_crd_that_comes_later_is_waited_for() -> None:
    scene = Scene()
    scene.api.refusals = [
        NotFound(404, "NotFound", "the server could not find the requested resource"),
        Unavailable(503, "ServiceUnavailable", "etcd is not ready"),
    ]
    scene.put("a")
    began = []
    run = asyncio.create_task(scene.resync.run(lambda: began.append(scene.api.lists)))
    for trouble in ("cannot be listed: 404", "cannot be listed: 503"):
        await until(lambda trouble=trouble: trouble in scene.resync.trouble)
    await until(lambda: not scene.resync.trouble)
    run.cancel()
    assert began == [3]
