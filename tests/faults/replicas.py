"""Two operators and one lease: the leader is killed, stopped or asked to end, in every phase."""

import asyncio
import json
import signal
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.faults import ending
from tests.faults.ending import Found
from tests.faults.operators import Operator
from tests.faults.plans import Plan
from tests.faults.proxy import STATUS, Proxy
from tests.faults.runner import HANGS, PATIENCE, Runner, broke
from tests.faults.scenarios import SCENARIOS, Place
from tests.faults.zygote import HOME
from tests.harness.audit import AuditLog, Entry

from belay.shell.resources import LEASES

LEADERS: Final = 2
"""Processes that led, in any handover: the lease counts them."""
ENDS_WITHIN: Final = 30.0
"""Seconds until a leader that leads no more has to have ended."""
FIRST_WRITE: Final = 3.0
"""Seconds that a woken leader is kept asleep for, until the other one has written."""


class How(StrEnum):
    """What becomes of the leader."""

    KILL = "killed"
    STOP = "stopped past its lease, then woken"
    TERM = "asked to end"


_SIGNALS: Final = {How.KILL: signal.SIGKILL, How.STOP: signal.SIGSTOP, How.TERM: signal.SIGTERM}
_CODES: Final = {How.KILL: -signal.SIGKILL, How.STOP: 1, How.TERM: 0}


@dataclass(frozen=True, slots=True)
class Shift:
    """It happens when a status of this phase is stored, before the leader hears of that."""

    scenario: str
    phase: str
    how: How

    def __str__(self) -> str:
        return f"{self.scenario}: leader {self.how} at {self.phase}"


@dataclass(frozen=True, slots=True)
class Handover:
    """What came of one shift. Seconds since the leader was struck."""

    shift: Shift
    namespace: str
    violations: tuple[str, ...]
    led: float | None = None
    wrote: float | None = None
    """None where nothing was left to write."""
    log: str = ""


@dataclass(slots=True)
class Replica:
    """One operator, and all that it was seen to do."""

    name: str
    operator: Operator
    proxy: Proxy
    at_phase: Callable[[str], Awaitable[None]] | None = None
    leads: asyncio.Event = field(default_factory=asyncio.Event)
    wrote: asyncio.Event = field(default_factory=asyncio.Event)
    led_at: float = 0.0
    wrote_at: float = 0.0

    async def heard(self, what: str, content: bytes) -> None:
        if what.endswith(" leases"):
            if not self.leads.is_set() and json.loads(content)["spec"]["holderIdentity"]:
                self.led_at = time.monotonic()
                self.leads.set()
            return
        if not self.wrote.is_set():
            self.wrote_at = time.monotonic()
            self.wrote.set()
        if what == STATUS and self.at_phase is not None:
            await self.at_phase(json.loads(content)["status"]["phase"])

    async def close(self) -> None:
        await self.operator.close()
        await self.proxy.close()


async def replica(
    runner: Runner, namespace: str, name: str, *, restarts: bool, clock: str = ""
) -> Replica:
    """Not started yet. Those of one namespace share a lease."""
    stem = runner.folder / f"{namespace}-{name}"
    lease = f"belay-{namespace}"
    operator = Operator(
        runner.zygote,
        stem.with_suffix(".json"),
        namespace,
        stem.with_suffix(".log"),
        lease=lease,
        restarts=restarts,
        clock=clock,
    )
    proxy = Proxy(runner.upstream, namespace, operator.kill, agent=f" ({name})")
    made = Replica(name, operator, proxy)
    proxy.heard = made.heard
    operator.kubeconfig.write_text(runner.kubeconfig(await proxy.open()))
    return made


def shifts(bases: dict[str, Found]) -> list[Shift]:
    """Every phase that the undisturbed runs had, and each way to lose the leader."""
    return [Shift(n, phase, how) for n, b in bases.items() for phase in b.phases for how in How]


async def hand_over(runner: Runner, shift: Shift) -> Handover:
    """Play the shift with a leader and a standby of its own."""
    namespace = f"r-{uuid.uuid4().hex[:10]}"
    first = await replica(runner, namespace, "first", restarts=False)
    second = await replica(runner, namespace, "second", restarts=False)
    try:
        async with asyncio.timeout(HANGS):
            return await _play(runner, shift, first, second)
    except Exception as error:  # noqa: BLE001 - what breaks the test is a finding too
        wrong = broke(error)
        return Handover(shift, namespace, (wrong,), log=logs(first, second))
    finally:
        await first.close()
        await second.close()


async def _play(runner: Runner, shift: Shift, first: Replica, second: Replica) -> Handover:
    scenario, namespace = SCENARIOS[shift.scenario], first.proxy.namespace
    place = Place(runner.api, runner.standin, namespace)
    await place.make(scenario.revisions, engine=bool(scenario.engine))
    if scenario.begun:
        await place.creates("v1", window="0s", preview="None")
    async with asyncio.timeout(PATIENCE):
        await first.operator.start()
        await first.leads.wait()
        if scenario.begun:
            await place.until_phase("Promoted")
        await second.operator.start()
        await second.proxy.asked_for_lease.wait()
    plan = Plan(shift.scenario)
    first.proxy.arm(plan)
    second.proxy.arm(plan)
    struck = asyncio.get_running_loop().create_future()

    async def strike(phase: str) -> None:
        if phase == shift.phase and not struck.done():
            struck.set_result(time.monotonic())
            first.operator.kill(_SIGNALS[shift.how])

    first.at_phase = strike
    async with asyncio.TaskGroup() as both:
        both.create_task(scenario.script(place))
        code = both.create_task(_lose(shift.how, struck, first, second))
    found = await runner.until_end(plan, place, first.proxy, second.proxy)
    wrong = list(ending.violations(plan, scenario, found, runner.bases[shift.scenario]))
    wrong += await _judge(runner, shift, namespace, code.result(), found)
    led = second.led_at - struck.result()
    wrote = second.wrote_at - struck.result() if second.wrote.is_set() else None
    log = logs(first, second) if wrong else ""
    return Handover(shift, namespace, tuple(wrong), led, wrote, log)


async def _lose(how: How, struck: "asyncio.Future[float]", first: Replica, second: Replica) -> int:
    """Until the one leads and the other has ended; gives how that ended."""
    async with asyncio.timeout(PATIENCE):
        await struck
        await second.leads.wait()
    if how is How.STOP:
        await asyncio.wait([asyncio.create_task(second.wrote.wait())], timeout=FIRST_WRITE)
        first.operator.kill(signal.SIGCONT)
    async with asyncio.timeout(ENDS_WITHIN):
        return await first.operator.ended()


async def _judge(
    runner: Runner, shift: Shift, namespace: str, code: int, found: Found
) -> list[str]:
    """What does not hold of the handover itself."""
    wrong, base = [], runner.bases[shift.scenario]
    spec = (await runner.api.get(LEASES, HOME, f"belay-{namespace}"))["spec"]
    if spec["leaseTransitions"] != LEADERS:
        wrong.append(f"{spec['leaseTransitions']} led, instead of {LEADERS}")
    if found.template_writes != base.template_writes:
        wrong.append(f"{found.template_writes} templates instead of {base.template_writes}")
    if code != _CODES[shift.how]:
        wrong.append(f"the leader that was {shift.how} ended with {code}")
    return wrong


def late_writes(audit: AuditLog, namespaces: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Namespaces, and what the old leader wrote in them after the first write of the new one."""
    for namespace in namespaces:
        taken_over = False
        for entry in audit.entries(namespace=namespace, keep=_is_accepted):
            if entry.user_agent.endswith(" (second)"):
                taken_over = True
            elif taken_over and entry.user_agent.endswith(" (first)"):
                yield namespace, str(entry)


def _is_accepted(entry: Entry) -> bool:
    return entry.is_write and entry.code < 300


def logs(*replicas: Replica) -> str:
    """All that their processes said."""
    logs = [(r.name, r.operator.log) for r in replicas]
    return "\n".join(f"--- {name}\n{log.read_text()}" for name, log in logs if log.exists())
