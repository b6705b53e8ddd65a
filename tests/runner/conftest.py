"""One runner for many cases, and a server that its nodes may call."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from tests.harness import runner_python
from tests.harness.setup import SetupError
from tests.runner import dsl
from tests.runner.process import Runner, eventually, running
from tests.runner.server import Server

Begin = Callable[..., AbstractContextManager[Runner]]
ALLOWED = ("--http-allow", "127.0.0.1/32", "--allow-code")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(120))


@pytest.fixture(scope="session")
def python() -> Path:
    """The runner's own interpreter and packages."""
    try:
        return runner_python.python()
    except SetupError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """What HTTP nodes and models call."""
    with Server() as found:
        yield found


@pytest.fixture(scope="session")
def shared(
    python: Path, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Runner]:
    folder = tmp_path_factory.mktemp("runner")
    options = (*ALLOWED, "--llm-url", f"{server.url}/llm/v1")
    with running(python, folder, *options) as found:
        yield found


@pytest.fixture
def runner(shared: Runner, server: Server) -> Iterator[Runner]:
    """The shared runner, with open intake and nothing at work."""
    yield shared
    server.open_gates()
    for holder in shared.info()["holders"]:
        shared.intake("Open", holder)
    live = {"status": "running,pausing,paused"}
    for run in shared.admin.get("/engine/v1/runs", params=live).json()["runs"]:
        shared.admin.post(f"/engine/v1/runs/{run['id']}:abort", json={"reason": "cleaning up"})
    found = shared.admin
    eventually(
        "an idle runner",
        lambda: not found.get("/engine/v1/runs", params=live).json()["runs"],
    )


@pytest.fixture
def held(runner: Runner, server: Server) -> Callable[[str], str]:
    """Starts a run that stands in a call until the server opens the gate of this name."""

    def make(gate: str) -> str:
        runner.take(held_at(server, gate))
        run = runner.begin()
        runner.at(run, "held")
        return run

    return make


def held_at(server: Server, gate: str) -> str:
    call = dsl.call("held", f"{server.url}/gate/{gate}")
    return dsl.app(dsl.start(), call, dsl.spare(), dsl.end(told=["held", "body"]))


@pytest.fixture
def begin(python: Path, tmp_path: Path) -> Begin:
    """A runner of the case's own."""

    def make(*options: str, name: str = "own", wait: bool = True) -> AbstractContextManager[Runner]:
        return running(python, tmp_path / name, *ALLOWED, *options, wait=wait)

    return make
