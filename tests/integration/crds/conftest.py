"""A namespace of its own for each file, on a cluster that knows the CRDs."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from tests.harness import kube
from tests.harness.cluster import Cluster
from tests.harness.direct import Direct, direct
from tests.harness.setup import SetupError

from belay.shell.errors import ApiError
from belay.shell.resources import REVISIONS, WORKFLOWS, Resource

T = TypeVar("T")
Create = Callable[[dict[str, Any]], None]
Refusal = Callable[[dict[str, Any]], str]
PatchStatus = Callable[[str, dict[str, Any]], None]

_RESOURCES = {resource.kind: resource for resource in (WORKFLOWS, REVISIONS)}


def resource_of(obj: dict[str, Any]) -> Resource:
    return _RESOURCES[obj["kind"]]


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Direct:
    """The administrator's connection."""
    return direct(cluster.kubeconfig)


@pytest.fixture(scope="module")
def namespace(cluster: Cluster, crds: None) -> Iterator[str]:
    with kube.namespace(cluster, "crds") as name:
        yield name


@pytest.fixture
def create(api: Direct, namespace: str) -> Create:
    """Create an object in the test's namespace."""

    def create_it(obj: dict[str, Any]) -> None:
        api.create(resource_of(obj), namespace, obj)

    return create_it


@pytest.fixture
def refusal(api: Direct, namespace: str) -> Refusal:
    """What the API server says when it refuses to create an object."""

    def try_it(obj: dict[str, Any]) -> str:
        with pytest.raises(ApiError) as refused:
            api.create(resource_of(obj), namespace, obj, dry_run=True)
        assert refused.value.code in (400, 422)
        return refused.value.message

    return try_it


@pytest.fixture
def patch_status(api: Direct, namespace: str) -> PatchStatus:
    """Write the status of the Workflow of that name."""

    def patch_it(name: str, status: dict[str, Any]) -> None:
        api.patch_status(WORKFLOWS, namespace, name, status)

    return patch_it


def eventually(attempt: Callable[[], T], seconds: float = 30) -> T:
    """The result of the first attempt that the cluster does not refuse."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return attempt()
        except (SetupError, ApiError, KeyError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
