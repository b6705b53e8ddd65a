"""Stories in which people change their mind."""

from tests.scenario.plots.bad import ASIDE_IS_OFF
from tests.scenario.scene import Scene
from tests.scenario.stage import story


@story(
    "A newer wish in mid-rollout",
    "v2 is being delivered when somebody wishes for v3. The newer wish wins at once.",
)
async def superseded_in_mid_rollout(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.publish("v3")
    scene.wants("v2")
    await scene.phase("Delivering")
    await scene.passes(0.5)
    scene.wants("v3")
    await scene.rest()


@story(
    "Back to stable while it reverts",
    "v2 is being taken back when somebody wishes for v1 again: the way back goes on.",
)
async def stable_wished_while_reverting(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.phase("Reverting")
    scene.wants("v1")
    await scene.rest()


@story(
    "Suspended and resumed",
    "A person takes over in the window for five minutes. The time does not count.",
)
async def suspended_and_resumed(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(5)
    scene.patches("suspend", value=True)
    await scene.phase("Suspended")
    await scene.passes(300)
    scene.patches("suspend", value=False)
    await scene.rest()


@story("Aborted", "A person stops v2 in the window; v1 comes back, and v2 is not tried again.")
async def aborted(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(3)
    scene.annotates("abort", "1")
    await scene.rest()


@story(
    "Tried again",
    "v2 failed because of something outside. That is mended, and a person asks for another try.",
)
async def retried(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()
    await scene.passes(60)
    scene.tale.tell("user", "mends the service that v2 calls")
    scene.lives("v2")
    scene.annotates("retry", "1")
    await scene.phase("Previewing")
    await scene.rest()


@story(
    "Twenty re-applies of a failed wish",
    """v2 failed. The pipeline applies the same manifests twenty times more, each time with another
    build number in an annotation. Nothing is tried, nothing is written.""",
)
async def twenty_re_applies(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()
    await scene.passes(5)
    for build in range(1, 21):
        scene.annotates("build", str(build))
        await scene.passes(1)


@story(
    "A failed revision wished for again",
    """v2 failed, somebody goes back to v1, and later wishes for v2 once more: it is refused, and
    says how to try it again.""",
)
async def quarantined(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()
    scene.wants("v1")
    await scene.rest()
    scene.wants("v2")
    await scene.rest()
