"""Runs plans side by side, each in a namespace and with an operator of its own."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.faults import ending
from tests.faults.ending import Found
from tests.faults.engines import Engines
from tests.faults.operators import Operator, Zygote
from tests.faults.patience import Patience
from tests.faults.plans import Plan
from tests.faults.proxy import Proxy, Upstream, upstream
from tests.faults.scenarios import SCENARIOS, Place, Scenario, lives
from tests.faults.standin import StandIn
from tests.harness import workbench_operator
from tests.harness.certificates import kubeconfig
from tests.harness.cluster import Cluster

from belay.shell.cluster import Cluster as Api

Object = dict[str, Any]
PATIENCE = 90.0
"""Seconds until the end has to come; the longest way is a half-open watch."""
HANGS = 900.0
"""Seconds after which a plan is given up, whatever it waits for and however busy the machine is."""
RESYNC = 6.0
"""Seconds between periodic lists: what waits for one costs less than what lists."""
QUIET = 0.6
"""Seconds without a write, at rest."""
EVENTS_LATE = 10.0
"""Seconds after the wish, from when on an event that is missing is taken for lost."""
TAKEN_OVER = 8.0
"""Seconds without a write, in which a standby would have taken over and written."""
MEASURED_AT_ONCE = 5
_FINAL = frozenset({"Promoted", "Reverted", "Held", "Failed", "Refused", "Aborted", "RevertFailed"})


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one plan."""

    plan: Plan
    fired: bool
    """The fault came to pass: runs differ a little in their calls."""
    violations: tuple[str, ...]
    seconds: float
    found: Found | None = None
    log: str = ""


@dataclass(slots=True)
class Runner:
    """One cluster, one process that forks."""

    api: Api
    standin: StandIn
    upstream: Upstream
    zygote: Zygote
    token: str
    folder: Path
    bases: dict[str, Found] = field(default_factory=dict)

    async def measure(self, names: Iterable[str]) -> list[Result]:
        """The undisturbed run of each scenario: what all others are compared with."""
        few = asyncio.Semaphore(MEASURED_AT_ONCE)

        async def one(name: str) -> Result:
            async with few:
                return await self.run(Plan(name))

        results = await asyncio.gather(*map(one, names))
        for result in results:
            if result.found is not None:
                self.bases[result.plan.scenario] = result.found
        return list(results)

    async def run(self, plan: Plan) -> Result:
        scenario = SCENARIOS[plan.scenario]
        namespace = f"f-{uuid.uuid4().hex[:10]}"
        place = Place(self.api, self.standin, namespace)
        log = self.folder / f"{namespace}.log"
        operator = Operator(
            self.zygote, self.folder / f"{namespace}.json", namespace, log, resync=RESYNC
        )
        proxy = Proxy(self.upstream, namespace, operator.kill)
        began = time.monotonic()
        try:
            port = await proxy.open()
            operator.kubeconfig.write_text(self.kubeconfig(port))
            async with asyncio.timeout(HANGS):
                found, wrong = await self._play(plan, scenario, place, proxy, operator)
        except Exception as error:  # noqa: BLE001 - a plan that breaks the test is a finding too
            found, wrong = None, [broke(error)]
        finally:
            await operator.close()
            await proxy.close()
        told = log.read_text() if wrong and log.exists() else ""
        return Result(plan, proxy.fired, tuple(wrong), time.monotonic() - began, found, told)

    async def _play(
        self, plan: Plan, scenario: Scenario, place: Place, proxy: Proxy, operator: Operator
    ) -> tuple[Found, list[str]]:
        await place.make(scenario.revisions, engine=bool(scenario.engine))
        if scenario.begun:
            await place.creates("v1", window="0s", preview="None")
        await operator.start()
        if scenario.begun and not await place.until_phase("Promoted"):
            raise AssertionError(f"v1 is at {place.workflow.get('status')}")
        await asyncio.sleep(0.1)
        proxy.arm(plan)
        await scenario.script(place)
        found = await self.until_end(plan, place, proxy)
        wrong = list(ending.violations(plan, scenario, found, self.bases.get(plan.scenario)))
        wrong += [change async for change in ending.late_changes(place, proxy)]
        return found, wrong

    async def until_end(self, plan: Plan, place: Place, *proxies: Proxy) -> Found:
        """Wait for the right end, or for any that lasts; what lasts is judged."""
        scenario = SCENARIOS[plan.scenario]
        base = self.bases.get(plan.scenario)
        patience = Patience(PATIENCE)
        told_by = Patience(EVENTS_LATE if len(proxies) == 1 else TAKEN_OVER)
        while True:
            over = _over(place) if scenario.phase else _gone
            ended = await place.until(over, max(patience.left, 0.1))
            await place.collect_garbage() if not scenario.phase else None
            written = [len(proxy.written) for proxy in proxies]
            await asyncio.sleep(QUIET)
            found = await ending.read(place, *proxies, engine=bool(scenario.engine))
            late = tuple(w for p, n in zip(proxies, written, strict=True) for w in p.written[n:])
            good = base is None or ending.is_right(plan, found, base)
            if patience.is_over or (ended and not late and good):
                return replace(found, writes_at_rest=late)
            if late and len(proxies) > 1:
                told_by = Patience(TAKEN_OVER)
            may_lose = ending.may_lose(plan, scenario)
            if ended and not late and may_lose and told_by.is_over:
                return found

    def kubeconfig(self, port: int) -> str:
        """The operator's, for a proxy."""
        where = {"server": f"http://127.0.0.1:{port}"}
        return json.dumps(kubeconfig(where, {"token": self.token}))


def broke(error: BaseException) -> str:
    """What broke a test, and not what is tested; of a group, each."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(map(broke, error.exceptions))
    return f"the run broke: {type(error).__name__}: {error}"


def _over(place: Place) -> Callable[[Object], bool]:
    def over(workflow: Object) -> bool:
        if not workflow or workflow["metadata"]["generation"] < place.generation:
            return False
        status = workflow.get("status") or {}
        seen = status.get("observedGeneration") == workflow["metadata"]["generation"]
        return seen and status.get("phase") in _FINAL

    return over


def _gone(workflow: Object) -> bool:
    return not workflow


@asynccontextmanager
async def runner(cluster: Cluster, folder: Path) -> AsyncIterator[Runner]:
    """On a control plane with the CRDs."""
    shared = json.loads(workbench_operator.install(cluster, folder).read_text())
    where = shared["clusters"][0]["cluster"]
    authority = base64.b64decode(where["certificate-authority-data"]).decode()
    zygote, engines = Zygote(), Engines()
    await zygote.open(await engines.open())
    try:
        async with (
            await Api.connect(str(cluster.kubeconfig), user_agent="faults") as api,
            upstream(where["server"], authority) as server,
        ):
            standin = StandIn(api, lives(), engines)
            async with standin.running():
                token = shared["users"][0]["user"]["token"]
                yield Runner(api, standin, server, zygote, token, folder)
    finally:
        await zygote.close()
        engines.close()
