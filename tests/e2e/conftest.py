"""What every end-to-end case has: a namespace, an operator that serves it, and a Workflow."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.conftest import Once
from tests.harness import images, workbench_operator
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Cluster
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow
from tests.harness.workbench_operator import Operator, Places

from belay.shell.cluster import Cluster as Api

Begin = Callable[..., Awaitable[Flow]]
MOST_PLACES = 20
"""Of one operator."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every case here needs pods, and none may hang."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.pods)
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(scope="session")
def operator_image(cluster: Cluster) -> None:
    """The operator's image is on the nodes."""
    if not cluster.takes_images:
        pytest.skip("the operator's image cannot be brought to the nodes of this cluster")
    cluster.load_image(images.belay())


@pytest.fixture(scope="session")
def operator_kubeconfig(cluster: Cluster, crds: None, once: Once) -> Path:
    """How the operators under test log in: by a token of the shipped ServiceAccount."""
    made = once("operator", lambda folder: workbench_operator.install(cluster, folder))
    return made / workbench_operator.KUBECONFIG


@pytest.fixture(scope="session")
def places(
    cluster: Cluster,
    operator_kubeconfig: Path,
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Iterator[Places]:
    """Namespaces of this process, each for one case, that share operators."""
    told: dict[str, Any] = getattr(request.config, "workerinput", {})
    share = -(-_cases(request.session.items) // told.get("workercount", 1))
    folder = tmp_path_factory.mktemp("operators")
    found = Places(cluster, operator_kubeconfig, folder, min(share, MOST_PLACES))
    yield found
    found.close()


def _cases(items: list[pytest.Item]) -> int:
    """How many cases of the run share operators."""
    asked = [set(getattr(item, "fixturenames", ())) for item in items if not _is_skipped(item)]
    return sum("bench" in names and "own_place" not in names for names in asked)


def _is_skipped(item: pytest.Item) -> bool:
    return item.get_closest_marker("skip") is not None


@pytest.fixture
def place(places: Places) -> Iterator[tuple[str, Operator]]:
    """The case's namespace, and an operator that serves it among others."""
    with places.take() as taken:
        yield taken


@pytest.fixture
def own_place(
    operator_kubeconfig: Path, namespace: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[str, Operator]]:
    """As `place`, with an operator of the case's own; its options are the fixture's parameter."""
    options: tuple[str, ...] = getattr(request, "param", ())
    running = Operator(operator_kubeconfig, (namespace,), tmp_path / "operator.log", options)
    running.start()
    yield namespace, running
    running.close()


@pytest.fixture
async def bench(cluster: Cluster, request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    """The case's namespace; what its operator said is shown where the case fails."""
    own = "own_place" in request.fixturenames
    namespace, operator = request.getfixturevalue("own_place" if own else "place")
    async with (
        await Api.connect(str(cluster.kubeconfig), user_agent="belay-e2e") as api,
        aiohttp.ClientSession() as http,
    ):
        found = Bench(cluster, api, namespace, operator, http)
        yield found
    print(found.said)


@pytest.fixture
def begin(bench: Bench) -> Begin:
    """How a case begins, with v1 active and proven.

    v1 itself takes the shortest way; what is given counts from the next wish on.
    """

    async def begun(
        *, deploy: dict[str, Any] | None = None, v1: dict[str, Any] | None = None, **options: Any
    ) -> Flow:
        await bench.deploy(**(deploy or {}))
        await bench.revise("v1", **(v1 or {"note": "first"}))
        names = {key: options[key] for key in ("name", "targets") if key in options}
        flow = Flow(bench, manifests.workflow(checks=(), window="0s", preview="None", **names))
        await flow.apply()
        await flow.at("Promoted")
        flow.manifest = manifests.workflow(**options)
        return flow

    return begun
