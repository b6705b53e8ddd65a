"""What the API server refuses while runs are kept, or instances written, and what comes of it."""

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest
from tests.scenario.api import Call
from tests.scenario.machine import Weather
from tests.scenario.plots.engine import ROLLING
from tests.scenario.plots.instances import INSTANCES
from tests.scenario.refusals import refused
from tests.scenario.scene import Scene
from tests.scenario.shapes import Object
from tests.scenario.stage import Plot, Story, play
from tests.scenario.store import Server

from belay.shell.errors import ApiError
from belay.shell.resources import CONFIG_MAPS, CRON_JOBS, SECRETS

Refuse = Callable[[Call], ApiError | None]
RUNS = ("run-1", "run-2", "run-3")
QUOTA = 'secrets "x" is forbidden: exceeded quota: tight, requested: secrets=1'
ROLE = 'secrets is forbidden: User "belay" cannot create resource "secrets"'


def played(plot: Plot, refuse: Refuse) -> Scene:
    scenes: list[Scene] = []

    async def both(scene: Scene) -> None:
        scenes.append(scene)
        await plot(scene)

    def meddle(_: Server, call: Call) -> None:
        error = refuse(call) if call.writes else None
        if error is not None:
            raise error

    play(Story("refused", "Refused", "Something is refused.", both), Weather(meddles=meddle))
    return scenes[0]


async def runs_in_flight(scene: Scene) -> None:
    await scene.stable_on("v1", **ROLLING)
    scene.begins_runs(*RUNS)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@pytest.mark.parametrize(
    ("message", "told"),
    [(QUOTA, "exceeded quota: tight"), (ROLE, "deploy/samples/backup-role.yaml")],
)
def test_runs_that_cannot_be_kept_go_on_and_nothing_is_delivered(message: str, told: str) -> None:
    def refuse(call: Call) -> ApiError | None:
        is_backup = (call.verb, call.resource) == ("create", SECRETS)
        return refused(403, "Forbidden", message) if is_backup else None

    scene = played(runs_in_flight, refuse)
    assert ready(scene)["reason"] == "BackupFailed"
    assert told in ready(scene)["message"]
    assert scene.runs() == {"triage: v1": 2}
    assert scene.runs_of_engine() == dict.fromkeys(RUNS, "running")
    assert not scene.closed()


@pytest.mark.parametrize("resource", [SECRETS, CONFIG_MAPS], ids=["backup", "record"])
def test_what_passes_by_itself_holds_a_backup_up_and_fails_nothing(resource: object) -> None:
    refusals = [0, 0, 0]

    def refuse(call: Call) -> ApiError | None:
        name = (call.body or {"metadata": {"name": ""}})["metadata"]["name"]
        if call.resource != resource or "-runs-" not in name or not refusals:
            return None
        refusals.pop()
        return refused(503, "ServiceUnavailable", "etcd has no leader")

    scene = played(runs_in_flight, refuse)
    assert not refusals
    assert scene.runs() == {"triage: v2": 2}
    assert scene.runs_of_engine() == dict.fromkeys(RUNS, "running")
    assert sorted(scene.machine.world.resumed) == sorted(RUNS)


def test_a_storm_of_conflicts_leaves_no_instance_out(seed: int) -> None:
    """Writes to instances meet up to six each: conflicts, overload, errors of the server."""
    rng, met = Random(seed), Counter[str]()

    def refuse(call: Call) -> ApiError | None:
        if call.resource != CRON_JOBS or met[str(call.name)] >= 6 or rng.random() < 0.4:
            return None
        met[str(call.name)] += 1
        kinds = [(409, "Conflict"), (429, "TooManyRequests"), (500, "InternalError")]
        return refused(*rng.choice(kinds), "try again")

    async def plot(scene: Scene) -> None:
        for number in range(20):
            scene.instance(CRON_JOBS, f"c{number}")
        await scene.stable_on("v1", instances=INSTANCES, verification={"preview": "None"})
        met.clear()
        scene.publish("v2")
        scene.wants("v2")
        await scene.rest()

    scene = played(plot, refuse)
    assert met.total() > 20
    told = scene.seen()["status"]["rollout"]["instances"]
    assert (told["found"], told["paused"], told["resumed"]) == (20, 20, 20)
    assert scene.runs() == {"triage: v2": 2}
    assert not any(scene.suspended().values())


def ready(scene: Scene) -> Object:
    conditions = scene.seen()["status"]["conditions"]
    return dict(next(c for c in conditions if c["type"] == "Ready"))
