"""What a watch tells."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from tests.scenario.contract import bodies
from tests.scenario.contract.interface import Api

import belay.shell.cluster
from belay.shell.resources import CONFIG_MAPS, WORKFLOWS, Resource

Object = dict[str, Any]

# A controller puts it into every namespace, when it comes to it.
OF_THE_CLUSTER = "kube-root-ca.crt"


class Watching:
    """What a watch tells."""

    async def test_a_watch_tells_what_happens_after_a_list(self, api: Api) -> None:
        kept = await api.create(CONFIG_MAPS, bodies.config_map("a", x="1"))
        _, version = await api.cluster.list_metadata(CONFIG_MAPS, api.namespace)
        await api.create(CONFIG_MAPS, bodies.config_map("b"))
        await api.cluster.replace(CONFIG_MAPS, api.namespace, {**kept, "data": {"x": "2"}})
        await api.delete(CONFIG_MAPS, "b")

        events = await _events(api, CONFIG_MAPS, version, 3)
        told = [(kind, o["metadata"]["name"]) for kind, o in events]
        assert told == [("ADDED", "b"), ("MODIFIED", "a"), ("DELETED", "b")]
        versions = [int(o["metadata"]["resourceVersion"]) for _, o in events]
        assert versions == sorted(set(versions))
        assert versions[0] > int(version)
        assert events[1][1]["data"] == {"x": "2"}

    async def test_a_watch_from_anywhere_begins_with_what_is_there(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        ((kind, found),) = await _events(api, WORKFLOWS, "0", 1, metadata_only=True)
        assert (kind, found["metadata"]["name"]) == ("ADDED", "w")
        assert "spec" not in found

    async def test_a_recent_list_holds_what_a_watch_has_told(self, api: Api) -> None:
        await api.cluster.list(CONFIG_MAPS, api.namespace)
        _, version = await api.cluster.list_metadata(CONFIG_MAPS, api.namespace)
        for number in range(20):
            made = await api.create(CONFIG_MAPS, bodies.config_map(f"m{number}"))
            await _events(api, CONFIG_MAPS, version, 1)
            version = made["metadata"]["resourceVersion"]
            found = await api.cluster.list(CONFIG_MAPS, api.namespace, recent=True)
            assert made["metadata"]["uid"] in [o["metadata"]["uid"] for o in found]

    async def test_a_quiet_watch_ends_by_itself_and_can_be_gone_on_from(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(belay.shell.cluster, "WATCH_SECONDS", 2)
        made = await api.create(WORKFLOWS, bodies.workflow("w"))
        at = made["metadata"]["resourceVersion"]
        async with asyncio.timeout(30):
            async for kind, body in api.cluster.watch(WORKFLOWS, api.namespace, at):
                assert kind == "BOOKMARK"
                at = body["metadata"]["resourceVersion"]
        assert int(at) >= int(made["metadata"]["resourceVersion"])

        await api.create(WORKFLOWS, bodies.workflow("later"))
        ((kind, found),) = await _events(api, WORKFLOWS, at, 1)
        assert (kind, found["metadata"]["name"]) == ("ADDED", "later")


async def _events(
    api: Api, resource: Resource, since: str, count: int, **how: Any
) -> list[tuple[str, Object]]:
    found: list[tuple[str, Object]] = []
    async with (
        asyncio.timeout(10),
        aclosing(api.cluster.watch(resource, api.namespace, since, **how)) as events,  # type: ignore[type-var]
    ):
        async for kind, body in events:
            if kind != "BOOKMARK" and body["metadata"]["name"] != OF_THE_CLUSTER:
                found.append((kind, body))
            if len(found) == count:
                break
    return found
