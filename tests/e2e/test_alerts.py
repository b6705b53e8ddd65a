"""A real Prometheus scrapes two Belays; a real revert reaches a webhook, and all panels have data.

Only the waits of the rules (`for`, `keep_firing_for`) are shortened. `PATIENCE` is longer than a
failover takes, so that an alert that fires does not end with its leader.
"""

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families
from tests.harness import workbench_manifests as manifests
from tests.harness.monitoring import prometheus
from tests.harness.monitoring.prometheus import Programs, Prometheus, Sample
from tests.harness.setup import ROOT, SetupError
from tests.harness.workbench import SECONDS, Bench
from tests.harness.workbench_flow import Flow
from tests.harness.workbench_operator import HOME, Operator

from belay.shell.resources import JOBS

Object = dict[str, Any]

PATIENCE = "8s"
RUNBOOK = "docs/operations.md#belayrolloutreverted"
DASHBOARD = json.loads((ROOT / "deploy/monitoring/dashboard.json").read_text())


@dataclass(slots=True)
class Told:
    """What a webhook heard of alerts, in order."""

    url: str = ""
    alerts: list[Object] = field(default_factory=list)

    def about(self, workflow: str, status: str) -> list[Object]:
        """What it heard of the reverts of a Workflow."""
        return [
            alert
            for alert in self.alerts
            if alert["labels"].get("workflow") == workflow
            and alert["labels"]["alertname"] == "BelayRolloutReverted"
            and alert["status"] == status
        ]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two operators for one namespace; `first` leads from the beginning."""

    first: Operator
    second: Operator


async def until(good: Callable[[], Awaitable[object]], what: str) -> None:
    """Ask again and again."""
    with suppress(TimeoutError):
        async with asyncio.timeout(SECONDS):
            while True:
                if await good():
                    return
                await asyncio.sleep(0.05)
    raise AssertionError(f"not within {SECONDS:g} s: {what}")


@pytest.fixture
def pair(operator_kubeconfig: Path, namespace: str, tmp_path: Path) -> Iterator[Pair]:
    lease = ("--leader-election", "--lease-namespace", HOME, "--lease-name", namespace)
    found = Pair(
        *(
            Operator(operator_kubeconfig, (namespace,), tmp_path / f"{name}.log", lease)
            for name in ("first", "second")
        )
    )
    try:
        yield found
    finally:
        found.first.close()
        found.second.close()


@pytest.fixture
def place(namespace: str, pair: Pair) -> tuple[str, Operator]:
    """In the place of the other cases' `place`."""
    return namespace, pair.first


@pytest.fixture
async def told() -> AsyncIterator[Told]:
    found = Told()

    async def hear(request: web.Request) -> web.Response:
        found.alerts += (await request.json())["alerts"]
        return web.Response()

    app = web.Application()
    app.router.add_post("/", hear)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield found
    await runner.cleanup()


@pytest.fixture(scope="session")
def programs() -> Programs:
    try:
        return Programs()
    except SetupError as error:
        pytest.skip(f"needs Prometheus and Alertmanager: {error}")


@pytest.fixture
async def watching(
    programs: Programs, bench: Bench, pair: Pair, told: Told, tmp_path: Path
) -> AsyncIterator[Prometheus]:
    """A Prometheus that scrapes both, of which the first leads."""

    async def leads() -> bool:
        return pair.first.log.exists() and "leading, by the lease" in pair.first.log.read_text()

    async def serves() -> bool:
        return "health and metrics" in pair.second.log.read_text()

    pair.first.start()
    await until(leads, "a leader")
    pair.second.start()
    await until(serves, "a standby")
    targets = [each.health.removeprefix("http://") for each in (pair.first, pair.second)]
    folder = tmp_path / "monitoring"
    folder.mkdir()
    with prometheus.running(
        programs, targets, told.url, folder, patience=PATIENCE, http=bench.http
    ) as found:
        yield found


async def begun(bench: Bench, name: str) -> Flow:
    """A Workflow whose v1 is proven, and whose v2 is going to fail; a Job of it runs."""
    labels = {"run-of": name}
    await bench.apply(JOBS, manifests.job(name, labels=labels))
    runs = {"resources": [{"kind": "Job", "selector": {"matchLabels": labels}}]}
    await bench.deploy(name, flow=name)
    await bench.revise("v1", flow=name, note=name)
    await bench.revise("v2", flow=name, code=500)
    options: Object = {"targets": [name], "window": "2s", "preview": "None", "instances": runs}
    flow = Flow(bench, manifests.workflow(name, **options))
    await flow.apply()
    return flow


class Panels:
    """The queries of the dashboard, and those that have not had data yet."""

    def __init__(self, namespace: str, workflow: str) -> None:
        panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
        variables = {
            "$namespace": f"({namespace}|another)",
            "$workflow": workflow,
            "$__rate_interval": "30s",
        }
        self.empty = {
            f"{panel['title']} {target['refId']}": self._filled(target["expr"], variables)
            for panel in panels
            for target in panel["targets"]
        }
        assert len(self.empty) > len(panels)

    @staticmethod
    def _filled(query: str, variables: dict[str, str]) -> str:
        for name, value in variables.items():
            query = query.replace(name, value)
        assert not re.search(r"\$\w", query)
        return query

    async def look(self, watching: Prometheus) -> None:
        """Ask each; what has data is done."""
        for name, query in list(self.empty.items()):
            if any(math.isfinite(float(one["value"][1])) for one in await watching.ask(query)):
                del self.empty[name]


async def reverted(watching: Prometheus, workflow: str) -> list[Sample]:
    query = f'belay_workflow_last_outcome{{outcome="Reverted", workflow="{workflow}"}}'
    return await watching.ask(query)


async def metrics(bench: Bench, operator: Operator) -> set[str]:
    """Names of what it exports."""
    async with bench.http.get(f"{operator.health}/metrics") as answer:
        families = text_string_to_metric_families(await answer.text())
        return {f"{f.name}_total" if f.type == "counter" else f.name for f in families}


async def test_a_revert_is_told_though_its_leader_is_killed(
    bench: Bench, pair: Pair, watching: Prometheus, told: Told
) -> None:
    panels = Panels(bench.namespace, "one")
    one, two = await begun(bench, "one"), await begun(bench, "two")
    await one.at("Observing")
    await panels.look(watching)
    await asyncio.gather(one.at("Promoted"), two.at("Promoted"))

    await one.wish("v2")
    await one.at("Reverting")
    await two.wish("v2")
    await one.at("Reverted")

    async def heard_of_one() -> object:
        await panels.look(watching)
        return told.about("one", "firing")

    await until(heard_of_one, "the alert on one")
    (alert, *_) = told.about("one", "firing")
    assert alert["labels"]["namespace"] == bench.namespace
    assert alert["labels"]["severity"] == "warning"
    assert alert["labels"]["reason"] == "CheckFailed"
    assert alert["annotations"]["runbook_url"] == RUNBOOK
    assert (
        f"{bench.namespace}/one ended Reverted (CheckFailed). v1 runs, v2 is wanted"
        in (alert["annotations"]["summary"])
    )
    of_standby = f'{{__name__=~"belay_workflow_.+", instance="{address(pair.second)}"}}'
    assert not await watching.ask(of_standby)
    assert await metrics(bench, pair.first) == documented()

    await two.at("Reverted")
    pair.first.kill()

    async def heard_of_two() -> object:
        return told.about("two", "firing") and await one_leads(watching, pair.second)

    await until(heard_of_two, "the alert on two, after its leader was killed")
    assert {each["metric"]["instance"] for each in await reverted(watching, "two")} == {
        address(pair.second)
    }
    assert not told.about("one", "resolved")

    await one.wish("v1")
    await one.at("Promoted")

    async def over() -> object:
        await panels.look(watching)
        return told.about("one", "resolved")

    await until(over, "the end of the alert on one")
    assert not told.about("two", "resolved")
    assert not panels.empty, "panels without data"


def address(operator: Operator) -> str:
    return operator.health.removeprefix("http://")


async def one_leads(watching: Prometheus, operator: Operator) -> bool:
    leading = await watching.ask("belay_leader == 1")
    return [each["metric"]["instance"] for each in leading] == [address(operator)]


def documented() -> set[str]:
    """Names in the table of docs/monitoring.md."""
    return set(
        re.findall(r"^\| `(belay_\w+)` \|", (ROOT / "docs/monitoring.md").read_text(), re.MULTILINE)
    )
