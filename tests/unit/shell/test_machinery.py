"""What the guard knows of API servers and nodes, and how it goes on knowing."""

import asyncio
import logging
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.shell.virtual_time import in_virtual_time

from belay.shell.checks.egress import Guard
from belay.shell.checks.machinery import PERIOD, MachineryWatch
from belay.shell.errors import ApiError, Forbidden, Unavailable
from belay.shell.resources import ENDPOINT_SLICES, NODES, SERVICES, Resource

Body = dict[str, Any]


class Api:
    """A cluster with a highly available control plane and both address families."""

    def __init__(self) -> None:
        self.fails: dict[Resource, ApiError] = {}
        self.nodes = [node("192.168.7.1", "node-1", "203.0.113.1"), node("192.168.7.2", "fd00::2")]

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Body:
        assert (resource, namespace, name) == (SERVICES, "default", "kubernetes")
        self._maybe_fail(resource)
        return {"spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1", "fd00:96::1"]}}

    async def list(self, resource: Resource, *where: str, labels: str = "") -> list[Body]:
        self._maybe_fail(resource)
        if resource is NODES:
            return self.nodes
        assert (resource, where) == (ENDPOINT_SLICES, ("default",))
        assert labels == "kubernetes.io/service-name=kubernetes"
        found = [["192.168.7.10"], ["192.168.7.11"]]
        return [{"endpoints": [{"addresses": one} for one in found]}, {"endpoints": None}]

    def _maybe_fail(self, resource: Resource) -> None:
        if resource in self.fails:
            raise self.fails[resource]


def node(*addresses: str) -> Body:
    return {"status": {"addresses": [{"address": address} for address in addresses]}}


def addresses(*texts: str) -> frozenset[Any]:
    return frozenset(map(ip_address, texts))


API_SERVERS = addresses("10.96.0.1", "fd00:96::1", "192.168.7.10", "192.168.7.11", "198.51.100.4")


def watch(api: Api, guard: Guard) -> MachineryWatch:
    return MachineryWatch(api, guard, ["https://198.51.100.4:6443", ""])  # type: ignore[arg-type]


async def test_all_addresses_of_api_servers_and_nodes_are_found() -> None:
    found = await watch(Api(), Guard()).look()
    assert found.api_servers == API_SERVERS
    assert found.nodes == addresses("192.168.7.1", "203.0.113.1", "192.168.7.2", "fd00::2")


async def test_what_may_not_be_read_is_left_out_and_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    api, denied = Api(), Forbidden(403, "Forbidden", "nodes is forbidden")
    api.fails = {SERVICES: denied, ENDPOINT_SLICES: denied, NODES: denied}
    found = watch(api, Guard())
    for _ in range(2):
        looked = await found.look()
        assert looked.api_servers == addresses("198.51.100.4")
        assert looked.nodes == frozenset()
    assert len(caplog.records) == 3
    assert {record.levelno for record in caplog.records} == {logging.WARNING}


def test_a_new_node_is_known_after_a_while_and_no_failure_makes_one_forgotten() -> None:
    async def story() -> None:
        api, guard = Api(), Guard()
        api.fails = {NODES: Unavailable(503, "", "not now")}
        watching = watch(api, guard)
        task = asyncio.create_task(watching.run())
        await asyncio.sleep(1)
        assert not watching.known.is_set()
        api.fails = {}
        await watching.known.wait()
        assert guard.refuse("192.168.7.2", 80) is not None
        assert guard.refuse("192.168.7.3", 80) is None
        api.nodes = [node("192.168.7.3")]
        api.fails = {SERVICES: Unavailable(0, "NoAnswer", "gone")}
        await asyncio.sleep(PERIOD + 10)
        assert guard.refuse("192.168.7.2", 80) is not None
        api.fails = {}
        await asyncio.sleep(10)
        assert guard.refuse("192.168.7.3", 80) is not None
        task.cancel()

    in_virtual_time(story())


async def test_a_name_that_does_not_resolve_is_told_and_tried_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", fails)
    guard = Guard()
    watching = MachineryWatch(Api(), guard, ["https://api.example:6443"])  # type: ignore[arg-type]
    task = asyncio.create_task(watching.run())
    async with asyncio.timeout(10):
        while not caplog.records:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not watching.known.is_set()
    assert "Temporary failure in name resolution" in caplog.text
    task.cancel()
