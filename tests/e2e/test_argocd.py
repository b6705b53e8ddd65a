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
    namespace: str
    git: Repository
    flow: Flow

    async def create(self) -> None:
        body = argocd.application(APP, self.git.folder, self.bench.namespace)
        await asyncio.to_thread(self.bench.cluster.apply, {**body}, namespace=self.namespace)

    async def wants(self, revision: str, **definition: Any) -> str:
        """Publish a revision and wish for it, in one commit."""
        self.flow.spec["activeRevision"] = revision
        body = manifests.revision_body("wf", revision, definition)
        return await self.told(self.git.commit(revision, {revision: body, "wf": self.workflow}))

    @property
    def workflow(self) -> Object:
        return full(WORKFLOWS, self.flow.manifest)

    async def told(self, commit: str) -> str:
        """Tell Argo CD that there is something new, as a webhook does."""
        await self.patch({"metadata": {"annotations": {"argocd.argoproj.io/refresh": "normal"}}})
        return commit

    async def patch(self, body: Object) -> None:
        words = ["patch", "applications.argoproj.io", APP, "-n", self.namespace]
        await asyncio.to_thread(
            self.bench.cluster.kubectl, *words, "--type=merge", f"--patch={json.dumps(body)}"
        )

    async def until(self, good: Any) -> Object:
        cluster, what = self.bench.cluster, f"applications.argoproj.io/{APP}"
        return await asyncio.to_thread(kube.wait, cluster, self.namespace, what, good, 90)

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

    async def awaited(self, condition: str) -> None:
        """`kubectl wait`, as a script does it; begun before there is an outcome."""
        words = ["wait", "workflows.belay.dev/wf", "-n", self.bench.namespace, "--timeout=90s"]
        command = [*words, f"--for=condition={condition}"]
        await asyncio.to_thread(self.bench.cluster.kubectl, *command)

    async def person(self, resource: Resource, name: str, body: Object) -> None:
        """Somebody changes what Git owns."""
        words = ["patch", f"{resource.plural}.{resource.group}", name, "-n", self.bench.namespace]
        await asyncio.to_thread(
            self.bench.cluster.kubectl, *words, "--type=merge", f"--patch={json.dumps(body)}"
        )


def full(resource: Resource, body: Object) -> Object:
    return {"apiVersion": resource.api_version, "kind": resource.kind, **body}


@pytest.fixture
def argo_namespace(
    argo_cd: argocd.Programs, cluster: Cluster, once: Once, tmp_path: Path
) -> Iterator[str]:
    once("argocd-crds", lambda _: argocd.install_crds(cluster))
    with argocd.running(argo_cd, cluster, tmp_path) as namespace:
        yield namespace


@pytest.fixture
def argo(argo_namespace: str, bench: Bench, tmp_path: Path) -> Argo:
    flow = Flow(bench, manifests.workflow())
    return Argo(bench, argo_namespace, Repository(tmp_path / "repository"), flow)


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
    assert set(bench.writes(mark)) == {"patch workflows/status", "create events"}


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
