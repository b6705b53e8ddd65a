"""The chart on a real cluster: installed, tested and taken away."""

import uuid
from collections.abc import Iterator

import pytest
from tests.harness import images, kube
from tests.harness.charts import Release
from tests.harness.cluster import Cluster

VALUES = {"image": {"tag": "dev"}, "crds": {"install": False}, "rbac": {"userRoles": False}}
"""Other operators share the cluster's CRDs."""


@pytest.fixture
def release(cluster: Cluster, crds: None) -> Iterator[Release]:
    if not cluster.takes_images:
        pytest.skip("the operator's image cannot be brought to the nodes of this cluster")
    cluster.load_image(images.belay())
    with kube.namespace(cluster, "chart") as home:
        yield Release(cluster, home, f"belay-{uuid.uuid4().hex[:8]}")


def test_a_release_comes_works_and_goes(release: Release, cluster: Cluster, namespace: str) -> None:
    values = {**VALUES, "watchNamespaces": [namespace]}
    chart = "charts/belay"
    release.run("install", chart, "--wait", "--timeout=60s", values=values)

    told = release.run("test", "--timeout=60s").split()
    assert told[told.index("Phase:") + 1] == "Succeeded"

    release.run("uninstall", "--wait")
    kinds = "deployment,service,lease,poddisruptionbudget,networkpolicy,serviceaccount"
    left = cluster.get(kinds, "-n", release.namespace)["items"]
    assert {each["metadata"]["name"] for each in left} == {"default", release.name}
    assert cluster.get("role,rolebinding", "-n", namespace)["items"] == []
