"""Where the cluster's own machinery is: addresses of API servers and of nodes, read from the API.

No check is sent there, whatever a pod's status says. What may not be read is left out, and told
once: with Roles for some namespaces only, an administrator gives --pod-network instead.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from belay.shell.checks.egress import Address, Guard, Machinery, canonical, resolved
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Forbidden, NotFound
from belay.shell.resources import ENDPOINT_SLICES, NODES, SERVICES, Object

PERIOD: Final = 300.0
"""Seconds between two looks: nodes come and go."""
_RETRY: Final = 2.0
_WHERE: Final = "default"
_SERVICE: Final = "kubernetes"

_log = logging.getLogger(__name__)


class MachineryWatch:
    """Keeps what a guard knows of the cluster's machinery up to date."""

    def __init__(self, cluster: Cluster, guard: Guard, hosts: Sequence[str]) -> None:
        """`hosts` are names, URLs or addresses by which we reach the API server ourselves."""
        self._cluster = cluster
        self._guard = guard
        self._hosts = hosts
        self._told: set[str] = set()
        self.known = asyncio.Event()
        """Set after the first look: before it nobody is to be asked anything."""

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            try:
                self._guard.machinery = await self.look()
            except (ApiError, OSError) as error:
                self._complain(f"addresses of the API server and of nodes are not known: {error}")
                await asyncio.sleep(_RETRY)
                continue
            self.known.set()
            await asyncio.sleep(PERIOD)

    async def look(self) -> Machinery:
        """All addresses that may be read. Raises `ApiError`, and OSError of a name's resolution."""
        ours, service, endpoints, nodes = await asyncio.gather(
            resolved(self._hosts), self._service(), self._endpoints(), self._nodes()
        )
        return Machinery(ours | service | endpoints, nodes)

    async def _service(self) -> frozenset[Address]:
        try:
            service = await self._cluster.get(SERVICES, _WHERE, _SERVICE)
        except (Forbidden, NotFound) as error:
            return self._left_out("cluster addresses of the API server", error)
        spec = service["spec"]
        return _canonical([spec.get("clusterIP"), *(spec.get("clusterIPs") or [])])

    async def _endpoints(self) -> frozenset[Address]:
        """The API servers behind their Service: all of a highly available control plane."""
        labels = f"kubernetes.io/service-name={_SERVICE}"
        try:
            slices = await self._cluster.list(ENDPOINT_SLICES, _WHERE, labels=labels)
        except Forbidden as error:
            return self._left_out("endpoints of the API server", error)
        return _canonical(_each(slices, lambda one: one.get("endpoints"), "addresses"))

    async def _nodes(self) -> frozenset[Address]:
        try:
            nodes = await self._cluster.list(NODES)
        except Forbidden as error:
            return self._left_out("nodes", error)
        found = [a for n in nodes for a in (n.get("status") or {}).get("addresses") or []]
        return _canonical(one.get("address") for one in found)

    def _left_out(self, what: str, error: ApiError) -> frozenset[Address]:
        self._complain(
            f"addresses of {what} may not be read, so checks are not kept off them: {error}"
        )
        return frozenset()

    def _complain(self, message: str) -> None:
        """Once for each trouble."""
        if message not in self._told:
            self._told.add(message)
            _log.warning("%s", message)


def _each(
    objects: Iterable[Object], parts: Callable[[Object], list[Object] | None], name: str
) -> Iterator[str]:
    for one in objects:
        for part in parts(one) or []:
            yield from part.get(name) or []


def _canonical(addresses: Iterable[str | None]) -> frozenset[Address]:
    """Those that are addresses; a node's may be names, a Service's "None"."""
    found = (canonical(address) for address in addresses if address)
    return frozenset(address for address in found if address is not None)
