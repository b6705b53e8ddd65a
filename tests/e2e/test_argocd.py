"""A real Argo CD brings from Git what Belay moves, by the samples and settings that are shipped."""

import asyncio
import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import Once
from tests.harness import argocd, kube
from tests.harness import workbench_manifests as manifests
from tests.harness.argocd import Repository
from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError
from tests.harness.workbench import Bench, Object, uid_name
from tests.harness.workbench_flow import Flow, ready

from belay.api.names import ANNOTATION_REVISION
from belay.shell.resources import DEPLOYMENTS, WORKFLOWS, Resource

APP = "shop"
LABEL = {"team": "support"}


@dataclass(frozen=True, slots=True)
class Argo:
    """One Application, its repository, and the Workflow that it brings."""

    bench: Bench
    running: argocd.Running
    git: Repository
    flow: Flow

    async def create(self) -> None:
        body = argocd.application(APP, self.git.folder, self.bench.namespace)
        where = self.running.namespace
        await asyncio.to_thread(self.bench.cluster.apply, {**body}, namespace=where)

    async def wants(self, revision: str, **definition: Any) -> str:
        """Publish a revision and wish for it, in one commit that Argo CD is told of."""
        return await self.told(self.commit(revision, **definition))

    def commit(self, revision: str, **definition: Any) -> str:
        """Publish a revision and wish for it, in one commit."""
        self.flow.spec["activeRevision"] = revision
        body = manifests.revision_body("wf", revision, definition)
        return self.git.commit(revision, {revision: body, "wf": self.workflow})

    @property
    def workflow(self) -> Object:
        return full(WORKFLOWS, self.flow.manifest)

    async def told(self, commit: str) -> str:
        """Tell Argo CD that there is something new, as a webhook does."""
        await self.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
        return commit

    async def patch(self, body: Object) -> None:
        words = ["patch", "applications.argoproj.io", APP, "-n", self.running.namespace]
        await asyncio.to_thread(
            self.bench.cluster.kubectl, *words, "--type=merge", f"--patch={json.dumps(body)}"
        )

    async def until(self, good: Any) -> Object:
        cluster, what = self.bench.cluster, f"applications.argoproj.io/{APP}"
        where = self.running.namespace
        return await asyncio.to_thread(kube.wait, cluster, where, what, good, 90)

    async def is_(self, commit: str, health: str) -> Object:
        """Wait until the Application is Synced to a commit and has this health."""

        def good(found: Object) -> bool:
            status = found.get("status") or {}
            sync, shown = status.get("sync") or {}, status.get("health") or {}
            seen = (sync.get("status"), sync.get("revision"), shown.get("status"))
            return seen == ("Synced", commit, health)

        return await self.until(good)

    async def sync(self, number: int) -> None:
        """A sync by hand, to its end."""
        about = [{"name": "number", "value": str(number)}]
        options = argocd.application(APP, self.git.folder, "")["spec"]["syncPolicy"]["syncOptions"]
        wish = {"revision": self.git.head(), "syncOptions": options}
        await self.patch({"operation": {"info": about, "sync": wish}})

        def ended(found: Object) -> bool:
            state = found["status"]["operationState"]
            return state["operation"].get("info") == about and state["phase"] == "Succeeded"

        await self.until(ended)

    async def reaches(self, phase: str) -> None:
        """Wait until the Workflow and Argo CD tell of a phase that lasts."""
        wanted = self.flow.spec["activeRevision"]
        await self.flow.until(
            lambda f: f["spec"]["activeRevision"] == wanted and f["status"]["phase"] == phase
        )
        await self.until(lambda f: f["status"]["health"]["status"] == "Progressing")

    async def awaited(self, condition: str) -> None:
        """`kubectl wait`, as a script does it; begun before there is an outcome."""
        words = ["wait", "workflows.belay.dev/wf", "-n", self.bench.namespace, "--timeout=90s"]
        command = [*words, f"--for=condition={condition}"]
        await asyncio.to_thread(self.bench.cluster.kubectl, *command)

    async def pipeline_waits(self, *conditions: str, seconds: int = 60) -> str:
        """`argocd app wait`, as docs/gitops.md shows it; gives what it printed."""
        options = [*conditions, f"--timeout={seconds}"]
        return await asyncio.to_thread(self.running.cli, "app", "wait", APP, *options)

    async def pipeline_waits_in_vain(self, *conditions: str, seen: str) -> None:
        """It ends by its timeout, in an error, and shows the health that was seen."""
        with pytest.raises(SetupError, match=r"timed out \(3s\)"):
            await self.pipeline_waits(*conditions, seconds=3)
        shown = await asyncio.to_thread(self.running.cli, "app", "get", APP, "--output=json")
        assert json.loads(shown)["status"]["health"]["status"] == seen

    async def acts(self, action: str) -> None:
        """Somebody takes an action that is offered."""
        assert await self.offered() >= {action}
        which = ["--group=belay.dev", "--kind=Workflow", "--resource-name=wf"]
        words = ["app", "actions", "run", APP, action, *which]
        await asyncio.to_thread(self.running.cli, *words)

    async def offered(self) -> set[str]:
        """The actions that can be taken now."""
        words = ["app", "actions", "list", APP, "--kind=Workflow", "--out=json"]
        listed = json.loads(await asyncio.to_thread(self.running.cli, *words))
        return {each["Action"] for each in listed if not each["Disabled"]}

    async def person(self, resource: Resource, name: str, body: Object) -> None:
        """Somebody changes what Git owns."""
        words = ["patch", f"{resource.plural}.{resource.group}", name, "-n", self.bench.namespace]
        await asyncio.to_thread(
            self.bench.cluster.kubectl, *words, "--type=merge", f"--patch={json.dumps(body)}"
        )


def full(resource: Resource, body: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


@pytest.fixture
def running(
    argo_cd: argocd.Programs, cluster: Cluster, once: Once, tmp_path: Path
) -> Iterator[argocd.Running]:
    once("argocd-crds", lambda _: argocd.install_crds(cluster))
    with argocd.running(argo_cd, cluster, tmp_path) as found:
        yield found


@pytest.fixture
def argo(running: argocd.Running, bench: Bench, tmp_path: Path) -> Argo:
    flow = Flow(bench, manifests.workflow())
    return Argo(bench, running, Repository(tmp_path / "repository"), flow)


@pytest.mark.parametrize("sample", ["belay", "application", "applicationset"])
def test_a_sample_is_one_that_argo_cd_takes(
    sample: str, cluster: Cluster, once: Once, namespace: str
) -> None:
    try:
        once("argocd-crds", lambda _: argocd.install_crds(cluster))
    except SetupError as error:
        pytest.skip(str(error))
    body = yaml.safe_load((argocd.SHIPPED / f"{sample}.yaml").read_text())
    del body["metadata"]["namespace"]
    words = ["apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-"]
    cluster.kubectl(*words, stdin=json.dumps(body))


def health(application: Object, kind: str, name: str) -> Object:
    """Health of one object, as Argo CD shows it."""
    (found,) = [
        each["health"]
        for each in application["status"]["resources"]
        if (each["kind"], each["name"]) == (kind, name)
    ]
    return dict(found)


@pytest.mark.full  # building Argo CD takes longer than all that `make test` runs on it
async def test_git_is_the_wish_and_nobody_fights(argo: Argo) -> None:
    bench, git = argo.bench, argo.git
    deployment = manifests.deployment("app")
    deployment["metadata"]["labels"] = LABEL
    git.commit("the application", {"app": full(DEPLOYMENTS, deployment)})
    argo.flow.spec["activeRevision"] = "v1"
    body = manifests.revision_body("wf", "v1", {"note": "first"})
    first = git.commit("v1", {"v1": body, "wf": argo.workflow})
    await argo.create()
    shown = await argo.is_(first, "Healthy")
    assert health(shown, "Workflow", "wf")["message"].startswith("Promoted: v1 is active")
    assert health(shown, "WorkflowRevision", "wf-v1")["status"] == "Healthy"

    second = await argo.wants("v2", note="second")
    await bench.until(WORKFLOWS, "wf", lambda f: f["metadata"]["generation"] == 2)
    await argo.awaited("Ready")
    shown = await argo.is_(second, "Healthy")
    assert health(shown, "Workflow", "wf")["message"].startswith("Promoted: v2 is active")

    failed = await argo.wants("v3", code=500)
    await argo.awaited("Stalled")
    shown = await argo.is_(failed, "Degraded")
    told = health(shown, "Workflow", "wf")
    assert told["status"] == "Degraded"
    assert told["message"].startswith("CheckFailed: v3 was reverted")
    assert shown["status"]["operationState"]["phase"] == "Succeeded"

    await bench.no_preview()
    await argo.flow.looked_at()
    mark, before = bench.mark(), await state(bench)
    last = await argo.told(git.commit("an export", {"app": exported(deployment)}))
    await argo.is_(last, "Degraded")
    for number in range(20):
        await argo.sync(number)
    for _ in range(2):
        await argo.person(DEPLOYMENTS, "app", {"metadata": {"labels": {"team": "somebody"}}})
        await bench.until(DEPLOYMENTS, "app", lambda f: f["metadata"]["labels"] == LABEL)
    await argo.is_(last, "Degraded")
    assert bench.writes(mark) == {}
    assert await state(bench) == before

    await argo.person(WORKFLOWS, "wf", {"spec": {"activeRevision": "v2"}})
    await argo.flow.until(
        lambda f: f["spec"]["activeRevision"] == "v3" and ready(f)["reason"] == "Quarantined"
    )
    await argo.is_(last, "Degraded")

    healed = await argo.told(git.revert(failed))
    shown = await argo.is_(healed, "Healthy")
    assert "v2" in health(shown, "Workflow", "wf")["message"]
    assert (await state(bench))[2:] == before[2:]
    expected = {"patch workflows/status": 1, "create events": 1}
    assert set(await bench.wrote(mark, expected)) == set(expected)


@pytest.mark.full
async def test_a_pipeline_waits_by_the_command_line_and_people_act_by_it(argo: Argo) -> None:
    bench, git, flow = argo.bench, argo.git, argo.flow
    flow.manifest = manifests.workflow(preview="None", window="0s")
    git.commit("the application", {"app": full(DEPLOYMENTS, manifests.deployment("app"))})
    body = manifests.revision_body("wf", "v1", {"note": "first"})
    git.commit("v1", {"v1": body, "wf": argo.workflow})
    await argo.create()
    await argo.pipeline_waits("--health")
    assert (await flow.at("Promoted"))["status"]["stableRevision"] == "v1"

    flow.spec["verification"]["window"] = "20s"
    await argo.wants("v2", note="second")
    await argo.reaches("Observing")
    await argo.pipeline_waits_in_vain("--health", seen="Progressing")
    await argo.acts("suspend")
    await argo.pipeline_waits("--suspended")
    await argo.pipeline_waits_in_vain("--health", "--degraded", seen="Suspended")
    assert await argo.offered() == {"resume"}
    await argo.acts("resume")
    await argo.reaches("Observing")
    await argo.acts("abort")
    await argo.pipeline_waits("--health", "--degraded")
    assert (await bench.get(WORKFLOWS, "wf"))["status"]["phase"] == "Aborted"

    await argo.acts("retry")
    await argo.reaches("Observing")
    await argo.pipeline_waits("--health")
    assert (await bench.get(WORKFLOWS, "wf"))["status"]["stableRevision"] == "v2"

    argo.commit("v3", code=500)
    await asyncio.to_thread(argo.running.cli, "app", "get", APP, "--refresh")
    await argo.pipeline_waits("--sync", "--operation", "--health", "--degraded")
    found = await bench.get(WORKFLOWS, "wf")
    assert (found["status"]["phase"], found["spec"]["activeRevision"]) == ("Reverted", "v3")
    await argo.pipeline_waits_in_vain("--health", seen="Degraded")


def exported(deployment: Object) -> Object:
    """The Deployment with what Belay had put into its template, as `kubectl get` shows it."""
    body = full(DEPLOYMENTS, copy.deepcopy(deployment))
    body["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION_REVISION: "v1"}
    return body


async def state(bench: Bench) -> tuple[Any, ...]:
    """What nobody may touch: the Workflow, and from the third on what runs."""
    workflow = await bench.get(WORKFLOWS, "wf")
    deployment = await bench.get(DEPLOYMENTS, "app")
    pods = sorted(uid_name(pod) for pod in await bench.pods())
    return (
        workflow["metadata"]["resourceVersion"],
        workflow["metadata"]["generation"],
        deployment["metadata"]["generation"],
        deployment["spec"]["template"],
        pods,
    )
