"""A namespace of its own for each file, on a cluster that knows the CRDs."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.harness import kube
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT, SetupError

Create = Callable[[dict[str, Any]], None]
Refusal = Callable[[dict[str, Any]], str]
PatchStatus = Callable[[str, dict[str, Any]], None]


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    cluster.kubectl("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "crds"))
    names = ["crd/workflows.belay.dev", "crd/workflowrevisions.belay.dev"]
    cluster.kubectl("wait", "--for=condition=Established", "--timeout=30s", *names)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, crds: None) -> Iterator[str]:
    with kube.namespace(cluster, "crds") as name:
        yield name


@pytest.fixture
def create(cluster: Cluster, namespace: str) -> Create:
    """Create an object in the test's namespace."""

    def create_it(obj: dict[str, Any]) -> None:
        cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(obj))

    return create_it


@pytest.fixture
def refusal(cluster: Cluster, namespace: str) -> Refusal:
    """What the API server says when it refuses to create an object."""

    def try_it(obj: dict[str, Any]) -> str:
        arguments = ["create", "-n", namespace, "--dry-run=server", "-f", "-"]
        with pytest.raises(SetupError) as refused:
            cluster.kubectl(*arguments, stdin=json.dumps(obj))
        return str(refused.value)

    return try_it


@pytest.fixture
def patch_status(cluster: Cluster, namespace: str) -> PatchStatus:
    """Write the status of the Workflow of that name."""

    def patch_it(name: str, status: dict[str, Any]) -> None:
        patch = json.dumps({"status": status})
        where = ["-n", namespace, "--subresource=status", "--type=merge"]
        cluster.kubectl("patch", "bwf", name, *where, "--patch", patch)

    return patch_it


def eventually(attempt: Callable[[], str], seconds: float = 30) -> str:
    """The result of the first attempt that the cluster does not refuse."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except SetupError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
