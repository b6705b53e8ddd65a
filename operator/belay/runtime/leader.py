"""All that runs while this process leads: sources, queue, workers."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Protocol

from belay.core.keys import Key
from belay.runtime.config import Config
from belay.runtime.deliveries import Deliveries
from belay.runtime.elector import LeaseLost
from belay.runtime.kopf_source import KopfSource
from belay.runtime.metrics import Metrics
from belay.runtime.queue import Priority, WorkQueue
from belay.runtime.resync import Resync, SourceDead
from belay.runtime.revisions import Revisions
from belay.runtime.sweeper import Sweeper
from belay.runtime.targets import Targets
from belay.runtime.workers import Workers
from belay.shell.checks.egress import Guard
from belay.shell.checks.machinery import MachineryWatch
from belay.shell.cluster import Cluster


class Reconciles(Protocol):
    """What the machine turns."""

    async def reconcile(self, key: Key) -> float | None: ...
    def knows(self, key: Key, resource_version: str) -> bool: ...
    def urgency(self, key: Key) -> Priority: ...
    def forget(self, key: Key) -> None: ...
    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a reconciler is built of."""

    cluster: Cluster
    config: Config
    revisions: Revisions
    targets: Targets
    metrics: Metrics
    queue: WorkQueue
    guard: Guard
    names_instances: Callable[[], None] = lambda: None
    """Called where a Workflow names instances."""


RESTING_APART: Final = 0.01
"""Seconds between two looks at the start where nothing is to be done: the list goes on beside."""
MakeReconciler = Callable[[Parts], Reconciles]
Job = Coroutine[Any, Any, None]


class EndedUnexpectedly(Exception):
    """A part that runs as long as the process has ended."""


class Leader:
    """Made when this process begins to lead, and used once."""

    def __init__(
        self,
        cluster: Cluster,
        config: Config,
        metrics: Metrics,
        guard: Guard,
        make_reconciler: MakeReconciler,
    ) -> None:
        queue = self._queue = WorkQueue()
        self._drain_seconds = config.drain_seconds
        self._deliveries = Deliveries()
        self._source = KopfSource(config.kubeconfig, config.context, config.namespaces)
        self._source_ended = asyncio.Event()
        self._source_failure: BaseException | None = None
        self._resync = Resync(cluster, queue, self._deliveries, config.scopes, config.resync)
        self._revisions = Revisions(cluster, config.scopes, queue.add)
        self._targets = Targets(cluster, lambda key: queue.add(key, self._reconciler.urgency(key)))
        self._sweeper = Sweeper(cluster, config, guard)
        self._reconciler = make_reconciler(
            Parts(
                cluster,
                config,
                self._revisions,
                self._targets,
                metrics,
                queue,
                guard,
                self._sweeper.needed,
            )
        )
        self._machinery = MachineryWatch(
            cluster, guard, [cluster.host, os.environ.get("KUBERNETES_SERVICE_HOST", "")]
        )
        self._workers = Workers(queue, self._reconciler.reconcile, config.workers)
        self.dead = ""
        """Why the process must start afresh; empty while it need not."""
        metrics.watch_queue(lambda: queue.depth, lambda: queue.oldest_seconds)
        metrics.watch_source(lambda: self._resync.watch_age)

    @property
    def trouble(self) -> str:
        """Why it is not ready; empty when it is."""
        unlisted = "" if self._revisions.listed.is_set() else "revisions have not been listed yet"
        return self.dead or self._resync.trouble or unlisted

    async def run(self, stop: asyncio.Event, hold: Job, release: Callable[[], Job]) -> None:
        """Lead until `stop`: then finish what was begun, let the next one lead, stop kopf.

        `hold` renews the lease. Raises `LeaseLost`, `SourceDead` and `EndedUnexpectedly`.
        """
        jobs: dict[str, Job] = {
            "the lease": hold,
            "the watch of revisions": self._revisions.run(),
            "the watch of targets": self._targets.run(),
            "the list of nodes": self._machinery.run(),
            "the search for paused instances": self._sweep(),
            "the event source": self._follow_source(),
            "the periodic list": self._resync.run(self._start_source),
        }
        tasks = [asyncio.create_task(job, name=name) for name, job in jobs.items()]
        workers = asyncio.create_task(self._work(), name="the workers")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait({*tasks, workers, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not stopping.done():
                raise self._cause([*tasks, workers])
            self._queue.shut_down()
            await asyncio.wait({workers}, timeout=self._drain_seconds)
        finally:
            self._queue.shut_down()
            await _cancel(workers, stopping)
            await self._reconciler.close()
            await _cancel(tasks[0])
            await release()
            await self._source.stop()
            await _cancel(*tasks[1:])

    async def _work(self) -> None:
        """From when the revisions are known, as none must seem missing, and whom not to ask."""
        await self._revisions.listed.wait()
        await self._machinery.known.wait()
        await self._workers.run()

    async def _sweep(self) -> None:
        """From when it is known whom not to ask."""
        await self._machinery.known.wait()
        await self._sweeper.run()

    def _start_source(self) -> None:
        self._source.start(self._on_event, self._on_end)

    def _on_event(self, key: Key, resource_version: str, *, deleted: bool, resting: bool) -> None:
        """Of ten thousand that are found at the start, those at rest wait for the others."""
        self._deliveries.record(key, resource_version, deleted=deleted)
        if deleted:
            self._reconciler.forget(key)
            self._sweeper.wake()
        elif self._reconciler.knows(key, resource_version):
            return
        if resting:
            self._queue.add_apart(key, RESTING_APART)
        else:
            self._queue.add(key, Priority.NEW)

    def _on_end(self, failure: BaseException | None) -> None:
        self._source_failure = failure
        self._source_ended.set()

    async def _follow_source(self) -> None:
        await self._source_ended.wait()
        raise SourceDead("kopf has ended") from self._source_failure

    def _cause(self, tasks: list[asyncio.Task[None]]) -> Exception:
        """Why the first of the tasks ended."""
        ended = next(task for task in tasks if task.done())
        failure = ended.exception()
        if not isinstance(failure, LeaseLost | SourceDead):
            cause = failure
            failure = EndedUnexpectedly(f"{ended.get_name()} ended: {cause!r}")
            failure.__cause__ = cause
        self.dead = str(failure)
        return failure


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait until they have ended; how they end is of no interest any more."""
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
