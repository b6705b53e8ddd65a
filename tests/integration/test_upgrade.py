"""From release 0.1.0 to this one in the middle of a rollout, and the CRDs by Helm.

CRDs belong to the whole cluster, so all of it happens on a control plane of its own. It has the
real API server, the real controllers and real operators of both versions; only kubelet is played,
and says of each pod what the test wants to be so.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import aiohttp
import pytest
import yaml
from tests.harness import charts, kube, release, workbench_operator
from tests.harness import cluster as clusters
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Cluster
from tests.harness.direct import direct
from tests.harness.setup import ROOT, SetupError
from tests.harness.workbench import SECONDS, Bench, Object
from tests.harness.workbench_flow import Flow, ready
from tests.harness.workbench_operator import Operator

from belay.api.names import ANNOTATION_REVISION
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import NotFound, Unavailable
from belay.shell.resources import PODS, REVISIONS, WORKFLOWS

NO_HOOK = ("--set", "releaseOnUninstall.enabled=false")
"""Nothing runs a pod here."""


class Order(StrEnum):
    """What comes first in an upgrade."""

    CRDS_FIRST = "CRDs first"
    CRDS_LAST = "CRDs last"


@pytest.fixture(scope="module")
def former(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of release 0.1.0."""
    folder = tmp_path_factory.mktemp("former")
    try:
        release.unpack("0.1.0", folder)
    except SetupError as error:
        pytest.skip(str(error))
    return folder


@pytest.fixture(scope="module")
def plane() -> Iterator[Cluster]:
    with clusters.own_control_plane() as own:
        yield own


def apply_crds(plane: Cluster, root: Path) -> None:
    plane.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(root / "crds"))
    plane.until_served(WORKFLOWS, REVISIONS)


@dataclass(slots=True)
class Kubelet:
    """In kubelet's place: every pod is ready at once, but for those of held revisions."""

    bench: Bench
    held: set[str] = field(default_factory=set)

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._work())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def let_go(self, revision: str) -> None:
        """Pods of this revision get ready."""
        self.held.discard(revision)
        for pod in await self.bench.find(PODS):
            self._tell(pod)

    async def _work(self) -> None:
        async for kind, pod in self.bench.api.watch(PODS, self.bench.namespace, ""):
            if kind == "ADDED":
                self._tell(pod)

    def _tell(self, pod: Object) -> None:
        annotations = pod["metadata"].get("annotations") or {}
        if annotations.get(ANNOTATION_REVISION) in self.held:
            return
        name = pod["metadata"]["name"]
        status = {
            "phase": "Running",
            "conditions": [{"type": kind, "status": "True"} for kind in ("Ready", "Initialized")],
        }
        api = direct(self.bench.cluster.kubeconfig)
        with suppress(NotFound):  # it may go at any time
            api.patch_status(PODS, self.bench.namespace, name, status)


@pytest.fixture
async def bench(plane: Cluster, former: Path, tmp_path: Path) -> AsyncIterator[Bench]:
    """A namespace, served by the operator of 0.1.0."""
    apply_crds(plane, former)
    kubeconfig = workbench_operator.install(plane, tmp_path)
    with kube.namespace(plane) as namespace:
        operator = Operator(
            kubeconfig, (namespace,), tmp_path / "operator.log", code=former / "operator"
        )
        operator.start()
        async with (
            await Api.connect(str(plane.kubeconfig), user_agent="belay-upgrade") as api,
            aiohttp.ClientSession() as http,
        ):
            found = Bench(plane, api, namespace, operator, http)
            yield found
        operator.close()
        print(operator.said(namespace))


@pytest.mark.parametrize("order", [*Order])
@pytest.mark.timeout(120)
async def test_a_rollout_goes_on_under_the_new_operator_and_back_under_the_old(
    bench: Bench, former: Path, order: Order, seed: int, request: pytest.FixtureRequest
) -> None:
    if not request.config.getoption("full") and order is not [*Order][seed % 2]:
        pytest.skip("the other order is this run's sample; make test-full runs both")
    kubelet = Kubelet(bench, held={"v2", "v3"})
    flow = Flow(bench, manifests.workflow(checks=(), window="1s", preview="None"))
    async with kubelet.at_work():
        await bench.deploy()
        for revision in ("v1", "v2", "v3"):
            await bench.revise(revision, note=revision)
        await flow.apply()
        await flow.at("Promoted")

        begun = await delivering(flow, "v2")
        if order is Order.CRDS_FIRST:
            apply_crds(bench.cluster, ROOT)
        replace(bench.operator, ROOT / "operator")
        await kubelet.let_go("v2")
        await promoted(flow, "v2", begun)
        apply_crds(bench.cluster, ROOT)

        begun = await delivering(flow, "v3")
        replace(bench.operator, former / "operator")
        await kubelet.let_go("v3")
        await promoted(flow, "v3", begun)


async def delivering(flow: Flow, revision: str) -> str:
    """Wish for a revision, and give the rollout that now waits for its pods."""
    await flow.wish(revision)
    found = await at(flow, "Delivering")
    return str(found["status"]["rollout"]["id"])


async def at(flow: Flow, phase: str) -> Object:
    """As `flow.at`. Where a CRD has just changed, the API server opens its storage anew."""
    async with asyncio.timeout(SECONDS):
        while True:
            with suppress(Unavailable):
                return await flow.at(phase)
            await asyncio.sleep(0.1)


async def promoted(flow: Flow, revision: str, begun: str) -> None:
    """The rollout that was begun is the one that ends well, and nothing came between."""
    found = await at(flow, "Promoted")
    assert found["status"]["stableRevision"] == revision
    newest = found["status"]["history"][0]
    assert (newest["id"], newest["outcome"]) == (begun, "Promoted")
    assert ready(found)["status"] == "True"
    assert not found["status"].get("quarantine")


def replace(operator: Operator, code: Path) -> None:
    """End the operator, as an upgrade does, and start that of another version."""
    assert operator.stop() == 0
    operator.code = code
    operator.start()


def test_helm_upgrades_the_crds_puts_them_back_and_leaves_them(
    plane: Cluster, former: Path
) -> None:
    with kube.namespace(plane, "helm") as home:
        installed = charts.Release(plane, home)
        old, new = former / "charts/belay", charts.CHART
        installed.run("install", str(old), "--take-ownership")
        assert crds(plane) == told_by(old)
        kept = workflow(plane, home)

        installed.run("upgrade", str(new), *NO_HOOK)
        assert crds(plane) == told_by(new)
        installed.run("rollback", "1")
        assert crds(plane) == told_by(old)
        installed.run("uninstall")
        assert crds(plane) == told_by(old)
        assert plane.get("workflows.belay.dev/wf", "-n", home)["metadata"]["uid"] == kept

        installed.run("install", str(new), *NO_HOOK)
        assert crds(plane) == told_by(new)
        installed.run("uninstall")


def workflow(plane: Cluster, namespace: str) -> str:
    """Make a Workflow, and give its uid."""
    told = {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind}
    plane.until_served(WORKFLOWS)
    plane.apply({**told, **manifests.workflow()}, namespace=namespace)
    found = plane.get("workflows.belay.dev/wf", "-n", namespace)
    return str(found["metadata"]["uid"])


def crds(plane: Cluster) -> dict[str, tuple[str, Object]]:
    """The chart that each CRD in the cluster is from, and its schema."""
    found = plane.get("crds", "-l", "app.kubernetes.io/name=belay")["items"]
    return {each["metadata"]["name"]: _described(each) for each in found}


def told_by(chart: Path) -> dict[str, tuple[str, Object]]:
    """What a chart says of them."""
    rendered = yaml.safe_load_all(charts.helm("template", "belay", chart))
    found = [each for each in rendered if each and each["kind"] == "CustomResourceDefinition"]
    assert len(found) == 2
    return {each["metadata"]["name"]: _described(each) for each in found}


def _described(crd: Object) -> tuple[str, Object]:
    (version,) = crd["spec"]["versions"]
    return crd["metadata"]["labels"]["helm.sh/chart"], version["schema"]
