"""Kinds of instances, and their real CRDs on the API server."""

from collections.abc import AsyncIterator, Callable

import pytest
from tests.conftest import Once
from tests.harness import instance_crds
from tests.harness.cluster import Cluster
from tests.harness.instance_crds import CRON_WORKFLOWS, WORKFLOWS
from tests.harness.setup import SetupError
from tests.integration.instances.pausing import sample

from belay.api.instance_kinds import InstanceKind
from belay.cli.instances import read_kinds
from belay.shell.cluster import Cluster as Api
from belay.shell.resources import Resource

Install = Callable[..., None]


@pytest.fixture(scope="session")
def install(cluster: Cluster, once: Once) -> Install:
    """Install the CRDs of these kinds, where they are to be had."""

    def installed(*kinds: Resource) -> None:
        if cluster.kind == "existing":
            pytest.skip("would put CRDs of others onto a cluster that is somebody's own")
        for kind in kinds:
            try:
                instance_crds.crd(kind)
            except SetupError as error:
                pytest.skip(f"needs the CRD of {kind.plural}.{kind.group}: {error}")
            name = f"{kind.plural}.{kind.group}"
            once(name, lambda _, kind=kind: instance_crds.install(cluster, kind))

    return installed


@pytest.fixture(scope="session")
def argo_workflows_crds(install: Install) -> None:
    install(WORKFLOWS, CRON_WORKFLOWS)


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with await Api.connect(str(cluster.kubeconfig), user_agent="belay-test") as found:
        yield found


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[InstanceKind, ...]:
    """The shipped ones, and those of the sample."""
    return read_kinds(sample(tmp_path_factory.mktemp("kinds")))
