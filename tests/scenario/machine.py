"""The operator under test: its real parts on the API server model, in virtual time.

Only kopf and the Lease are left out: a watch of ours brings the events of Workflows.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from tests.scenario.api import Call, FakeCluster
from tests.scenario.records import Event
from tests.scenario.store import Server
from tests.scenario.world.engine import EngineWorld
from tests.unit.shell.virtual_time import clock, now

from belay.core.keys import Key
from belay.runtime.config import Config, Election
from belay.runtime.leader import Parts
from belay.runtime.metrics import Metrics
from belay.runtime.queue import Priority, WorkQueue
from belay.runtime.reconciler import Reconciler
from belay.runtime.revisions import Revisions
from belay.runtime.stream import key_of
from belay.runtime.targets import Targets
from belay.runtime.workers import Workers
from belay.shell.act import Senses
from belay.shell.backups.secrets import SecretStore
from belay.shell.checks.credentials import Credentials
from belay.shell.checks.egress import Guard
from belay.shell.checks.prober import Asker, Prober
from belay.shell.checks.trust import Trust
from belay.shell.recorder import Recorder
from belay.shell.resources import WORKFLOWS

RESYNC = 60.0
RESTART = 2.0
"""Seconds that a new process takes to come up after a crash."""


@dataclass(slots=True)
class Weather:
    """What happens to the operator from outside; calm by default."""

    rng: Random | None = None
    """Where given, every call and every event takes a time of its own."""
    crashes: Callable[[int, Call], bool] = lambda *_: False
    """Whether the process dies after this write, its n-th (from 1), before it hears of it."""

    meddles: Callable[[Server, Call], None] = lambda *_: None
    """What others do just before a call of the operator arrives."""

    def latency(self) -> float:
        return self.rng.uniform(0.0002, 0.01) if self.rng else 0.001

    def delay(self) -> float:
        """How late an event comes."""
        return self.rng.choice((0.001, 0.02, 0.3, 1.5)) if self.rng else 0.002


@dataclass(slots=True)
class Machine:
    """One operator process after the other; a crash forgets all that is in memory."""

    server: Server
    asker: Asker
    weather: Weather
    heard: Callable[[Call], None]
    """Called with each call that the server has carried out."""
    world: EngineWorld = field(default_factory=EngineWorld)
    writes: int = 0
    restarts: int = 0
    parts: Parts = field(init=False)
    """Of the present process."""
    reconciler: Reconciler = field(init=False)
    _crashed: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, outside: Callable[[], set[asyncio.Task[None]]]) -> None:
        """Until cancelled; `outside` are the tasks that survive a crash."""
        while True:
            process = asyncio.create_task(self._process(), name="process")
            crash = asyncio.create_task(self._crashed.wait(), name="crash")
            await asyncio.wait({process, crash}, return_when=asyncio.FIRST_COMPLETED)
            if process.done():
                await process
            self._crashed.clear()
            await self._die(outside())
            self.restarts += 1
            await asyncio.sleep(RESTART)

    def crash(self) -> None:
        """Kill the process; a new one comes up after a moment."""
        self._crashed.set()

    async def _process(self) -> None:
        api = FakeCluster(
            self.server, before=self._before, after=self._after, on_event=self._on_event
        )
        rng = self.weather.rng
        queue = WorkQueue(clock, rng.random if rng else lambda: 0.5)
        revisions = Revisions(api, (None,), queue.add)  # type: ignore[arg-type]
        targets = Targets(api, lambda key: queue.add(key, reconciler.urgency(key)))  # type: ignore[arg-type]
        prober = Prober(
            self.asker, lambda key: queue.add(key, reconciler.urgency(key)), now=now, clock=clock
        )
        recorder = Recorder(api, "belay-0")  # type: ignore[arg-type]
        recorder.start()
        config = Config(election=Election(identity="belay-0"))
        parts = self.parts = Parts(api, config, revisions, targets, Metrics(), queue, Guard())  # type: ignore[arg-type]
        secrets = Credentials(api)
        engines = self.world.engines(secrets, SecretStore(api))  # type: ignore[arg-type]
        senses = Senses(prober, secrets, Trust(api), session=None, engines=engines)  # type: ignore[arg-type]
        reconciler = self.reconciler = Reconciler(parts, senses, recorder, now=now)
        async with asyncio.TaskGroup() as parts_running:
            parts_running.create_task(revisions.run())
            parts_running.create_task(targets.run())
            parts_running.create_task(self._events(api, queue, reconciler))
            parts_running.create_task(self._resync(api, queue))
            await revisions.listed.wait()
            parts_running.create_task(Workers(queue, reconciler.reconcile, 4).run())

    async def _events(self, api: FakeCluster, queue: WorkQueue, reconciler: Reconciler) -> None:
        since = "0"
        while True:
            events = api.watch(WORKFLOWS, None, since, metadata_only=True)
            async for kind, body in events:
                since = body["metadata"]["resourceVersion"]
                if kind == "BOOKMARK":
                    continue
                key = key_of(body["metadata"])
                if kind == "DELETED":
                    reconciler.forget(key)
                elif reconciler.knows(key, since):
                    continue
                queue.add(key, Priority.NEW)

    async def _resync(self, api: FakeCluster, queue: WorkQueue) -> None:
        while True:
            await asyncio.sleep(RESYNC)
            for body in (await api.list_metadata(WORKFLOWS))[0]:
                metadata = body["metadata"]
                queue.add(Key(metadata["namespace"], metadata["name"]), Priority.RESYNC)

    async def _die(self, survivors: set[asyncio.Task[None]]) -> None:
        """All tasks of the process, whoever started them."""
        me = asyncio.current_task()
        mine = {t for t in asyncio.all_tasks() if t not in survivors and t is not me}
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _before(self, call: Call) -> None:
        await asyncio.sleep(self.weather.latency())
        self.weather.meddles(self.server, call)

    async def _after(self, call: Call) -> None:
        self.heard(call)
        if call.writes and call.error is None:
            self.writes += 1
            if self.weather.crashes(self.writes, call):
                self.crash()
                await asyncio.Event().wait()
        await asyncio.sleep(self.weather.latency())

    async def _on_event(self, _: Event) -> None:
        await asyncio.sleep(self.weather.delay())
