"""Stories in which the wished revision is bad."""

from tests.scenario.scene import Scene
from tests.scenario.stage import story

ASIDE_IS_OFF = {"preview": "None"}


@story(
    "A bad change, caught aside",
    "v2 answers 500. It is tried in a pod of its own, so that nothing live is touched.",
)
async def caught_in_preview(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()


@story(
    "A bad change, caught at the gate",
    "The same v2 without a preview: live pods get it, fail the gate, and go back to v1.",
)
async def caught_at_the_gate(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.publish("v2", wrong_after=0)
    scene.wants("v2")
    await scene.rest()


@story(
    "A failure late in the window",
    "v2 passes preview and gate, and answers wrong after ten seconds of real traffic.",
)
async def late_failure(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=10)
    scene.wants("v2")
    await scene.rest()


@story(
    "A crash loop",
    "v2's container ends again and again. At its third restart it is taken back, long before any "
    "deadline.",
)
async def crash_loop(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.publish("v2", crashes_after=0.3)
    scene.wants("v2")
    await scene.rest()


@story(
    "Never ready",
    "v2's pods run and never become ready. At the deadline of delivery, five minutes, v1 is back.",
)
async def never_ready(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.publish("v2", ready_after=None)
    scene.wants("v2")
    await scene.rest()


@story(
    "The first activation fails",
    """Nothing was proven yet, so there is no revision to go back to: the workload gets its own
    template back.""",
)
async def first_activation_fails(scene: Scene) -> None:
    scene.begin()
    scene.workload()
    await scene.passes(2)
    scene.publish("v1", wrong_after=0)
    scene.workflow("v1", verification=ASIDE_IS_OFF)
    await scene.rest()


@story(
    "Two workloads, one of them failing",
    "v2 works in triage and not in worker. They are proven together, so both go back.",
)
async def two_workloads_one_failing(scene: Scene) -> None:
    scene.workload("triage")
    scene.workload("worker")
    scene.publish("v1")
    scene.workflow("v1", targets=("triage", "worker"))
    await scene.rest()
    await scene.passes(15)
    scene.begin()
    scene.publish("v2", wrong_after=0, only_in="worker")
    scene.wants("v2")
    await scene.rest()


@story(
    "The stable revision fails too",
    "v2 fails in the window, and v1 does not answer any more either. One way back, no see-saw.",
)
async def stable_fails_too(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", wrong_after=10)
    scene.wants("v2")
    await scene.phase("Observing")
    scene.lives("v1", wrong_after=0)
    await scene.rest()


@story(
    "An image that cannot be pulled",
    """Not the revision's fault: v2 is not delivered, and not quarantined. The pods of v2 wait for
    an image until the preview's deadline.""",
)
async def environment_trouble(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.publish("v2", waits=("ImagePullBackOff", "Back-off pulling image triage:1"))
    scene.wants("v2")
    await scene.rest()


@story(
    "No answer reaches the prober",
    """v2 may be fine, but nothing that Belay asks is answered while kubelet calls the pods ready.
    Nobody can tell: v2 is held for a person to decide.""",
)
async def held_without_a_verdict(scene: Scene) -> None:
    await scene.stable_on("v1", verification=ASIDE_IS_OFF)
    scene.breaks_network()
    await scene.passes(15)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "Scaled to zero",
    "The preview proves v2, but there are no live pods to ask: held, not promoted.",
)
async def scaled_to_zero(scene: Scene) -> None:
    await scene.stable_on("v1")
    scene.scales(0)
    await scene.passes(2)
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "Contact is lost to everyone",
    """v2 is observed when nothing reaches any pod any more. Six Workflows fall silent within
    thirty seconds, so it is no revision's fault: the rollout holds, far beyond its window, and goes
    on by itself when contact is back.""",
)
async def contact_is_lost(scene: Scene) -> None:
    await scene.neighbours(5)
    await scene.stable_on("v1")
    scene.publish("v2")
    scene.wants("v2")
    await scene.phase("Observing")
    await scene.passes(5)
    scene.breaks_network()
    await scene.passes(120)
    scene.mends_network()
    await scene.rest()
