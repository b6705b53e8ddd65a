"""Kinds of instances, and their real CRDs on the API server."""

from collections.abc import AsyncIterator

import pytest
from tests.conftest import InstallKinds
from tests.harness.cluster import Cluster
from tests.harness.instance_crds import CRON_WORKFLOWS, WORKFLOWS
from tests.integration.instances.pausing import sample

from belay.api.instance_kinds import InstanceKind
from belay.cli.instances import read_kinds
from belay.shell.cluster import Cluster as Api


@pytest.fixture(scope="session")
def argo_workflows_crds(install_kinds: InstallKinds) -> None:
    install_kinds(WORKFLOWS, CRON_WORKFLOWS)


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with await Api.connect(str(cluster.kubeconfig), user_agent="belay-test") as found:
        yield found


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[InstanceKind, ...]:
    """The shipped ones, and those of the sample."""
    return read_kinds(sample(tmp_path_factory.mktemp("kinds")))
