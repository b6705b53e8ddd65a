"""Patch to Active of the sample that is updated in place, against the floor.

The floor is what any operator has to do: as many bare PATCHes of the same kinds and sizes, one
after the other, by the operator's own client and account, and one request to a pod. A swap and a
floor take turns, so that both see the same machine.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import yaml
from tests.bench.report import Report, ms, percentile
from tests.bench.usage import usage
from tests.harness import images
from tests.harness.audit import Entry
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT
from tests.harness.workbench import Bench, written
from tests.harness.workbench_flow import Flow, condition
from tests.harness.workbench_operator import Operator

from belay.api.names import MANAGER_DELIVERY, MANAGER_STATUS
from belay.shell.cluster import Cluster as Api
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, WORKFLOWS, Resource

SAMPLE = ROOT / "deploy/samples/in-place"
BACKS = 20
"""Revisions that fail."""
WARM_UP = 5
"""Swaps that are not counted."""
VERDICT = 3 * 0.5 + 0.25
"""Seconds until a verdict: as many periods as answers that make a failure, and a quarter."""
SETTLING = 0.25
"""Seconds between a swap and a floor, in which events and pruning come to an end."""
Object = dict[str, Any]
_KINDS = {
    "ServiceAccount": Resource("", "v1", "serviceaccounts", "ServiceAccount"),
    "Role": Resource("rbac.authorization.k8s.io", "v1", "roles", "Role"),
    "RoleBinding": Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding"),
    "Deployment": DEPLOYMENTS,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where it is measured: the operator serves `busy`; in `quiet` only the floor is paced."""

    cluster: Cluster
    operator: Operator
    kubeconfig: Path
    busy: str
    quiet: str


@dataclass(frozen=True, slots=True)
class Floor:
    """Bare PATCHes of what a swap writes."""

    api: Api
    namespace: str
    http: aiohttp.ClientSession

    async def once(self, status: Object, pointer: Object, url: str, turn: int) -> float:
        """Seconds for one floor. `turn` makes each write a change."""
        content = {**pointer, "metadata": {"name": f"floor-{turn}"}, "immutable": True}
        steps = [
            (WORKFLOWS, self._status(status, f"{turn} a"), MANAGER_STATUS, "status"),
            (CONFIG_MAPS, self._map(content, turn), MANAGER_DELIVERY, None),
            (CONFIG_MAPS, self._map({**pointer, "metadata": {"name": "floor"}}, turn),
             MANAGER_DELIVERY, None),
            (WORKFLOWS, self._status(status, f"{turn} b"), MANAGER_STATUS, "status"),
        ]  # fmt: skip
        began = time.monotonic()
        for resource, body, manager, subresource in steps:
            await self.api.apply(
                resource, body, manager=manager, subresource=subresource, force=True
            )
            if (
                resource is CONFIG_MAPS
                and subresource is None
                and body["metadata"]["name"] == "floor"
            ):
                async with self.http.post(f"{url}/run", json={"name": "Ada"}) as answer:
                    await answer.read()
        return time.monotonic() - began

    def _status(self, status: Object, note: str) -> Object:
        body = {key: value for key, value in status.items() if key != "conditions"}
        conditions = [{**each, "message": f"{each['message']} {note}"} for each in
                      status["conditions"]]  # fmt: skip
        return {
            "apiVersion": WORKFLOWS.api_version,
            "kind": WORKFLOWS.kind,
            "metadata": {"name": "floor", "namespace": self.namespace},
            "status": {**body, "conditions": conditions},
        }

    def _map(self, like: Object, turn: int) -> Object:
        return {
            **{key: value for key, value in like.items() if key in ("data", "immutable")},
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "namespace": self.namespace,
                "annotations": {"example.com/turn": str(turn)},
                **like["metadata"],
            },
        }


async def measure(place: Place, swaps: int, pods: int, report: Report) -> None:
    """Measure, and tell what came out."""
    async with opened(place) as bench, _floor(place, bench.http) as floor:
        flow = await _deployed(bench, swaps, pods)
        await bench.api.apply(
            WORKFLOWS, _suspended(flow.manifest, place.quiet), manager="user", force=True
        )
        (pod, *_) = await bench.pods("greeter")
        url = f"http://{pod['status']['podIP']}:8080"
        took: list[float] = []
        floors: list[float] = []
        writes = 0
        before = usage(place.operator.pid)
        for turn in range(WARM_UP + swaps):
            mark = bench.mark()
            seconds = await _swap(bench, flow, f"r{turn}")
            path = bench.writes(mark)
            calls = bench.calls(mark)
            await flow.at("Promoted")
            await asyncio.sleep(SETTLING)
            found = await flow.now()
            pointer = await bench.get(CONFIG_MAPS, "greeter-current")
            bare = await floor.once(found["status"], pointer, url, turn)
            if turn >= WARM_UP:
                took.append(seconds)
                floors.append(bare)
                path.pop("create events", None)
                writes = max(writes, path.total())
        cpu = (usage(place.operator.pid).cpu - before.cpu) / (WARM_UP + swaps)
        whole = bench.calls(mark)
        backs = [await _back(bench, flow, turn) for turn in range(BACKS)]
        report.text(f"In place: patch to Active, one check, {pods} pods.")
        _tell(report, took, floors, backs)
        _tell_costs(report, writes, whole, cpu)
        _timeline(calls)


async def _swap(bench: Bench, flow: Flow, revision: str) -> float:
    """Seconds from the patch to the event that says Active."""
    watched = asyncio.Event()
    active = asyncio.create_task(_active(bench, flow, revision, watched))
    await watched.wait()
    began = time.monotonic()
    await flow.wish(revision)
    return await active - began


@dataclass(frozen=True, slots=True)
class _Back:
    """A revision that fails, and the way back. Seconds."""

    verdict: float
    """From the answer to the write that has pods take it up, until its verdict is written."""
    pointed: float
    """From the write of the verdict until stable is pointed to."""


async def _back(bench: Bench, flow: Flow, turn: int) -> _Back:
    name = f"bad{turn}"
    await bench.revise(name, flow="greeter", greeting=f"Good morning, {{nome}}, {turn}")
    mark = bench.mark()
    await flow.wish(name)
    await flow.at("Reverted")
    writes = [c for c in bench.calls(mark) if c.is_write and not c.dry_run]
    out, back = [c for c in writes if c.name == "greeter-current"]
    told = [c for c in writes if written(c) == "patch workflows/status"]
    verdict = max(c.received for c in told if c.received < back.received)
    return _Back(
        (verdict - out.answered).total_seconds(), (back.answered - verdict).total_seconds()
    )


async def _active(bench: Bench, flow: Flow, revision: str, watched: asyncio.Event) -> float:
    fields = f"metadata.name={flow.name}"
    async for _, found in bench.api.watch(WORKFLOWS, bench.namespace, "", fields=fields):
        watched.set()
        status = found.get("status") or {}
        if status.get("activeRevision") == revision and (
            condition(found, "Active")["status"] == "True"
        ):
            return time.monotonic()
    raise AssertionError("the watch has ended")


async def _deployed(bench: Bench, swaps: int, pods: int) -> Flow:
    for name in ("role.yaml", "deployment.yaml"):
        for one in yaml.safe_load_all((SAMPLE / name).read_text()):
            if one["kind"] == "Deployment":
                one["spec"]["replicas"] = pods
                container = one["spec"]["template"]["spec"]["containers"][0]
                container["image"] = images.base().name
                container["command"] = ["python3", "-u", "-c", (SAMPLE / "app.py").read_text()]
            await bench.apply(_KINDS[one["kind"]], one)
    for number in range(WARM_UP + swaps):
        await bench.revise(f"r{number}", flow="greeter", greeting=f"Hello {{name}}, {number}")
    await bench.revise("first", flow="greeter", greeting="Hello {name}")
    workflow = yaml.safe_load((SAMPLE / "workflow.yaml").read_text())
    workflow["spec"]["activeRevision"] = "first"
    workflow["spec"]["verification"]["window"] = "200ms"
    flow = Flow(bench, workflow)
    await flow.apply()
    await flow.at("Promoted")
    return flow


@asynccontextmanager
async def opened(place: Place) -> AsyncIterator[Bench]:
    """The namespace that the operator serves."""
    async with (
        await Api.connect(str(place.cluster.kubeconfig), user_agent="belay-bench") as api,
        aiohttp.ClientSession() as http,
    ):
        yield Bench(place.cluster, api, place.busy, place.operator, http)


@asynccontextmanager
async def _floor(place: Place, http: aiohttp.ClientSession) -> AsyncIterator[Floor]:
    async with await Api.connect(str(place.kubeconfig), user_agent="belay-bench") as api:
        yield Floor(api, place.quiet, http)


def _suspended(manifest: Object, namespace: str) -> Object:
    """A Workflow that nobody serves, to be written to."""
    return {
        "apiVersion": WORKFLOWS.api_version,
        "kind": WORKFLOWS.kind,
        "metadata": {"name": "floor", "namespace": namespace},
        "spec": {**manifest["spec"], "suspend": True},
    }


def _tell(report: Report, took: list[float], floors: list[float], backs: list[_Back]) -> None:
    rows = []
    for name, share, budget in (("p50", 50, 2), ("p99", 99, 4)):
        swap, bare = (percentile(of, share) for of in (took, floors))
        rows.append([name, ms(swap), ms(bare), f"{swap / bare:.1f}", str(budget)])
    report.table([f"{len(took)} swaps", "swap", "floor", "ratio", "budget"], rows)
    verdicts, pointed = [one.verdict for one in backs], [one.pointed for one in backs]
    report.table(
        [f"{len(backs)} revisions that fail", "p50", "p99", "budget"],
        [
            ["taken up to verdict", ms(percentile(verdicts, 50)), ms(percentile(verdicts, 99)),
             ms(VERDICT)],
            ["verdict to stable being pointed to", ms(percentile(pointed, 50)),
             ms(percentile(pointed, 99)), "50 ms, 250 ms"],
        ],
    )  # fmt: skip


def _tell_costs(report: Report, writes: int, calls: list[Entry], cpu: float) -> None:
    """Of one whole rollout, with its window and what comes after."""
    verbs = Counter(f"{call.verb}{' (dry run)' if call.dry_run else ''}" for call in calls)
    told = ", ".join(f"{count} {verb}" for verb, count in verbs.most_common())
    report.text(
        f"API writes on the way to Active: {writes} (budget 4). API calls of the last rollout, to "
        f"its end: {told}. Processor time of the operator for each rollout: {ms(cpu)}."
    )


def _timeline(calls: list[Entry]) -> None:
    """What the operator asked of the API server in the last swap, and when."""
    print("\nThe last swap, in ms from its first call: begin, end, call")
    first = min(call.received for call in calls)
    for call in sorted(calls, key=lambda call: call.received):
        begin, end = ((at - first).total_seconds() * 1000 for at in (call.received, call.answered))
        dry = " (dry run)" if call.dry_run else ""
        print(f"{begin:8.1f}{end:8.1f}  {written(call)} {call.name}{dry}")
