"""Many running instances: they are written in batches, so that whoever waits is heard."""

from collections import Counter

import pytest
from tests.scenario.api import Call
from tests.scenario.machine import Weather
from tests.scenario.plots.instances import INSTANCES
from tests.scenario.scene import NAMESPACE, WORKFLOW, Scene
from tests.scenario.stage import Story, play
from tests.scenario.store import Server

from belay.shell.resources import CRON_JOBS, WORKFLOWS

COUNT, MOST = 300, 80


class Meddling:
    """Somebody changes the Workflow just before the nth write to an instance arrives."""

    def __init__(self, nth: int, change: str) -> None:
        self.nth, self.change = nth, change
        self.scene: Scene | None = None
        self.writes: Counter[str] = Counter()
        self.unheard = 0
        """Writes after the change that come before the operator asks for the Workflow again."""
        self._heard = True

    def __call__(self, _: Server, call: Call) -> None:
        if call.resource == WORKFLOWS and call.verb == "get":
            self._heard = True
        if self.scene is None or call.resource != CRON_JOBS or not call.writes:
            return
        self.writes[str(call.name)] += 1
        self.unheard += not self._heard
        if self.writes.total() == self.nth:
            self._heard = False
            if self.change == "wish":
                self.scene.wants("v3")
            elif self.change == "abort":
                self.scene.annotates("abort", "now")
            else:
                self.scene.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)


def played(nth: int, change: str = "wish") -> tuple[Scene, Meddling]:
    meddling = Meddling(nth, change)
    scenes: list[Scene] = []

    async def plot(scene: Scene) -> None:
        scenes.append(scene)
        for number in range(COUNT):
            scene.instance(CRON_JOBS, f"c{number}")
        await scene.stable_on("v1", instances=INSTANCES, verification={"preview": "None"})
        for revision in ("v2", "v3"):
            scene.publish(revision)
        meddling.scene = scene
        scene.wants("v2")
        if change == "delete":
            await scene.passes(20)
            await scene.sweeps()
            scene.name = "other"
            scene.workload("other")
            scene.publish("v1")
            scene.workflow("v1", ("other",))
        await scene.rest()

    play(Story("many", "Many", "Many instances.", plot), Weather(meddles=meddling))
    return scenes[0], meddling


@pytest.mark.parametrize("change", ["wish", "abort", "delete"])
def test_what_is_wished_while_many_are_paused_waits_for_one_batch_at_most(change: str) -> None:
    scene, meddling = played(100, change)
    assert 0 < meddling.unheard < MOST
    assert not any(scene.suspended().values())


def test_a_newer_wish_takes_over_what_is_paused_and_each_is_written_twice_in_all() -> None:
    scene, meddling = played(100)
    assert scene.server.get(WORKFLOWS, NAMESPACE, WORKFLOW)["status"]["active"]["revision"] == "v3"
    assert meddling.writes == {f"c{number}": 2 for number in range(COUNT)}


def test_a_newer_wish_while_many_are_let_go_pauses_those_again_that_had_gone_on() -> None:
    scene, meddling = played(COUNT + 100)
    assert 0 < meddling.unheard < MOST
    assert not any(scene.suspended().values())
    assert set(meddling.writes.values()) == {2, 4}
