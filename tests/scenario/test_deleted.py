"""What stays when a Workflow is deleted: what its workloads need, and nothing else."""

import pytest
from tests.scenario import memory
from tests.scenario.api import Call
from tests.scenario.ownership import Entry
from tests.scenario.records import Write
from tests.scenario.scene import NAMESPACE, WORKFLOW, Scene
from tests.scenario.shapes import Object
from tests.scenario.stage import Plot, Story, play

from belay.api.names import ANNOTATION_CONTENT_DIGEST, ANNOTATION_WORKFLOW, LABEL_PREVIEW, VOLUME
from belay.core.keys import Key
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, REVISIONS, WORKFLOWS

ASIDE_IS_OFF = {"preview": "None"}
_CONTROLLER = Write(Entry("kube-controller-manager", "Update", ""))


def _played(plot: Plot) -> None:
    play(Story("deleted", "Deleted", "A Workflow is deleted.", _and_anew(plot)))


def _and_anew(plot: Plot) -> Plot:
    """A run ends with a Workflow at rest: another one, which the plot is not about."""

    async def both(scene: Scene) -> None:
        await plot(scene)
        scene.name = "other"
        scene.workload("other")
        scene.publish("v1", content=None)
        scene.workflow("v1", ("other",), verification=ASIDE_IS_OFF)
        await scene.rest()

    return both


def _deployment(scene: Scene) -> Object:
    return scene.server.get(DEPLOYMENTS, NAMESPACE, "triage")


def _previews(scene: Scene) -> list[str]:
    pods = scene.server.list(PODS, NAMESPACE)
    return [p["metadata"]["name"] for p in pods if LABEL_PREVIEW in p["metadata"]["labels"]]


def test_pods_run_on_and_what_they_are_made_of_stays() -> None:
    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1")
        scene.publish("v2")
        scene.wants("v2")
        await scene.rest()
        await scene.passes(15)
        before, runs = _deployment(scene), scene.runs()
        scene.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)
        scene.machine.writes = 0
        await scene.passes(1800)
        assert scene.machine.writes == 0
        assert (_deployment(scene), scene.runs()) == (before, runs)
        assert sorted(scene.kept()) == ["v1", "v2"]
        template = before["spec"]["template"]
        assert ANNOTATION_CONTENT_DIGEST in template["metadata"]["annotations"]
        assert VOLUME in [v["name"] for v in template["spec"]["volumes"]]
        assert before["metadata"]["annotations"][ANNOTATION_WORKFLOW] == WORKFLOW
        scene.undoes_to("v1")
        await scene.passes(20)
        assert scene.runs() == {"triage: v1": 2}

    _played(plot)


def test_what_is_left_goes_with_the_workload() -> None:
    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1")
        scene.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)
        scene.server.delete(DEPLOYMENTS, NAMESPACE, "triage")
        await scene.passes(60)
        assert scene.server.list(CONFIG_MAPS, NAMESPACE) == []
        assert scene.server.list(PODS, NAMESPACE) == []

    _played(plot)


def test_the_pointer_of_updates_in_place_stays() -> None:
    async def plot(scene: Scene) -> None:
        scene.workload()
        scene.publish("v1")
        scene.workflow("v1", in_place=("triage",))
        await scene.rest()
        scene.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)
        await scene.passes(1800)
        assert scene.pointed() == "v1"
        assert scene.runs() == {"triage: v1": 2}

    _played(plot)


@pytest.mark.parametrize(
    "phase", ["Previewing", "Delivering", "Verifying", "Observing", "Reverting", "Promoted"]
)
def test_nothing_in_memory_and_no_metric_names_it_any_more(phase: str) -> None:
    async def plot(scene: Scene) -> None:
        await scene.stable_on("v1", verification={"preview": "Pod", "steady": {}})
        if phase != "Promoted":
            scene.publish("v2", wrong_after=5 if phase == "Reverting" else None)
            scene.wants("v2")
            await scene.phase(phase)
        await scene.passes(0.1)
        key = Key(NAMESPACE, WORKFLOW)
        assert key in memory.keys(scene.machine)
        assert f'workflow="{WORKFLOW}"' in "".join(scene.machine.parts.metrics.state.exposition())
        for revision in scene.server.list(REVISIONS, NAMESPACE):
            scene.server.delete(REVISIONS, NAMESPACE, revision["metadata"]["name"])
        scene.server.delete(WORKFLOWS, NAMESPACE, WORKFLOW)
        await scene.passes(65)
        assert _previews(scene) == []
        assert key not in memory.keys(scene.machine)
        assert not "".join(scene.machine.parts.metrics.state.exposition()).count("workflow=")

    _played(plot)


def test_a_preview_pod_of_a_namesake_is_waited_for_and_left_alone() -> None:
    touched: list[Call] = []

    async def plot(scene: Scene) -> None:
        scene.workload()
        scene.publish("v1")
        owner = {"apiVersion": "belay.dev/v1alpha1", "kind": "Workflow", "name": WORKFLOW}
        metadata = {
            "name": "wf-1-preview-1-1",
            "labels": {LABEL_PREVIEW: "1-1"},
            "ownerReferences": [{**owner, "uid": "of-the-deleted-one"}],
        }
        container = {"name": "app", "image": "triage:1", "ports": [{"containerPort": 8080}]}
        body: Object = {"metadata": metadata, "spec": {"containers": [container]}}
        uid = scene.server.create(PODS, NAMESPACE, body, _CONTROLLER)["metadata"]["uid"]
        scene.machine.heard = touched.append
        scene.workflow("v1")
        await scene.passes(10)
        assert scene.seen()["status"]["phase"] == "Previewing"
        assert scene.server.get(PODS, NAMESPACE, "wf-1-preview-1-1")["metadata"]["uid"] == uid
        assert not [c for c in touched if c.resource == PODS and c.verb == "delete"]
        scene.server.delete(PODS, NAMESPACE, "wf-1-preview-1-1")
        await scene.rest()
        assert scene.seen()["status"]["phase"] == "Promoted"

    _played(plot)


def test_a_preview_pod_of_a_namesake_that_never_goes_is_not_deleted_at_the_deadline() -> None:
    async def plot(scene: Scene) -> None:
        scene.workload()
        scene.publish("v1")
        metadata = {"name": "wf-1-preview-1-1", "labels": {LABEL_PREVIEW: "1-1"}}
        container = {"name": "app", "image": "triage:1", "ports": [{"containerPort": 8080}]}
        body: Object = {"metadata": metadata, "spec": {"containers": [container]}}
        scene.server.create(PODS, NAMESPACE, body, _CONTROLLER)
        scene.workflow("v1")
        await scene.rest()
        assert scene.seen()["status"]["phase"] == "Held"
        assert _previews(scene) == ["wf-1-preview-1-1"]

    _played(plot)
