"""What the API server model promises, asked of the model and of a real API server alike."""

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from tests.harness import cluster as clusters
from tests.harness import kube
from tests.scenario.api import FakeCluster
from tests.scenario.contract.applying import Applying
from tests.scenario.contract.interface import Api
from tests.scenario.contract.objects import Objects
from tests.scenario.contract.statuses import Statuses
from tests.scenario.contract.watching import Watching
from tests.scenario.store import Server

from belay.shell.cluster import Cluster
from belay.shell.errors import NotFound
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, WORKFLOWS


class Contract(Objects, Applying, Statuses, Watching):
    """All that must hold of both."""


@pytest.fixture(scope="module")
def place(cluster: clusters.Cluster, crds: None) -> Iterator[str]:
    """One namespace for all of them, with our CRDs."""
    with kube.namespace(cluster, "contract") as name:
        yield name


class TestModel(Contract):
    """The API server model."""

    @pytest.fixture
    def api(self) -> Api:
        server = Server(now=lambda: datetime.now(UTC))
        return Api(FakeCluster(server, watch_seconds=0.2), "shop")


class TestRealApiServer(Contract):
    """The API server of the run's cluster."""

    @pytest.fixture
    async def api(self, cluster: clusters.Cluster, place: str) -> AsyncIterator[Api]:
        async with await Cluster.connect(str(cluster.kubeconfig)) as client:
            api = Api(client, place)
            yield api
            for resource in (CONFIG_MAPS, DEPLOYMENTS, PODS, WORKFLOWS):
                for body in await client.list(resource, place):
                    with suppress(NotFound):
                        await api.delete(resource, body["metadata"]["name"], grace=0)
