"""The same stories when events come late and in any order, and when the operator keeps dying."""

import json
from collections.abc import Callable
from functools import cache, partial
from random import Random

import pytest
from tests.scenario.api import Call
from tests.scenario.machine import Weather
from tests.scenario.ownership import Entry
from tests.scenario.records import Write
from tests.scenario.scene import NAMESPACE, Scene
from tests.scenario.stage import STORIES, Run, Story, play
from tests.scenario.store import Server

from belay.api.names import LABEL_PREVIEW
from belay.shell.errors import Conflict
from belay.shell.resources import PODS, WORKFLOWS

NAMES = sorted(STORIES)
SAMPLE = 6
"""Stories that a run of `make test` plays in each kind of weather."""


@pytest.fixture
def sample(seed: int, request: pytest.FixtureRequest) -> list[str]:
    """All stories in a full run, else some by the seed."""
    if request.config.getoption("--full"):
        return NAMES
    return Random(f"{seed}-{request.node.name}").sample(NAMES, SAMPLE)


@cache
def undisturbed(name: str) -> Run:
    return play(STORIES[name])


def test_stories_end_the_same_when_the_operator_dies_after_every_step(sample: list[str]) -> None:
    for name in sample:
        run = play(STORIES[name], Weather(crashes=_after_every_step()))
        assert run.ending == undisturbed(name).ending, name
        assert run.restarts > 3, name


def test_stories_end_the_same_when_no_operator_outlives_its_first_write(sample: list[str]) -> None:
    for name in sample:
        run = play(STORIES[name], Weather(crashes=lambda *_: True))
        assert run.ending == undisturbed(name).ending, name
        assert run.restarts > 3, name


def test_stories_end_the_same_in_any_order_of_events(seed: int, sample: list[str]) -> None:
    for name in sample:
        run = play(STORIES[name], Weather(rng=Random(f"{seed}-order-{name}")))
        assert run.ending == undisturbed(name).ending, name


def test_stories_end_the_same_when_the_operator_dies_now_and_then(
    seed: int, sample: list[str]
) -> None:
    for name in sample:
        rng = Random(f"{seed}-deaths-{name}")
        weather = Weather(rng=rng, crashes=partial(_now_and_then, rng))
        assert play(STORIES[name], weather).ending == undisturbed(name).ending, name


@pytest.mark.full
@pytest.mark.parametrize("name", NAMES)
def test_a_story_ends_the_same_wherever_the_operator_dies_once(name: str) -> None:
    for deadly in range(1, undisturbed(name).writes + 20):
        run = play(STORIES[name], Weather(crashes=_only(deadly)))
        assert run.ending == undisturbed(name).ending, f"killed after write {deadly}"


def test_a_busy_annotator_holds_nothing_up(sample: list[str]) -> None:
    for name in sample:
        run = play(STORIES[name], Weather(meddles=_once_before_each_status()))
        assert run.ending == undisturbed(name).ending, name


def _once_before_each_status() -> Callable[[Server, Call], None]:
    """Somebody annotates the Workflow between Belay's read and its write, and writes it again."""
    met: set[str] = set()

    def meddle(server: Server, call: Call) -> None:
        if call.subresource != "status" or call.body is None or call.name is None:
            return
        status = json.dumps(call.body["status"], sort_keys=True)
        if status in met:
            return
        met.add(status)
        body = server.get(WORKFLOWS, call.namespace, call.name)
        annotations = body["metadata"].setdefault("annotations", {})
        annotations["example.com/touched"] = str(len(met))
        server.replace(WORKFLOWS, call.namespace, body, Write(Entry("busy", "Update", "")))

    return meddle


def _after_every_step() -> Callable[[int, Call], bool]:
    """Die after each write, the first time that this very thing is written."""
    seen = set()

    def crashes(_: int, call: Call) -> bool:
        status = (call.body or {}).get("status") or {}
        step = (call.verb, call.resource, call.name, call.subresource, str(status.get("phase")))
        new = step not in seen
        seen.add(step)
        return new

    return crashes


def _now_and_then(rng: Random, *_: object) -> bool:
    return rng.random() < 0.2


def _only(deadly: int) -> Callable[[int, Call], bool]:
    return lambda number, _: number == deadly


def test_a_preview_pod_goes_even_if_its_deletion_meets_a_conflict() -> None:
    met: list[Call] = []

    def refuse_once(_: Server, call: Call) -> None:
        second = str(call.name).endswith("preview-2-1")
        if call.verb == "delete" and second and not met:
            met.append(call)
            raise Conflict(409, "Conflict", "the object has been modified; try again")

    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1", verification={"preview": "Pod"})
        scene.publish("v2")
        scene.publish("v3")
        scene.wants("v2")
        await scene.phase("Previewing")
        await scene.passes(0.2)
        scene.wants("v3")
        await scene.rest()
        pods = scene.server.list(PODS, NAMESPACE)
        assert not [p for p in pods if LABEL_PREVIEW in p["metadata"]["labels"]]

    told = Story("overtaken", "Overtaken", "In its preview.", plot)
    assert play(told, Weather(meddles=refuse_once)).ending.phase == "Promoted"
    assert met


@pytest.mark.parametrize("times", [1, 3])
def test_runs_of_a_deleted_workflow_go_on_though_their_record_meets_conflicts(times: int) -> None:
    """Somebody does the same beside it, or the late call of a process that died has come first."""
    met: list[Call] = []

    def refuse(server: Server, call: Call) -> None:
        swept = call.verb == "patch" and "-runs-" in str(call.name)
        if swept and not server.list(WORKFLOWS, NAMESPACE) and len(met) < times:
            met.append(call)
            raise Conflict(409, "Conflict", "the object has been modified; try again")

    play(STORIES["engine-orphaned"], Weather(meddles=refuse))
    assert len(met) == times


def test_a_busy_annotator_of_a_refused_wish_makes_few_dry_runs() -> None:
    calls: list[Call] = []

    async def plot(scene: Scene) -> None:
        scene.workload(consents=False)
        scene.publish("v1")
        scene.workflow("v1")
        await scene.phase("Refused")
        scene.machine.heard = calls.append
        for number in range(100):
            scene.annotates("build", str(number))
            await scene.passes(0.1)
        scene.consents()
        await scene.phase("Promoted")

    told = Story("busy", "A busy annotator", "Of a refused wish.", plot)
    assert play(told).ending.phase == "Promoted"
    until = next(n for n, c in enumerate(calls) if c.dry_run)
    listed = [c for c in calls[:until] if c.verb == "list" and c.resource == PODS]
    assert 1 <= len(listed) <= 14


def test_a_wish_that_comes_before_the_status_is_written_is_the_only_one_begun() -> None:
    met: list[Call] = []

    def wish_again(server: Server, call: Call) -> None:
        if call.subresource != "status" or call.body is None or met:
            return
        rollout = call.body["status"].get("rollout") or {}
        if (rollout.get("to") or {}).get("revision") != "v2":
            return
        met.append(call)
        body = server.get(WORKFLOWS, call.namespace, str(call.name))
        body["spec"]["activeRevision"] = "v3"
        server.replace(WORKFLOWS, call.namespace, body, Write(Entry("user", "Update", "")))

    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1")
        scene.publish("v2")
        scene.publish("v3")
        scene.wants("v2")
        await scene.rest()
        told = scene.seen()["status"]["history"]
        assert [entry["revision"] for entry in told] == ["v3", "v1"]

    told = Story("again", "A newer wish", "Before the first one is begun.", plot)
    assert play(told, Weather(meddles=wish_again)).ending.phase == "Promoted"
    assert met
