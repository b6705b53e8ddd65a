"""Stories in which the wished revision ends up running."""

from tests.scenario.scene import Scene
from tests.scenario.shapes import Object
from tests.scenario.stage import story


@story("A good change", "v1 runs and is proven. Somebody wishes for v2, which is fine.")
async def good_change(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "The same content under a new name",
    """v3 was caught and v2 runs. Somebody takes the change back in Git: v4 has v2's content.
    No pod is touched, and the Workflow is fine again.""",
)
async def same_content_heals(scene: Scene) -> None:
    await scene.stable_on("v2")
    scene.publish("v3", wrong_after=0)
    scene.wants("v3")
    await scene.rest()
    scene.publish("v4", content="v2")
    scene.wants("v4")
    await scene.rest()


@story(
    "The revision comes later than the wish",
    """GitOps applies in any order: v2 is wished for before it exists, and starts by itself.""",
)
async def revision_appears_later(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.wants("v2")
    await scene.phase("Pending")
    await scene.passes(30)
    scene.publish("v2")
    await scene.rest()


@story(
    "The operator is killed in the window",
    """v2 is being observed when the operator dies. The next process gathers its own evidence and
    comes to the same end.""",
)
async def operator_restarted_in_window(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(12)
    scene.tale.tell("node", "the operator's process is killed; the next starts in 2 s")
    scene.machine.crash()
    await scene.rest()


@story(
    "An autoscaler in mid-rollout",
    "While v2 is being delivered, an autoscaler asks for four pods in place of two.",
)
async def scaled_in_mid_rollout(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Delivering")
    await scene.passes(0.5)
    scene.scales(4, "autoscaler")
    await scene.rest()


@story(
    "The pipeline changes the image in the window",
    """While v2 is observed, another hand changes the pod template. The pods are new, so the
    evidence is gathered anew; v2's name stays clean.""",
)
async def foreign_template_change(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(5)
    scene.changes_template("pipeline", "triage:2")
    await scene.rest()


@story(
    "A target that does not consent at first",
    """The Deployment names no Workflow, so nothing is touched. Its owner annotates it, and at the
    next look it starts.""",
)
async def consent_comes_later(scene: Scene) -> None:
    scene.begin()
    scene.workload(consents=False)
    scene.publish("v1")
    scene.workflow("v1")
    await scene.phase("Refused")
    await scene.passes(10)
    scene.consents()
    await scene.phase("Promoted")


@story(
    "Checked at rest",
    """With `verification.steady` the checks go on after v1 was promoted. It answers wrong for a
    while: that is told, and nothing else is done. The operator dies meanwhile and goes on.""",
)
async def checked_at_rest(scene: Scene) -> None:
    await scene.stable_on("v1", verification={"steady": {}})
    await scene.passes(60)
    scene.lives("v1", wrong_after=0)
    await scene.until(lambda w: _serving(w) == "False")
    await scene.passes(60)
    scene.machine.crash()
    await scene.passes(60)
    scene.lives("v1")
    await scene.until(lambda w: _serving(w) == "True")
    await scene.passes(300)


def _serving(workflow: Object) -> str:
    return next(c["status"] for c in workflow["status"]["conditions"] if c["type"] == "Serving")
