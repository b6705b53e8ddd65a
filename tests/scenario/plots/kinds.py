"""Stories of other workloads than Deployments, and of several together."""

from tests.scenario.plots.bad import ASIDE_IS_OFF
from tests.scenario.scene import Scene
from tests.scenario.stage import story

STATEFUL, DAEMON = "StatefulSet/triage", "DaemonSet/agent"


@story(
    "A StatefulSet gets a good change",
    "v2 is tried aside, then its pods are replaced one after the other, the last one first.",
)
async def stateful_set_promoted(scene: Scene) -> None:
    await scene.stable_on("v1", targets=(STATEFUL,))
    scene.publish("v2")
    scene.wants("v2")
    await scene.rest()


@story(
    "A StatefulSet whose broken pod is waited for",
    """v2 crashes. A StatefulSet with OrderedReady replaces no pod while one is not ready, so the
    template of v1 alone would never come back: Belay deletes the broken pod of v2.""",
)
async def stateful_set_stuck(scene: Scene) -> None:
    await scene.stable_on("v1", targets=(STATEFUL,), verification=ASIDE_IS_OFF)
    scene.publish("v2", crashes_after=0.3, ready_after=None)
    scene.wants("v2")
    await scene.rest()


@story(
    "A broken pod in a StatefulSet, and the cure",
    """v2 never gets ready. Before its deadline the user wants v3, which could not reach the pod
    that is waited for: Belay deletes it.""",
)
async def stateful_set_cured(scene: Scene) -> None:
    await scene.stable_on("v1", targets=(STATEFUL,), verification=ASIDE_IS_OFF)
    scene.publish("v2", ready_after=None)
    scene.publish("v3")
    scene.wants("v2")
    await scene.passes(10)
    scene.wants("v3")
    await scene.rest()


@story(
    "No quota for a pod of a StatefulSet",
    """A StatefulSet tells in events only why it makes no pod. Nobody's quota is the revision's
    fault: v1 comes back, and v2 is not quarantined.""",
)
async def stateful_set_without_quota(scene: Scene) -> None:
    await scene.stable_on("v1", targets=(STATEFUL,), verification=ASIDE_IS_OFF)
    scene.publish("v2")
    scene.lacks_quota("exceeded quota: pods=2")
    scene.wants("v2")
    await scene.phase("Reverting")
    scene.lacks_quota("")
    await scene.rest()


@story(
    "The first activation of a StatefulSet fails",
    "v1 crashes, and nothing was proven before: its broken pod goes, and the own template is back.",
)
async def stateful_set_fails_at_first(scene: Scene) -> None:
    scene.begin()
    scene.workload(STATEFUL)
    await scene.passes(5)
    scene.publish("v1", crashes_after=0.3, ready_after=None)
    scene.workflow("v1", targets=(STATEFUL,), verification=ASIDE_IS_OFF)
    await scene.rest()


@story(
    "Three kinds together, one of them failing",
    """A Deployment, a StatefulSet and a DaemonSet share one definition. v2 works in two of them
    and answers 500 in the DaemonSet: all three go back.""",
)
async def three_kinds_one_failing(scene: Scene) -> None:
    targets = ("Deployment/api", "StatefulSet/worker", DAEMON)
    await scene.stable_on("v1", targets=targets)
    scene.publish("v2", wrong_after=0, only_in="agent")
    scene.wants("v2")
    await scene.rest()
