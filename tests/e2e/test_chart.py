"""The chart on a real cluster: release 0.1.0, upgraded and rolled back in mid-rollout, and gone."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.e2e.conftest import Begin
from tests.harness import charts, images, kube, release
from tests.harness import workbench_manifests as manifests
from tests.harness.charts import Release
from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError
from tests.harness.workbench import Bench, Object
from tests.harness.workbench_flow import Flow

from belay.api.names import ANNOTATION_REVISION, LABEL_PAUSED_BY, MANAGER_PAUSE
from belay.shell.resources import JOBS, PODS

FORMER = "0.1.0"


@dataclass(frozen=True, slots=True)
class Installed:
    """A release of Helm in the place of an operator process: what a bench asks of one."""

    release: Release
    former: Path
    served: str

    def bring(self, verb: str, chart: Path, tag: str, *, wait: bool = True) -> None:
        """Install or upgrade, and wait as people do. Other cases share the cluster's CRDs."""
        values = {
            "image": {"tag": tag},
            "crds": {"install": False},
            "rbac": {"userRoles": False},
            "replicas": 1,
            "watchNamespaces": [self.served],
        }
        waiting = ("--wait", "--timeout=90s") if wait else ()
        self.release.run(verb, str(chart), *waiting, values=values)

    def said(self, _: str) -> str:
        """What its pods logged."""
        where = ("-n", self.release.namespace, "-l", f"app.kubernetes.io/instance={self.name}")
        return self.release.cluster.kubectl("logs", *where, "--tail=-1", "--prefix")

    @property
    def name(self) -> str:
        return self.release.name

    @property
    def user(self) -> str:
        """Who the operator is in the audit log."""
        return f"system:serviceaccount:{self.release.namespace}:{self.name}"


@pytest.fixture
def own_place(
    cluster: Cluster, crds: None, helm: Path, operator_image: None, tmp_path: Path
) -> Iterator[tuple[str, Installed]]:
    """In the place of the other cases' `own_place`."""
    try:
        release.unpack(FORMER, tmp_path / "former")
    except SetupError as error:
        pytest.skip(str(error))
    cluster.load_image(images.belay(tmp_path / "former", FORMER))
    with kube.namespace(cluster, "chart") as home, kube.namespace(cluster) as served:
        made = Release(cluster, home, f"belay-{uuid.uuid4().hex[:8]}")
        yield served, Installed(made, tmp_path / "former/charts/belay", served)


@pytest.mark.usefixtures("own_place")
async def test_a_release_comes_is_upgraded_rolled_back_and_goes(
    bench: Bench, begin: Begin, own_place: tuple[str, Installed]
) -> None:
    installed = own_place[1]
    installed.bring("install", installed.former, FORMER)
    flow = await begin(window="0s", preview="None")
    for revision in ("v2", "v3"):
        await bench.revise(revision, note=revision, ready=503)

    begun = await delivering(flow, "v2")
    mark = bench.audit.mark()
    installed.bring("upgrade", charts.CHART, "dev")
    await promoted(flow, "v2", begun)
    calls = bench.audit.entries(since=mark, user=installed.user)
    assert calls
    assert [str(call) for call in calls if call.code == 403] == []
    assert await versions(bench, installed) == {"localhost/belay:dev"}
    told = installed.release.run("test", "--timeout=60s").split()
    assert told[told.index("Phase:") + 1] == "Succeeded"

    begun = await delivering(flow, "v3")
    installed.release.run("rollback", "1", "--wait", "--timeout=90s")
    await promoted(flow, "v3", begun)
    assert await versions(bench, installed) == {f"localhost/belay:{FORMER}"}

    installed.bring("upgrade", charts.CHART, "dev", wait=False)
    await paused_by_belay(bench)
    installed.release.run("uninstall", "--wait", "--timeout=90s")
    await bench.until(JOBS, "run", lambda job: not job["spec"].get("suspend"))
    await nothing_is_left(bench, installed)
    await bench.until_runs("v3")


async def delivering(flow: Flow, revision: str) -> str:
    """Wish for a revision, and give the rollout that now waits for its pods."""
    await flow.wish(revision)
    found = await flow.at("Delivering")
    return str(found["status"]["rollout"]["id"])


async def promoted(flow: Flow, revision: str, begun: str) -> None:
    """Its pods get ready: the rollout that was begun is the one that ends well."""

    def new(pod: Object) -> bool:
        return pod["metadata"].get("annotations", {}).get(ANNOTATION_REVISION) == revision

    pod = await flow.bench.until_pod(new)
    await flow.bench.tell(pod["metadata"]["name"], ready=200)
    found = await flow.at("Promoted")
    newest = found["status"]["history"][0]
    assert (newest["id"], newest["outcome"], newest["revision"]) == (begun, "Promoted", revision)


async def paused_by_belay(bench: Bench) -> None:
    """A Job with the marks of one that Belay has paused for a Workflow that is gone."""
    await bench.apply(JOBS, manifests.job("run"))
    marks = {"labels": {LABEL_PAUSED_BY: str(uuid.uuid4())}}
    paused = {"metadata": {"name": "run", **marks}, "spec": {"suspend": True}}
    await bench.apply(JOBS, paused, MANAGER_PAUSE)


async def versions(bench: Bench, installed: Installed) -> set[str]:
    """Images of the operator's pods that are not ending."""
    pods = await bench.api.list(PODS, installed.release.namespace)
    running = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
    return {container["image"] for pod in running for container in pod["spec"]["containers"]}


async def nothing_is_left(bench: Bench, installed: Installed) -> None:
    """Nothing of the release but the Lease, which is the operator's own."""
    home, named = installed.release.namespace, installed.name
    kinds = "deployment,service,poddisruptionbudget,networkpolicy,role,rolebinding,lease"
    left = bench.cluster.get(kinds, "-n", home)["items"]
    assert [(each["kind"], each["metadata"]["name"]) for each in left] == [("Lease", named)]
    assert bench.cluster.get("role,rolebinding", "-n", bench.namespace)["items"] == []
    shared = bench.cluster.get("clusterrole,clusterrolebinding")["items"]
    assert not any(named in each["metadata"]["name"] for each in shared)
