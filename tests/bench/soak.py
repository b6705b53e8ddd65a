"""One rollout a second, good ones and bad ones, for as long as told: and what grows."""

import asyncio
import os
import re
import signal
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from tests.bench.crowd import Crowd
from tests.bench.loopback import TASKS
from tests.bench.many import IN_PLACE, ROLLING, Many, Place, promoted, revision_of, world
from tests.bench.news import Key, News, at_generation
from tests.bench.report import Report
from tests.bench.usage import Usage, usage
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge
from tests.harness.setup import say
from tests.harness.workbench_operator import Operator

from belay.api.names import LABEL_MANAGED
from belay.shell.cluster import Cluster as Api
from belay.shell.resources import (
    CONFIG_MAPS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    WORKFLOWS,
)

Object = dict[str, Any]
EACH = 30
"""Workflows of each way to update."""
PACE = 1.0
"""Seconds between two wishes."""
BAD = 3
"""Every so manieth wish is for a revision whose pods answer wrong."""
SAMPLE = 10.0
SETTLING = 120.0
"""Seconds at the beginning that do not count: caches fill up."""
REST = 60.0
"""Seconds after the last wish, for the last of what was begun."""
_KINDS = (REVISIONS, CONFIG_MAPS, REPLICA_SETS, PODS, EVENTS)


@dataclass(frozen=True, slots=True)
class Sample:
    """The operator at one moment."""

    usage: Usage
    series: int
    tasks: int


async def measure(place: Place, seconds: float, report: Report) -> None:
    """One table: the beginning, the end and what grew between them."""
    async with world(place) as (api, played, flows, deployments):
        each = [
            Many(api, played, flows, deployments, update, _keys(update))
            for update in (IN_PLACE, ROLLING)
        ]
        keys = [key for pair in zip(*(many.keys for many in each), strict=True) for key in pair]
        operator = place.operator()
        operator.start()
        try:
            flows.expect(keys, promoted("v1"))
            for many in each:
                await many.make()
            await flows.came(seconds=600)
            before = await _objects(api)
            samples, wishes = await _run(api, played, keys, operator, seconds)
            say(f"  soak: {wishes} wishes were made; waiting for the last to end")
            await asyncio.sleep(REST)
            samples.append(await _sample(operator))
            after = await _objects(api)
            ended = _outcomes(flows, keys)
        finally:
            operator.close()
    _table(samples, before, after, report)
    report.text(
        f"{wishes:,} wishes in {seconds / 60:.0f} min, every third for a revision that fails. "
        f"How the last one of each of the {len(keys)} Workflows ended: {ended}."
    )


async def _run(
    api: Api, played: Crowd, keys: Sequence[Key], operator: Operator, seconds: float
) -> tuple[list[Sample], int]:
    """Open loop: a wish does not wait for the ones before."""
    began = time.monotonic()
    samples = [await _sample(operator)]
    wishes = 0
    async with asyncio.TaskGroup() as group:
        while (passed := time.monotonic() - began) < seconds:
            if passed >= len(samples) * SAMPLE:
                samples.append(await _sample(operator))
            wishes += 1
            group.create_task(_wish(api, played, keys[wishes % len(keys)], wishes))
            await asyncio.sleep(max(0.0, began + wishes * PACE - time.monotonic()))
    return samples, wishes


async def _wish(api: Api, played: Crowd, key: Key, number: int) -> None:
    """A revision of its own for each wish: what was reverted once would be refused."""
    name = f"r{number}"
    body = manifests.revision_body("flow", name, {"note": name})
    if number % BAD == 0:
        played.wrong.add(body["spec"]["contentDigest"])
    body = revision_of(body, key[1])
    body["metadata"]["labels"] = {LABEL_MANAGED: "true"}
    await api.create(REVISIONS, key[0], body)
    await merge(api, WORKFLOWS, *key, {"spec": {"activeRevision": name}})


async def _sample(operator: Operator) -> Sample:
    os.kill(operator.pid, signal.SIGUSR2)
    async with aiohttp.ClientSession() as http, http.get(f"{operator.health}/metrics") as answer:
        lines = (await answer.text()).splitlines()
    series = sum(bool(line) and not line.startswith("#") for line in lines)
    await asyncio.sleep(0.2)
    return Sample(usage(operator.pid), series, _tasks(operator.log))


def _tasks(log: Path) -> int:
    found = re.findall(rf"{TASKS}(\d+)", log.read_text())
    return int(found[-1]) if found else 0


async def _objects(api: Api) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind in _KINDS:
        listed, _ = await api.list_metadata(kind)
        found[kind.kind] = len(listed)
    return found


def _outcomes(flows: News, keys: Sequence[Key]) -> str:
    found = Counter(
        flows.states[key]["status"]["phase"] if at_generation(flows.states[key]) else "not answered"
        for key in keys
    )
    return ", ".join(f"{count} {phase}" for phase, count in found.most_common())


def _table(
    samples: list[Sample], before: Counter[str], after: Counter[str], report: Report
) -> None:
    began = samples[0].usage.at
    counted = [s for s in samples if s.usage.at - began >= SETTLING] or samples
    first, last = counted[0], counted[-1]
    minutes = (last.usage.at - first.usage.at) / 60
    rows = [
        _row("RSS", [s.usage.rss for s in counted], "MiB", minutes),
        _row("anonymous RSS", [s.usage.anonymous for s in counted], "MiB", minutes),
        _row("open files", [s.usage.files for s in counted], "", minutes),
        _row("threads", [s.usage.threads for s in counted], "", minutes),
        _row("tasks of the event loop", [s.tasks for s in counted], "", minutes),
        _row("metric series", [s.series for s in counted], "", minutes),
    ]
    report.table(
        ["of the operator", f"after {SETTLING / 60:.0f} min", "at most", "at the end, at rest",
         "slope an hour (least squares)"], rows)  # fmt: skip
    share = last.usage.share_since(first.usage)
    report.text(f"Processor time of the operator: {share:.0f} % of a core.")
    report.table(
        ["objects in the cluster", "before", "at the end"],
        [[kind, f"{count:,}", f"{after[kind]:,}"] for kind, count in before.items()],
    )


def _row(what: str, values: Sequence[float], unit: str, minutes: float) -> list[str]:
    """The last sample is at rest, and no part of the slope."""
    under = values[:-1] if len(values) > 2 else values
    times = [minutes / 60 * n / max(len(under) - 1, 1) for n in range(len(under))]
    slope = statistics.linear_regression(times, under).slope if len(under) > 1 else float("nan")
    told = [f"{v:,.0f} {unit}".strip() for v in (values[0], max(values), values[-1])]
    return [what, *told, f"{slope:+.1f} {unit}".strip()]


def _keys(update: str) -> list[Key]:
    place = f"soak-{update.lower()}"
    return [(place, f"{place}-{n:03}") for n in range(EACH)]
