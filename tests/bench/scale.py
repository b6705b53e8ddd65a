"""What a great many Workflows cost that nobody changes, and how soon a wish is seen among them."""

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import copies
from tests.bench.etcd import connected
from tests.bench.report import Report
from tests.bench.usage import Usage, usage
from tests.harness.audit import AuditLog, Entry
from tests.harness.cluster import Cluster
from tests.harness.merging import merge
from tests.harness.setup import step
from tests.harness.workbench import written
from tests.harness.workbench_operator import USER, Operator

from belay.shell.cluster import Cluster as Api
from belay.shell.resources import WORKFLOWS

Object = dict[str, Any]
LOOK = 5.0
"""Seconds between two looks into the audit log."""
PATIENCE = 900.0
SETTLING = 10.0
"""Seconds between the last look of the start and rest."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One start of the operator among so many Workflows."""

    count: int
    decided: float
    """Seconds from the start of the process to the first decision: a wish made while it was down,
    for the Workflow that comes last."""
    at_decision: Usage
    looked: float
    """Until every Workflow had been looked at."""
    calls: Counter[str]
    """Of the start."""
    after_start: Usage
    rest: Usage
    idle: float
    """Per cent of a core at rest."""
    idle_calls: Counter[str]


async def measure(
    cluster: Cluster, kubeconfig: Path, home: Path, sizes: Sequence[int], seconds: float,
    report: Report,
) -> None:  # fmt: skip
    """One table: what the operator costs among so many. It fills up as it goes."""
    costs = []
    async with (
        await Api.connect(str(cluster.kubeconfig), user_agent="belay-bench") as api,
        connected(cluster) as etcd,
    ):
        like = await copies.model(api, etcd, kubeconfig, home)
        there = 0
        for size in sizes:
            with step(f"making {size - there} Workflows and {10 * (size - there)} revisions"):
                await copies.fill(api, etcd, like, range(there, size))
            there = size
            costs.append(await _one(cluster, api, kubeconfig, home, size, seconds))
    _tables(costs, seconds, report)


async def _one(
    cluster: Cluster, api: Api, kubeconfig: Path, home: Path, size: int, seconds: float
) -> Cost:
    audit = cluster.audit()
    assert audit is not None
    last = (copies.namespace(size - 1), copies.flow(size - 1))
    wish = {"spec": {"activeRevision": "v1"}}
    wished = await merge(api, WORKFLOWS, *last, wish)
    there = len((await api.list_metadata(WORKFLOWS))[0])
    operator = Operator(kubeconfig, (), home / f"operator-{size}.log")
    mark = audit.mark()
    began = time.monotonic()
    operator.start()
    try:
        decided = await _decided(api, last, wished["metadata"]["resourceVersion"]) - began
        at_decision = usage(operator.pid)
        with step(f"{size}: {decided:.1f} s to the first decision; looking at all"):
            await _all_seen(audit, mark, there)
        # No controller finishes its rollout, and who moves does not rest.
        await api.delete(WORKFLOWS, *last)
        calls = audit.entries(since=mark, user=USER)
        after_start = usage(operator.pid)
        await asyncio.sleep(SETTLING)
        mark, before = audit.mark(), usage(operator.pid)
        with step(f"{size}: {after_start.rss:.0f} MiB; idle for {seconds:.0f} s"):
            await asyncio.sleep(seconds)
        rest = usage(operator.pid)
        idle_calls = audit.entries(since=mark, user=USER)
    finally:
        operator.close()
    return Cost(
        size,
        decided,
        at_decision,
        _looked(calls, there),
        _counted(calls),
        after_start,
        rest,
        rest.share_since(before),
        _counted(idle_calls),
    )


async def _decided(api: Api, key: tuple[str, str], since: str) -> float:
    """When the status spoke of the wish."""
    async with asyncio.timeout(PATIENCE):
        while True:
            fields = f"metadata.name={key[1]}"
            async for kind, found in api.watch(WORKFLOWS, key[0], since, fields=fields):
                generation = found["metadata"].get("generation")
                told = (found.get("status") or {}).get("observedGeneration")
                if kind != "BOOKMARK" and told == generation:
                    return time.monotonic()


async def _all_seen(audit: AuditLog, mark: int, count: int) -> None:
    """The audit log tells, for it disturbs nobody."""
    async with asyncio.timeout(PATIENCE):
        seen: set[str] = set()
        while len(seen) < count:
            await asyncio.sleep(LOOK)
            gets = audit.entries(since=mark, user=USER, verb="get", resource="workflows")
            seen = {call.name for call in gets}


def _looked(calls: list[Entry], count: int) -> float:
    """Seconds from the first call until the last Workflow was looked at for the first time."""
    first = min(call.received for call in calls)
    seen: set[str] = set()
    for call in calls:
        if call.verb == "get" and call.resource == "workflows":
            seen.add(call.name)
            if len(seen) >= count:
                return (call.answered - first).total_seconds()
    return float("nan")


def _counted(calls: list[Entry]) -> Counter[str]:
    return Counter(written(call) for call in calls if call.verb != "watch")


def _tables(costs: list[Cost], seconds: float, report: Report) -> None:
    def row(what: str, budget: str, *cells: str) -> list[str]:
        return [what, *cells, budget]

    report.table(
        ["Workflows at rest, each with 10 revisions of 20 KiB",
         *(f"{c.count:,}" for c in costs), "budget at 10,000"],
        [
            row("RSS at rest", "256 MiB", *(f"{c.rest.rss:.0f} MiB" for c in costs)),
            row("RSS at most", "256 MiB", *(f"{c.rest.peak:.0f} MiB" for c in costs)),
            row("processor time at rest, of one core", "2 %", *(f"{c.idle:.1f} %" for c in costs)),
            row("start of the process to the first decision", "30 s",
                *(f"{c.decided:.1f} s" for c in costs)),
            row("processor time until then", "",
                *(f"{c.at_decision.cpu:.1f} s" for c in costs)),
            row("first call until all were looked at", "", *(f"{c.looked:.1f} s" for c in costs)),
            row("processor time until then", "", *(f"{c.after_start.cpu:.1f} s" for c in costs)),
            row("API calls of the start", "", *(f"{c.calls.total():,}" for c in costs)),
            row(f"API calls in {seconds:.0f} s at rest", "",
                *(f"{c.idle_calls.total():,}" for c in costs)),
        ],
    )  # fmt: skip
    most = costs[-1]
    report.text(
        f"The first decision is that of a wish made while no operator ran, for the last of all "
        f"Workflows. Calls of the start among {most.count:,}: {_told(most.calls)}. In "
        f"{seconds:.0f} s at rest: {_told(most.idle_calls)}."
    )


def _told(calls: Counter[str]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in calls.most_common())
