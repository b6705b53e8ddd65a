"""What keeps a delivered ConfigMap that has no role any more: whatever may still start a pod."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.scenario.api import Call, FakeCluster
from tests.scenario.ownership import Entry
from tests.scenario.records import Write
from tests.scenario.shapes import Object
from tests.scenario.store import Server
from tests.unit.core import world

from belay.shell.garbage import Uses, unused
from belay.shell.resources import (
    CONTROLLER_REVISIONS,
    JOBS,
    PODS,
    REPLICA_SETS,
    Resource,
)
from belay.shell.turn import Turn

OLD = "wf-1-0123456789abcdef"
CONTAINERS: list[Object] = [{"name": "app", "image": "app:1"}]
PROJECTED = {
    "containers": CONTAINERS,
    "volumes": [{"name": "belay", "projected": {"sources": [{"configMap": {"name": OLD}}]}}],
}
PLAIN = {"containers": CONTAINERS, "volumes": [{"name": "own", "configMap": {"name": OLD}}]}


def template(spec: Object) -> Object:
    return {"template": {"metadata": {"labels": {}}, "spec": spec}}


def ended(kind: str) -> Object:
    return {"spec": template(PLAIN), "status": {"conditions": [{"type": kind, "status": "True"}]}}


@pytest.mark.parametrize(
    ("resource", "body", "kept"),
    [
        (PODS, {"spec": PROJECTED}, True),
        (PODS, {"spec": PLAIN}, True),
        (PODS, {"spec": {"containers": CONTAINERS}}, False),
        (REPLICA_SETS, {"spec": template(PROJECTED)}, True),
        (CONTROLLER_REVISIONS, {"data": {"spec": template(PROJECTED)}, "revision": 1}, True),
        (CONTROLLER_REVISIONS, {"data": {"somebody": "else"}, "revision": 1}, False),
        (CONTROLLER_REVISIONS, {"revision": 1}, False),
        (JOBS, {"spec": template(PLAIN)}, True),
        (JOBS, {"spec": {**template(PLAIN), "suspend": True}}, True),
        (JOBS, ended("Complete"), False),
        (JOBS, ended("Failed"), False),
    ],
)
async def test_content_is_kept_for_whatever_may_start_a_pod_with_it(
    resource: Resource, body: dict[str, Any], kept: bool
) -> None:
    server = Server(lambda: datetime(2026, 5, 4, tzinfo=UTC))
    write = Write(Entry("test", "Update", ""))
    server.create(resource, world.KEY.namespace, {"metadata": {"name": "one"}, **body}, write)
    cluster: Any = FakeCluster(server)
    free = await unused(Turn(cluster, world.KEY), {OLD: "map-9"}, Uses())
    assert free == ({} if kept else {OLD: "map-9"})


async def test_a_reading_answers_those_who_asked_before_it_began_and_nobody_else() -> None:
    server = Server(lambda: datetime(2026, 5, 4, tzinfo=UTC))
    began, go_on = asyncio.Event(), asyncio.Event()
    lists = 0

    async def counted(call: Call) -> None:
        nonlocal lists
        if call.resource is PODS:
            lists += 1
            began.set()
            await go_on.wait()

    cluster: Any = FakeCluster(server, before=counted)
    uses = Uses()
    first = asyncio.create_task(uses.read(cluster, world.KEY.namespace))
    await began.wait()
    late = [asyncio.create_task(uses.read(cluster, world.KEY.namespace)) for _ in range(9)]
    await asyncio.sleep(0)
    write = Write(Entry("test", "Update", ""))
    pod = {"metadata": {"name": "late"}, "spec": PLAIN}
    server.create(PODS, world.KEY.namespace, pod, write)
    go_on.set()
    await first
    assert [await one for one in late] == [frozenset({OLD})] * 9
    assert lists == 2
