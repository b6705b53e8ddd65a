"""Delivered ConfigMaps go when nothing can start a pod with them, and are looked for cheaply."""

from collections.abc import Callable

import pytest
from tests.scenario.api import Call
from tests.scenario.machine import Weather
from tests.scenario.refusals import refused
from tests.scenario.scene import NAMESPACE, Scene
from tests.scenario.stage import Plot, Story, play
from tests.scenario.store import Server

from belay.runtime.queue import WorkQueue
from belay.shell.resources import CONFIG_MAPS, JOBS, REPLICA_SETS

HOUR = 3600.0
ASIDE_IS_OFF = {"preview": "None", "window": "1s"}


def _played(plot: Plot, weather: Weather | None = None) -> None:
    play(Story("garbage", "Garbage", "What is left behind.", plot), weather)


async def _promoted(scene: Scene, *revisions: str, history: int = 10) -> None:
    """One after the other."""
    scene.workload(history=history)
    scene.publish(revisions[0])
    scene.workflow(revisions[0], verification=ASIDE_IS_OFF)
    await scene.rest()
    for revision in revisions[1:]:
        scene.publish(revision)
        scene.wants(revision)
        await scene.rest()
    await scene.passes(20)


def _prune(scene: Scene) -> None:
    """As the Deployment's controller does some time after a rollout."""
    for old in scene.server.list(REPLICA_SETS, NAMESPACE):
        if not old["spec"]["replicas"]:
            scene.server.delete(REPLICA_SETS, NAMESPACE, old["metadata"]["name"])


def test_content_that_a_replica_set_names_goes_when_the_replica_set_is_gone() -> None:
    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1", "v2", "v3")
        assert sorted(scene.kept()) == ["v1", "v2", "v3"]
        _prune(scene)
        scene.begin()
        await scene.passes(HOUR)
        assert scene.kept() == ["v3"]
        assert scene.machine.writes == 2

    _played(plot)


def test_a_look_that_failed_is_made_good_and_holds_nothing_up() -> None:
    denied: list[Call] = []

    def deny(_: Server, call: Call) -> None:
        if call.verb == "list" and call.resource == JOBS and len(denied) < 3:
            denied.append(call)
            raise refused(403, "Forbidden", "jobs.batch is forbidden")

    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1", "v2", history=0)
        assert sorted(scene.kept()) == ["v1", "v2"]
        await scene.passes(240)
        assert scene.kept() == ["v2"]
        assert len(denied) == 3

    _played(plot, Weather(meddles=deny))


def test_a_look_that_a_crash_prevented_is_made_good() -> None:
    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1", "v2", history=0)
        assert sorted(scene.kept()) == ["v1", "v2"]
        await scene.passes(720)
        assert scene.kept() == ["v2"]

    _played(plot, Weather(crashes=_at_the_end_of("v2")))


def test_a_deletion_that_failed_is_made_good() -> None:
    denied: list[Call] = []

    def deny(_: Server, call: Call) -> None:
        if call.verb == "delete" and call.resource == CONFIG_MAPS and not denied:
            denied.append(call)
            raise refused(503, "ServiceUnavailable", "etcd is busy")

    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1", "v2", history=0)
        await scene.passes(180)
        assert denied
        assert scene.kept() == ["v2"]

    _played(plot, Weather(meddles=deny))


def test_where_others_wait_the_look_comes_after_them(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def pressed(_: WorkQueue) -> bool:
        asked.append(True)
        return True

    monkeypatch.setattr(WorkQueue, "pressed", property(pressed))

    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1", in_place=("triage",))
        asked.clear()
        for revision in ("v2", "v3"):
            scene.publish(revision)
            scene.wants(revision)
            await scene.rest()
            await scene.passes(1)
            assert scene.kept() == [revision]
        assert len(asked) == 2, "each rollout's look gives way once"

    _played(plot)


def test_where_all_has_a_role_one_look_is_enough() -> None:
    looks: list[Call] = []

    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1")
        scene.begin()
        scene.machine.heard = _looks(looks)
        await scene.passes(3 * HOUR)
        assert scene.machine.writes == 0

    _played(plot)
    assert looks == []


def test_a_new_process_looks_once_and_not_at_once() -> None:
    looks: list[Call] = []

    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1")
        scene.machine.heard = _looks(looks)
        scene.machine.crash()
        await scene.passes(300)
        assert looks == []
        await scene.passes(3 * HOUR)

    _played(plot)
    assert len(looks) == 1


def test_what_stays_in_use_is_looked_at_ever_less_often() -> None:
    looks: list[Call] = []

    async def plot(scene: Scene) -> None:
        await _promoted(scene, "v1", "v2", "v3")
        scene.begin()
        scene.machine.heard = _looks(looks)
        await scene.passes(24 * HOUR)
        assert scene.machine.writes == 0
        assert sorted(scene.kept()) == ["v1", "v2", "v3"]

    _played(plot)
    assert 3 <= len(looks) <= 8


def _looks(into: list[Call]) -> Callable[[Call], None]:
    def hear(call: Call) -> None:
        if call.verb == "list" and call.resource == CONFIG_MAPS:
            into.append(call)

    return hear


def _at_the_end_of(revision: str) -> Callable[[int, Call], bool]:
    """Die once, after the status that promotes this revision was written."""
    died: list[int] = []

    def crashes(number: int, call: Call) -> bool:
        status = (call.body or {}).get("status") or {}
        ended = status.get("phase") == "Promoted" and status.get("stableRevision") == revision
        if ended and not died:
            died.append(number)
            return True
        return False

    return crashes
