"""When it is looked for what no rollout holds any more. In virtual time, on the API in memory."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.scenario.api import FakeCluster
from tests.scenario.ownership import Entry
from tests.scenario.records import Write
from tests.scenario.store import Server
from tests.unit.shell.virtual_time import in_virtual_time, now

from belay.api.names import LABEL_PAUSED_BY, MANAGER_PAUSE
from belay.runtime.config import Config
from belay.runtime.sweeper import Sweeper
from belay.shell.checks.egress import Guard
from belay.shell.resources import JOBS

Plot = Callable[[Server, Sweeper], Awaitable[None]]


def leave(server: Server, name: str) -> None:
    """A Job that was paused for a Workflow which is gone."""
    pod = {"containers": [{"name": "run", "image": "run:1"}]}
    body = {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}
    made = server.create(JOBS, "shop", body, Write(Entry("kubectl", "Update", "")))
    mark = {
        "apiVersion": JOBS.api_version,
        "kind": JOBS.kind,
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": made["metadata"]["uid"],
            "labels": {LABEL_PAUSED_BY: "uid-of-nobody"},
        },
        "spec": {"suspend": True},
    }
    server.apply(JOBS, mark, Write(Entry(MANAGER_PAUSE, "Apply", ""), force=True))


def is_held(server: Server, name: str) -> bool:
    return LABEL_PAUSED_BY in server.get(JOBS, "shop", name)["metadata"].get("labels", {})


def play(plot: Plot) -> None:
    async def played() -> None:
        server = Server(now)
        sweeper = Sweeper(FakeCluster(server), Config(), Guard())  # type: ignore[arg-type]
        leave(server, "first")
        running = asyncio.create_task(sweeper.run())
        await asyncio.sleep(1)
        assert not is_held(server, "first")
        await plot(server, sweeper)
        running.cancel()

    in_virtual_time(played())


def test_a_deleted_workflow_is_not_waited_for() -> None:
    async def plot(server: Server, sweeper: Sweeper) -> None:
        leave(server, "second")
        sweeper.needed()
        await asyncio.sleep(1)
        assert is_held(server, "second")
        sweeper.wake()
        await asyncio.sleep(1)
        assert not is_held(server, "second")

    play(plot)


def test_what_a_turn_pauses_after_its_workflow_went_is_found_a_period_later() -> None:
    async def plot(server: Server, sweeper: Sweeper) -> None:
        await asyncio.sleep(100)
        sweeper.needed()
        sweeper.wake()
        await asyncio.sleep(1)
        leave(server, "late")
        await asyncio.sleep(70)
        assert not is_held(server, "late")

    play(plot)


def test_while_nobody_names_instances_it_rests() -> None:
    async def plot(server: Server, sweeper: Sweeper) -> None:
        await asyncio.sleep(200)
        leave(server, "unseen")
        sweeper.wake()
        await asyncio.sleep(200)
        assert is_held(server, "unseen")

    play(plot)
