"""Stories of workloads that are updated in place: no pod is touched, the pointer moves."""

from typing import Any

from tests.scenario.scene import Scene
from tests.scenario.stage import story

WATCHING: dict[str, Any] = {"in_place": ("triage",)}


@story(
    "A good change in place",
    """triage watches the pointer. v2 is wished for: both pods take it up as they run, report it,
    and pass the gate. It is active after four writes, and no pod is new.""",
)
async def in_place_good_change(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "A bad change in place",
    "v2 answers 500 as soon as it is taken up. The pointer goes back to v1, and no pod is new.",
)
async def in_place_bad_change(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()


@story(
    "Content that is never taken up",
    """The pods go on with v1 and say so until the deadline of the delivery. What checks would say
    of v1 does not count for v2: it is reverted, and in quarantine.""",
)
async def in_place_never_taken_up(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.publish("v2", taken_up_after=None)
    scene.wants("v2")
    await scene.rest()


@story(
    "No report reaches the prober",
    """The pods may well run v2, but nothing that Belay asks is answered while kubelet calls them
    ready. Nobody can tell: v2 is held for a person to decide.""",
)
async def in_place_no_report(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.breaks_network()
    await scene.passes(15)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "In place beside rolling",
    """triage is updated in place and worker by rolling. v2 works in triage and not in worker; they
    are proven together, so both go back.""",
)
async def in_place_beside_rolling(scene: Scene) -> None:
    scene.workload("triage")
    scene.workload("worker")
    scene.publish("v1")
    scene.workflow("v1", targets=("triage", "worker"), **WATCHING)
    await scene.rest()
    await scene.passes(15)
    scene.begin()
    scene.publish("v2", wrong_after=0, only_in="worker")
    scene.wants("v2")
    await scene.rest()


@story(
    "The status is lost of what was updated in place",
    """A restore brings the Workflow back without its status. What the pointer names is proven where
    it runs: the pointer stays as it is, and no pod is new.""",
)
async def in_place_status_lost(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.loses_status()
    await scene.rest()


@story(
    "The pointer is edited by hand",
    """Somebody edits the definition in the ConfigMap that the pods watch: it is not what its digest
    promises any more. It is put back, and proven anew.""",
)
async def in_place_edited_by_hand(scene: Scene) -> None:
    await scene.stable_on("v1", **WATCHING)
    scene.edits_pointer()
    await scene.until(lambda w: w["status"]["history"][0].get("trigger") == "Drift")
    await scene.rest()


@story(
    "The first activation in place fails",
    """Nothing was proven yet, so there is nothing to point back to: the pointer goes away.""",
)
async def in_place_first_activation_fails(scene: Scene) -> None:
    scene.begin()
    scene.workload()
    await scene.passes(2)
    scene.publish("v1", wrong_after=0)
    scene.workflow("v1", **WATCHING)
    await scene.rest()
