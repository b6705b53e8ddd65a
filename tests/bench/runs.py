"""Runs of the reference runner in flight while a good and a bad revision come to its pods.

Each change is measured without runs, too, so read what they add.
"""

import asyncio
import itertools
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from tests.e2e.runs import Letters, failing, letter, letters
from tests.harness.cluster import Cluster
from tests.harness.workbench import Bench, Object
from tests.harness.workbench_operator import Operator

from belay.core.engine.names import label_of
from belay.core.keys import Key
from belay.shell.backups.secrets import SecretStore
from belay.shell.backups.store import load
from belay.shell.cluster import Cluster as Api
from belay.shell.engine.wire import packed
from belay.shell.resources import SECRETS, WORKFLOWS

UPDATES = ("Rolling", "Reload")
_ENDS = ("Promoted", "Reverted")


@dataclass(slots=True)
class Change:
    """One change of revision, and what it took."""

    update: str
    runs: int
    outcome: str
    seconds: float = 0.0
    phases: list[tuple[str, float]] = field(default_factory=list)
    """In their order, with the seconds spent in each."""
    counts: Object = field(default_factory=dict)
    envelopes: list[int] = field(default_factory=list)
    """Bytes of each, in the last backup."""
    stored: int = 0
    """Bytes of that backup as it is stored."""
    over: float = 0.0
    """Seconds from the patch until all runs were over."""
    containers: str = ""
    """What became of them."""


async def measure(
    cluster: Cluster, operator: Operator, namespaces: tuple[str, ...], count: int
) -> None:
    """Measure, and print what came out."""
    changes: list[Change] = []
    for update, namespace in zip(UPDATES, namespaces, strict=True):
        async with _bench(cluster, operator, namespace) as bench:
            some = await letters(bench, update=update)
            await bench.revise("v4", flow=some.flow.name, **letter(some.slow, "v4"))
            await bench.revise("v5", flow=some.flow.name, **failing(some.slow, "v5"))
            for runs, good, bad in ((0, "v2", "v3"), (count, "v4", "v5")):
                changes.append(await _change(some, update, runs, good, "Promoted"))
                changes.append(await _change(some, update, runs, bad, "Reverted"))
    _print(changes)


async def _change(some: Letters, update: str, runs: int, revision: str, outcome: str) -> Change:
    found = Change(update, runs, outcome)
    started = set(await some.start(runs, 3.0))
    watched = asyncio.Event()
    watching = asyncio.create_task(_phases(some, watched))
    await watched.wait()
    began = time.monotonic()
    await some.flow.wish(revision)
    status = (await some.flow.at(outcome))["status"]
    seen = await watching
    found.seconds = seen[-1][1] - began
    found.phases = [(phase, after - at) for (phase, at), (_, after) in itertools.pairwise(seen)]
    found.counts = status["rollout"].get("instances") or {}
    if runs and (name := status["rollout"].get("backup")):
        await _sizes(some, name, found)
    ended = await some.ended(started)
    found.over = time.monotonic() - began
    found.containers = await some.restarts()
    assert {one["status"] for one in ended.values()} <= {"succeeded"}, ended
    return found


async def _phases(some: Letters, watched: asyncio.Event) -> list[tuple[str, float]]:
    """Each phase of the next rollout, and when it was seen."""
    bench, found = some.bench, list[tuple[str, float]]()
    before = (await some.flow.now())["status"]["rollout"]["id"]
    fields = f"metadata.name={some.flow.name}"
    async for kind, workflow in bench.api.watch(WORKFLOWS, bench.namespace, "", fields=fields):
        watched.set()
        if kind == "BOOKMARK":
            continue
        status = workflow["status"]
        if status["rollout"]["id"] == before:
            continue
        if not found or found[-1][0] != status["phase"]:
            found.append((status["phase"], time.monotonic()))
        if status["phase"] in _ENDS:
            return found
    raise AssertionError("the watch has ended")


async def _sizes(some: Letters, name: str, found: Change) -> None:
    bench = some.bench
    backup = await load(SecretStore(bench.api), Key(bench.namespace, some.flow.name), name)
    found.envelopes = [len(packed(one)) for one in backup.envelopes.values()]
    secrets = await bench.find(SECRETS, f"belay.dev/backup={label_of(some.flow.name, name)}")
    found.stored = sum(len(text) * 3 // 4 for s in secrets for text in s["data"].values())


@asynccontextmanager
async def _bench(cluster: Cluster, operator: Operator, namespace: str) -> AsyncIterator[Bench]:
    async with (
        await Api.connect(str(cluster.kubeconfig), user_agent="belay-bench") as api,
        aiohttp.ClientSession() as http,
    ):
        yield Bench(cluster, api, namespace, operator, http)


def _print(changes: list[Change]) -> None:
    print("\nRuns in flight on two pods: patch of activeRevision to the end, in seconds\n")
    for one in changes:
        spent = ", ".join(f"{phase} {took:.1f}" for phase, took in one.phases)
        print(f"{one.update:8}{one.runs:3} runs  {one.outcome:9}{one.seconds:6.1f}   {spent}")
        if one.runs:
            counted = ", ".join(f"{value} {name}" for name, value in one.counts.items())
            print(f"{'':28}{counted}; all over after {one.over:.1f} s; {one.containers}")
        if one.envelopes:
            middle, most = statistics.median(one.envelopes), max(one.envelopes)
            print(
                f"{'':28}{len(one.envelopes)} envelopes, {middle / 1024:.1f} KiB each (at most "
                f"{most / 1024:.1f}); stored packed: {one.stored / 1024:.1f} KiB"
            )
