"""The operator process: stand by, lead, end."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack
from ipaddress import ip_network
from typing import Final

from belay import __version__
from belay.runtime.config import Config
from belay.runtime.elector import Elector, LeaseLost
from belay.runtime.health import HealthServer
from belay.runtime.leader import EndedUnexpectedly, Leader, MakeReconciler
from belay.runtime.metrics import Metrics
from belay.runtime.resync import SourceDead
from belay.shell.checks.egress import Guard
from belay.shell.cluster import Cluster

log = logging.getLogger(__name__)

_CONNECTIONS: Final = 64
_LEASE_CONNECTIONS: Final = 2
"""Of the client that renews the lease: it never waits behind the others' requests."""


async def run(config: Config, make_reconciler: MakeReconciler) -> int:
    """Run until SIGTERM or SIGINT (0), or until the process must start afresh (1)."""
    app = App(config, make_reconciler)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, app.stop)
    try:
        await app.run()
    except (EndedUnexpectedly, LeaseLost, SourceDead, OSError) as error:
        log.critical("ending: %s", error, exc_info=error.__cause__)
        return 1
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
    log.info("ended")
    return 0


class App:
    """One life of the operator."""

    def __init__(self, config: Config, make_reconciler: MakeReconciler) -> None:
        self._config = config
        self._make_reconciler = make_reconciler
        self._metrics = Metrics()
        self._stop = asyncio.Event()
        self._elector: Elector | None = None
        self._leader: Leader | None = None

    def stop(self) -> None:
        """Begin to end in good order."""
        if not self._stop.is_set():
            log.info("asked to stop")
        self._stop.set()

    async def run(self) -> None:
        """Until stopped. Raises what makes a fresh start necessary."""
        async with AsyncExitStack() as stack:
            health = await stack.enter_async_context(self._health_server())
            log.info("health and metrics on port %d", health.port)
            cluster = await stack.enter_async_context(await self._connect(_CONNECTIONS))
            if not self._config.election.enabled:
                await self._lead(cluster, None)
                return
            lease_cluster = await stack.enter_async_context(await self._connect(_LEASE_CONNECTIONS))
            elector = self._elector = self._candidate(lease_cluster)
            cluster.transport.may_write = elector.may_write
            if await self._until_leading(elector):
                await self._lead(cluster, elector)

    async def _until_leading(self, elector: Elector) -> bool:
        """False where the process is stopped before that."""
        acquire = asyncio.create_task(elector.acquire(), name="acquire")
        stop = asyncio.create_task(self._stop.wait(), name="stop")
        await asyncio.wait((acquire, stop), return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if acquire.done():
            acquire.result()
            return True
        acquire.cancel()
        await asyncio.wait((acquire,))
        await elector.release()
        return False

    async def _lead(self, cluster: Cluster, elector: Elector | None) -> None:
        guard = Guard(
            allow_host_network=self._config.allow_host_network,
            pod_networks=tuple(map(ip_network, self._config.pod_networks)),
        )
        leader = self._leader = Leader(
            cluster, self._config, self._metrics, guard, self._make_reconciler
        )
        self._metrics.leading(True)
        try:
            if elector is None:
                await leader.run(self._stop, _forever(), _nothing)
            else:
                await leader.run(self._stop, elector.hold(), elector.release)
        finally:
            self._metrics.leading(False)

    async def _connect(self, connections: int) -> Cluster:
        return await Cluster.connect(
            self._config.kubeconfig,
            self._config.context,
            user_agent=f"belay/{__version__}",
            connections=connections,
            on_request=self._metrics.api_request,
        )

    def _candidate(self, cluster: Cluster) -> Elector:
        election = self._config.election
        namespace = election.lease_namespace or cluster.namespace
        return Elector(cluster, namespace, election.lease_name, election.identity, election.terms)

    def _health_server(self) -> HealthServer:
        return HealthServer(
            self._config.health_address,
            self._config.health_port,
            live=lambda: self._leader.dead if self._leader is not None else "",
            ready=self._trouble,
            metrics=self._metrics.exposition,
        )

    def _trouble(self) -> str:
        """Why not ready. A standby is when its election works; a leader, when all is known."""
        if self._leader is not None:
            return self._leader.trouble
        return self._elector.trouble if self._elector is not None else "not connected yet"


async def _forever() -> None:
    await asyncio.Event().wait()


async def _nothing() -> None:
    return
