"""Stories with running instances: Jobs and a schedule that makes them."""

from typing import Any

from tests.scenario.plots.bad import ASIDE_IS_OFF
from tests.scenario.scene import WORKFLOW, Scene
from tests.scenario.stage import story

from belay.shell.resources import CRON_JOBS, JOBS

_OF_THIS = {"matchLabels": {"run-of": WORKFLOW}}
_JOBS = {"kind": "Job", "selector": _OF_THIS, "policy": "Pause"}
INSTANCES: dict[str, Any] = {"resources": [_JOBS, {"kind": "CronJob", "selector": _OF_THIS}]}


def _instances(scene: Scene) -> None:
    scene.instance(CRON_JOBS, "nightly")
    scene.instance(JOBS, "run-1")
    scene.instance(JOBS, "run-2")
    scene.instance(JOBS, "held-back", suspended=True)


@story(
    "Running instances are paused",
    """Two Jobs run and a schedule makes more when v2 is wanted. They stand still while it is
    delivered and go on after the gate. What its owner had suspended stays so.""",
)
async def instances_good_change(scene: Scene) -> None:
    _instances(scene)
    await scene.stable_on("v1", instances=INSTANCES)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "Running instances and a late failure",
    """v2 passes its gate and fails in the window. The instances had gone on; they are paused for
    the way back and go on once v1 is there again.""",
)
async def instances_late_failure(scene: Scene) -> None:
    _instances(scene)
    await scene.stable_on("v1", instances=INSTANCES)
    scene.publish("v2", wrong_after=8)
    scene.wants("v2")
    await scene.rest()


@story(
    "Somebody resumes what is paused",
    """While v2 waits for Jobs to pause, somebody resumes one of them again and again. It is paused
    once more; then the rollout ends before anything is delivered, and all go on.""",
)
async def instances_contested(scene: Scene) -> None:
    _instances(scene)
    await scene.stable_on("v1", instances=INSTANCES, verification=ASIDE_IS_OFF)
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Pausing")
    for _ in range(2):
        await scene.until(lambda _: scene.suspended()["run-1"])
        scene.resumes(JOBS, "run-1", "argocd")
    await scene.rest()
