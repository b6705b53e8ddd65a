"""Stories in which somebody takes from Belay what it knows, or what it delivered."""

from tests.scenario.plots.bad import ASIDE_IS_OFF
from tests.scenario.scene import Scene
from tests.scenario.stage import story


@story(
    "The status is lost",
    """A restore brings the Workflow back without its status, while v1 runs. It is proven where it
    runs; no pod is touched.""",
)
async def status_lost(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.loses_status()
    await scene.rest()


@story(
    "The status is lost, and something newer is wished for",
    """The restored Workflow wishes for v2 while v1 runs. v1 passes the gate first: it is the way
    back. Then v2 is rolled out.""",
)
async def newer_wish_without_a_status(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.loses_status(wants="v2")
    await scene.rest()


@story(
    "A newer wish fails after the status was lost",
    """As before, but v2 answers 500. What was adopted comes back: there was something to go back
    to.""",
)
async def back_to_what_was_adopted(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.publish("v2", wrong_after=0)
    scene.loses_status(wants="v2")
    await scene.rest()


@story(
    "Argo CD replaces the Deployment",
    """A sync with Replace=true writes the Deployment whole, without Belay's fields. They are put
    back at once; the second time within the hour, a minute later.""",
)
async def replaced_by_git_ops(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.replaces_deployment("argocd")
    await scene.until(lambda w: w["status"]["history"][0].get("trigger") == "Drift")
    await scene.passes(20)
    scene.replaces_deployment("argocd")
    await scene.until(lambda w: w["status"]["history"][0].get("times") == 2)


@story(
    "Undone by kubectl, then tried again",
    """v2 is proven. Somebody on call runs `kubectl rollout undo`: Belay says so and leaves it
    alone, until a retry asks for v2.""",
)
async def undone_at_rest(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()
    await scene.passes(10)
    scene.undoes_to("v1")
    await scene.until(lambda w: any(c["type"] == "Drifted" for c in w["status"]["conditions"]))
    await scene.passes(200)
    scene.annotates("retry", "1")
    await scene.phase("Previewing")
    await scene.rest()
