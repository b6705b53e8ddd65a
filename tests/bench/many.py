"""Many Workflows patched together, all on one control plane with real controllers."""

import copy
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench import crowd
from tests.bench.crowd import Crowd, each
from tests.bench.loopback import PROGRAM
from tests.bench.news import Good, Key, News, at_generation
from tests.bench.report import Report
from tests.bench.usage import usage
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge
from tests.harness.setup import say
from tests.harness.workbench_operator import Operator

from belay.api.names import MANAGER_DELIVERY, MANAGER_STATUS
from belay.core.workloads.pointer import pointer_name
from belay.shell.cluster import Cluster as Api
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, REVISIONS, WORKFLOWS

Object = dict[str, Any]
IN_PLACE, ROLLING = "InPlace", "Rolling"
PER_NAMESPACE = 50
PATIENCE = 1200.0
HEAD = (
    *("Workflows", "update", "what", "first", "p50", "all", "of the floor"),
    *("processor time of the operator", "its RSS at most"),
)
GOOD, OTHER, BAD = "v1", "v2", "v3"
CHECK: Object = {"name": "answers", "http": {"port": "http", "path": "/run"}, "period": "500ms"}
_BODIES = {
    name: manifests.revision_body("flow", name, {"note": name}) for name in (GOOD, OTHER, BAD)
}


@dataclass(frozen=True, slots=True)
class Took:
    """One wish for all of them. Seconds from the first patch."""

    what: str
    first: float
    middle: float
    last: float
    cpu: float
    """Of the operator."""
    peak: float


@dataclass(slots=True)
class Many:
    """So many Workflows, updated in one way."""

    api: Api
    crowd: Crowd
    flows: News
    deployments: News
    update: str
    keys: list[Key]

    async def make(self) -> None:
        """All that a Workflow needs, and the Workflow, which wants v1."""
        places = sorted({namespace for namespace, _ in self.keys})
        await each(lambda name: crowd.place(self.api, name), places)
        await each(self._one, self.keys)

    async def _one(self, key: Key) -> None:
        namespace, flow = key
        for body in _BODIES.values():
            await self.api.create(REVISIONS, namespace, revision_of(body, flow))
        await self.api.create(DEPLOYMENTS, namespace, crowd.deployment(flow, self.crowd.port))
        await self.api.create(WORKFLOWS, namespace, workflow(flow, self.update))

    async def wish(self, revision: str, good: Good, operator: Operator, what: str) -> Took:
        """Patch all of them, 32 at once, and see when each is `good`."""
        before = usage(operator.pid)
        self.flows.expect(self.keys, good)
        began = time.monotonic()
        body = {"spec": {"activeRevision": revision}}
        await each(lambda key: merge(self.api, WORKFLOWS, *key, body), self.keys)
        came = [at - began for at in (await self.flows.came(PATIENCE)).values()]
        after = usage(operator.pid)
        took = Took(
            what, came[0], statistics.median(came), came[-1], after.cpu - before.cpu, after.peak
        )
        say(f"  {self.update}: {took}")
        return took

    async def restarted(self) -> Took:
        """The floor of Rolling: a bare restart of all targets, nothing proven."""
        restarted = {"metadata": {"annotations": {"example.com/restarted": str(time.time())}}}
        self.deployments.expect(self.keys, _Restarted(self.deployments.states))
        began = time.monotonic()
        body = {"spec": {"template": restarted}}
        await each(lambda key: merge(self.api, DEPLOYMENTS, *key, body), self.keys)
        came = [at - began for at in (await self.deployments.came(PATIENCE)).values()]
        return Took("bare restart", came[0], statistics.median(came), came[-1], 0, 0)

    async def written(self, api: Api) -> Took:
        """The floor of InPlace: its four writes, bare, one after the other for each Workflow."""
        states = copy.deepcopy(self.flows.states)
        pointers = {
            key: await self.api.get(CONFIG_MAPS, key[0], pointer_name(key[1]))
            for key in self.keys[:1]
        }
        pointer = next(iter(pointers.values()))
        came: list[float] = []
        began = time.monotonic()

        async def one(key: Key) -> None:
            status = states[key]["status"]
            await self._apply_status(api, key, status, "a")
            await self._apply_map(api, key, pointer, "floor-content")
            await self._apply_map(api, key, pointer, "floor")
            await self._apply_status(api, key, status, "b")
            came.append(time.monotonic() - began)

        await each(one, self.keys)
        return Took("four bare writes", came[0], statistics.median(came), came[-1], 0, 0)

    async def _apply_status(self, api: Api, key: Key, status: Object, note: str) -> None:
        told = [{**c, "message": f"{c['message']} {note}"} for c in status["conditions"]]
        body = {
            "apiVersion": WORKFLOWS.api_version,
            "kind": WORKFLOWS.kind,
            "metadata": {"namespace": key[0], "name": key[1]},
            "status": {**status, "conditions": told},
        }
        await api.apply(WORKFLOWS, body, manager=MANAGER_STATUS, subresource="status", force=True)

    async def _apply_map(self, api: Api, key: Key, like: Object, name: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": key[0], "name": f"{key[1]}-{name}"},
            "data": like["data"],
        }
        await api.apply(CONFIG_MAPS, body, manager=MANAGER_DELIVERY, force=True)


class _Restarted:
    """A Deployment whose newer template runs, and nothing else."""

    def __init__(self, states: dict[Key, Object]) -> None:
        self._before = {key: body["metadata"]["generation"] for key, body in states.items()}

    def __call__(self, found: Object) -> bool:
        metadata, status = found["metadata"], found.get("status") or {}
        newer = metadata["generation"] > self._before[metadata["namespace"], metadata["name"]]
        counts = [status.get(n, 0) for n in ("updatedReplicas", "availableReplicas", "replicas")]
        return newer and at_generation(found) and counts == [1, 1, 1]


async def measure(place: "Place", sizes: Sequence[int], report: Report) -> None:
    """One table: each size, updated in each way."""
    rows: list[list[str]] = []
    async with world(place) as (api, played, flows, deployments):
        for size in sizes:
            for update in (IN_PLACE, ROLLING):
                many = Many(api, played, flows, deployments, update, _keys(update, size))
                rows += await _round(place, many, size)
    report.table(HEAD, rows)


async def _round(place: "Place", many: Many, size: int) -> list[list[str]]:
    operator = place.operator()
    operator.start()
    try:
        say(f"  {many.update}: making {size} Workflows ...")
        many.flows.expect(many.keys, promoted(GOOD))
        await many.make()
        await many.flows.came(PATIENCE)
        took = [await many.wish(OTHER, _active(OTHER), operator, "patch -> Active")]
        many.flows.expect(many.keys, promoted(OTHER))
        await many.flows.came(PATIENCE)
        took.append(await many.wish(BAD, _reverted, operator, "bad patch -> Reverted"))
    finally:
        operator.close()
    if many.update == ROLLING:
        floor = await many.restarted()
    else:
        async with await Api.connect(str(place.kubeconfig), user_agent="belay-bench") as api:
            floor = await many.written(api)
    return [_row(size, many.update, one, floor) for one in (*took, floor)]


@dataclass(frozen=True, slots=True)
class Place:
    """A control plane with controllers, and the operator's account on it."""

    admin: Path
    kubeconfig: Path
    home: Path

    def operator(self, *namespaces: str) -> Operator:
        """One that is not started yet; it serves all namespaces where none is named."""
        log = self.home / "operator.log"
        return Operator(self.kubeconfig, namespaces, log, program=PROGRAM)


@asynccontextmanager
async def world(place: Place) -> AsyncIterator[tuple[Api, Crowd, News, News]]:
    wrong = {_BODIES[BAD]["spec"]["contentDigest"]}
    async with await Api.connect(str(place.admin), user_agent="belay-bench") as api:
        played = Crowd(api, wrong)
        async with (
            played.running(),
            News(api, WORKFLOWS).running() as flows,
            News(api, DEPLOYMENTS).running() as deployments,
        ):
            yield api, played, flows, deployments


def revision_of(body: Object, flow: str) -> Object:
    """The same content as a revision of another Workflow."""
    name = f"{flow}-{body['spec']['revision']}"
    return {**body, "metadata": {"name": name}, "spec": {**body["spec"], "workflowName": flow}}


def workflow(flow: str, update: str, **spec: Any) -> Object:
    """Wants v1, and has one check."""
    body = manifests.workflow(
        flow, GOOD, targets=[flow], checks=[CHECK], preview="None", window="0s", **spec
    )
    if update == IN_PLACE:
        reports = {"port": "http", "path": "/current", "jsonPointer": "/contentDigest"}
        (target,) = body["spec"]["target"]["workloads"]
        target |= {"update": IN_PLACE, "reports": reports, "container": "app"}
    return {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind, **body}


def _keys(update: str, size: int) -> list[Key]:
    prefix = f"{update.lower()}-{size}"
    return [(f"{prefix}-{n // PER_NAMESPACE:03}", f"{prefix}-{n:05}") for n in range(size)]


def promoted(revision: str) -> Good:
    def good(found: Object) -> bool:
        status = found.get("status") or {}
        runs = status.get("activeRevision") == revision and status.get("phase") == "Promoted"
        return runs and at_generation(found)

    return good


def _active(revision: str) -> Good:
    return lambda found: (found.get("status") or {}).get("activeRevision") == revision


def _reverted(found: Object) -> bool:
    return at_generation(found) and found["status"].get("phase") == "Reverted"


def _row(size: int, update: str, took: Took, floor: Took) -> list[str]:
    bare = took is floor
    return [
        f"{size:,}",
        update,
        took.what,
        *(f"{seconds:.2f} s" for seconds in (took.first, took.middle, took.last)),
        "" if bare else f"{took.last / floor.last:.1f}",
        "" if bare else f"{took.cpu:.1f} s",
        "" if bare else f"{took.peak:.0f} MiB",
    ]
