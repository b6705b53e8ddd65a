"""A rollout beside Workflows and revisions that nobody should write, on the real API server."""

import asyncio
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.faults.operators import Operator
from tests.faults.proxy import Proxy
from tests.faults.runner import PATIENCE, Runner
from tests.faults.scenarios import FLOW, Place
from tests.poison import mutants

from belay.shell.errors import AlreadyExists, Invalid
from belay.shell.resources import REVISIONS, WORKFLOWS

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Beside:
    """What came of it."""

    stored: int
    seconds: float
    """From the wish of the sound one to its promotion."""
    ends: Counter[str]
    violations: tuple[str, ...]


async def beside_poison(runner: Runner, seed: int, many: int) -> Beside:
    """Store so many hostile ones; a sound one has to be promoted, and each has to be explained."""
    namespace = f"p-{uuid.uuid4().hex[:10]}"
    place = Place(runner.api, runner.standin, namespace)
    stem = runner.folder / namespace
    operator = Operator(
        runner.zygote, stem.with_suffix(".json"), namespace, stem.with_suffix(".log")
    )
    proxy = Proxy(runner.upstream, namespace, operator.kill)
    operator.kubeconfig.write_text(runner.kubeconfig(await proxy.open()))
    try:
        await place.make(("v1", "v2"))
        await place.creates("v1", window="0s", preview="None")
        await operator.start()
        await _until_runs(place, "v1")
        names = await _store(place, Random(f"{seed}-poison"), many)
        began = time.monotonic()
        await place.wishes("v2", window="0s", preview="None")
        await _until_runs(place, "v2")
        took = time.monotonic() - began
        left, ends = await _explained(place, names)
    finally:
        await operator.close()
        await proxy.close()
    wrong = [f"nothing explains {name}: {spec}" for name, spec in left.items()]
    if operator.starts > 1:
        wrong.append(f"the operator ended with {operator.codes}")
    return Beside(len(names), took, ends, tuple(wrong))


async def _store(place: Place, random: Random, many: int) -> list[str]:
    flows, revisions = mutants.workflows(random), mutants.revisions(random)
    names: list[str] = []
    while len(names) < many:
        name = f"p{len(names)}"
        if await _is_taken(place, WORKFLOWS, next(flows), name):
            names.append(name)
            revision = next(revisions)
            spec = revision["spec"]
            spec |= {"workflowName": name, "revision": "v1"}
            await _is_taken(place, REVISIONS, revision, f"{name}-v1")
    return names


async def _is_taken(place: Place, kind: Any, body: Object, name: str) -> bool:
    try:
        told = {**body, "metadata": {"name": name}}
        await place.api.create(kind, place.namespace, told)
    except (Invalid, AlreadyExists):
        return False
    return True


async def _until_runs(place: Place, revision: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            flow = await place.api.get(WORKFLOWS, place.namespace, FLOW)
            status = flow.get("status") or {}
            if (status.get("phase"), status.get("stableRevision")) == ("Promoted", revision):
                return
            await asyncio.sleep(0.1)


async def _explained(place: Place, names: list[str]) -> tuple[dict[str, Object], Counter[str]]:
    """Those that say nothing within the time; of the others, their reasons."""
    until = time.monotonic() + PATIENCE
    while True:
        found = {
            flow["metadata"]["name"]: flow
            for flow in await place.api.list(WORKFLOWS, place.namespace)
        }
        ready = {name: _ready(found[name]) for name in names}
        left = {
            name: found[name]["spec"] for name, told in ready.items() if not told.get("message")
        }
        if not left or time.monotonic() > until:
            return left, Counter(str(told.get("reason")) for told in ready.values())
        await asyncio.sleep(0.3)


def _ready(flow: Object) -> Object:
    conditions = (flow.get("status") or {}).get("conditions") or []
    return next((c for c in conditions if c["type"] == "Ready"), {})
