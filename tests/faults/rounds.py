"""Rollouts side by side, each waiting at a phase of its own, until the world breaks for all."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from tests.faults import ending
from tests.faults.ending import Found
from tests.faults.outages import CLOCKS, NAMESPACES, Outage, World
from tests.faults.plans import Fault, Plan
from tests.faults.replicas import Replica, logs, replica
from tests.faults.runner import HANGS, PATIENCE, Runner, broke
from tests.faults.scenarios import SCENARIOS, Place

from belay.shell.errors import NotFound

ARRIVE_WITHIN: Final = 25.0
"""Seconds; an operator waits for its answer for thirty."""
CALM: Final = 3.0
"""Seconds in which operators of a deleted namespace are listened to."""
CALM_CALLS: Final = 40
"""That both of them may make in this time: periodic lists, and back-offs."""
_MAY_END_OTHERWISE: Final = frozenset(
    {Outage.API_SERVER, Outage.COMPACTION, Outage.RIGHTS, Outage.FORWARD, Outage.TARGET}
)
"""An API server that starts refuses for a moment what it will allow."""


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a rollout is when it happens: a status of this phase is stored, and not answered."""

    scenario: str
    phase: str

    def __str__(self) -> str:
        return f"{self.scenario} at {self.phase}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one rollout."""

    outage: Outage
    spot: Spot
    violations: tuple[str, ...]
    end: str
    came_to_pass: bool
    """It was at its phase when the world broke."""
    seconds: float
    log: str = ""

    def __str__(self) -> str:
        return f"{self.outage}, {self.spot}"


@dataclass(slots=True)
class _Gate:
    """Where one rollout waits for the others."""

    spot: Spot
    open: asyncio.Event
    over: asyncio.Event
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    async def at_phase(self, phase: str) -> None:
        if phase == self.spot.phase and not self.arrived.is_set():
            self.arrived.set()
            await self.open.wait()


def spots(bases: dict[str, Found]) -> list[Spot]:
    """Every phase that the undisturbed runs had."""
    return [Spot(name, phase) for name, base in bases.items() for phase in base.phases]


async def play(
    runner: Runner, world: World, outage: Outage, chosen: Sequence[Spot], seed: int
) -> list[Verdict]:
    """One outage for all of them at once."""
    world.set_clock(0)
    begun = asyncio.Event()
    over = asyncio.Event()
    gates = [_Gate(spot, begun, over) for spot in chosen]
    places = [Place(runner.api, runner.standin, f"w-{uuid.uuid4().hex[:10]}") for _ in chosen]
    lanes = [
        asyncio.create_task(_lane(runner, world, outage, gate, place))
        for gate, place in zip(gates, places, strict=True)
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(ARRIVE_WITHIN):
            await asyncio.gather(*(gate.arrived.wait() for gate in gates))
    await world.strike(outage, places, begun.set, seed)
    over.set()
    return list(await asyncio.gather(*lanes))


async def _lane(runner: Runner, world: World, outage: Outage, gate: _Gate, place: Place) -> Verdict:
    pair = [
        await replica(runner, place.namespace, name, restarts=True, clock=str(world.clock))
        for name in ("first", "second")
    ]
    began = time.monotonic()
    end = ""
    try:
        async with asyncio.timeout(HANGS):
            found, wrong = await _play(runner, outage, gate, place, pair)
        end = found.ending.phase if found is not None else "gone"
    except Exception as error:  # noqa: BLE001 - what breaks the test is a finding too
        wrong = [broke(error)]
    finally:
        came = gate.arrived.is_set()
        gate.arrived.set()
        for one in pair:
            await one.close()
    log = logs(*pair) if wrong else ""
    return Verdict(outage, gate.spot, tuple(wrong), end, came, time.monotonic() - began, log)


async def _play(
    runner: Runner, outage: Outage, gate: _Gate, place: Place, pair: Sequence[Replica]
) -> tuple[Found | None, list[str]]:
    scenario = SCENARIOS[gate.spot.scenario]
    await place.make(scenario.revisions, engine=bool(scenario.engine))
    if scenario.begun:
        await place.creates("v1", window="0s", preview="None")
    async with asyncio.timeout(PATIENCE):
        for one in pair:
            await one.operator.start()
        if scenario.begun:
            await place.until_phase("Promoted")
    refused = Fault.FORBIDDEN if outage in _MAY_END_OTHERWISE else None
    plan = Plan(gate.spot.scenario, refused)
    for one in pair:
        one.at_phase = gate.at_phase
        one.proxy.arm(Plan(gate.spot.scenario))
    script = asyncio.ensure_future(scenario.script(place))
    await gate.open.wait()
    if not gate.arrived.is_set():
        return None, []
    if outage is Outage.NAMESPACE:
        script.cancel()
        return None, [wrong async for wrong in _after_namespace(place, pair)]
    await gate.over.wait()
    await script
    found = await runner.until_end(plan, place, *(one.proxy for one in pair))
    wrong = list(_judge(outage, plan, found, runner))
    if outage in CLOCKS and not _tells(place, gate.spot.phase, CLOCKS[outage]):
        wrong.append("the clock was not seen to jump")
    return found, wrong


def _tells(place: Place, phase: str, ahead: int) -> bool:
    """Whether the end that was told is by the new clock; one before it is by the old one."""
    status = place.workflow.get("status") or {}
    rollout = status.get("rollout")
    if rollout is None or phase in (status["phase"], rollout.get("outcome")):
        return True
    off = datetime.fromisoformat(rollout["endedAt"]) - datetime.now(UTC)
    return abs(off.total_seconds() - ahead) < PATIENCE


def _judge(outage: Outage, plan: Plan, found: Found, runner: Runner) -> Iterator[str]:
    scenario, base = SCENARIOS[plan.scenario], runner.bases[plan.scenario]
    if outage is Outage.TARGET:
        yield from ending.unsettled(found, base)
        return
    yield from ending.violations(plan, scenario, found, base)
    same = found.ending.history == base.ending.history
    if same and found.template_writes != base.template_writes:
        yield f"{found.template_writes} templates instead of {base.template_writes}"


async def _after_namespace(place: Place, pair: Sequence[Replica]) -> AsyncIterator[str]:
    """Nothing is written any more, and nobody runs in circles."""
    for _ in range(int(PATIENCE * 10)):
        if not await _exists(place):
            break
        await asyncio.sleep(0.1)
    await asyncio.sleep(CALM)
    calls = [len(one.proxy.calls) for one in pair]
    written = [len(one.proxy.written) for one in pair]
    await asyncio.sleep(CALM)
    for one, before, there in zip(pair, calls, written, strict=True):
        if len(one.proxy.calls) - before > CALM_CALLS:
            made = len(one.proxy.calls) - before
            yield f"{one.name}: {made} calls in {CALM:g} s after the namespace was gone"
        if one.proxy.written[there:]:
            yield f"{one.name}: {', '.join(one.proxy.written[there:])} into a deleted namespace"
        said = one.operator.log.read_text()
        if len(one.operator.codes) > said.count("not renewed") + said.count(" leads"):
            yield f"{one.name}: ended with {one.operator.codes}"


async def _exists(place: Place) -> bool:
    try:
        await place.api.get(NAMESPACES, None, place.namespace)
    except NotFound:
        return False
    return True
