"""What people do in one namespace while the operator meets its fault."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import yaml
from tests.faults.patience import Patience
from tests.faults.standin import Life, StandIn
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge
from tests.harness.setup import ROOT

from belay.api.names import LABEL_PREVIEW
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import NotFound, Unavailable
from belay.shell.resources import (
    CRON_JOBS,
    DEPLOYMENTS,
    JOBS,
    PODS,
    REVISIONS,
    SECRETS,
    WORKFLOWS,
    Resource,
)

Object = dict[str, Any]
CHECK: Object = {
    "name": "answers",
    "http": {"port": "http", "path": "/run"},
    "period": "200ms",
    "timeout": "1s",
    "failureThreshold": 2,
}
STOPPED = ("Held", "Failed", "Refused", "Reverted", "RevertFailed")
"""Where a rollout may end that meets the server's final word."""
FLOW = "wf"
DAMAGED = "v9"
THEIRS = "theirs"
_RUNS = {"run-of": FLOW}
_INSTANCES: Object = {"resources": [{"kind": "CronJob", "selector": {"matchLabels": _RUNS}}]}
_JOBS = {"kind": "Job", "selector": {"matchLabels": _RUNS}, "policy": "Pause"}
_KEY = {"name": "engine", "key": "token"}
_WITH_ENGINE: Object = {
    "resources": [*_INSTANCES["resources"], _JOBS],
    "engine": {"port": "http", "tokenFrom": {"secretKeyRef": _KEY}},
}
_IN_ENGINE = ("run-1.", "run-2.")
_RESUMED = tuple(f"{run} running, resumed 1 times" for run in _IN_ENGINE)
_TOKEN = {
    "metadata": {"name": "engine"},
    "type": "belay.dev/check-credentials",
    "stringData": {"token": "secret"},
}
_ROLE = ROOT / "deploy/samples/backup-role.yaml"
_LIVES = {
    "v1": Life(),
    "v2": Life(),
    "v3": Life(),
    "v4": Life("10.2."),
    "v5": Life("10.3."),
    "v6": Life(ready=False),
    "v7": Life("10.4."),
    "v8": Life("10.5."),
    "v10": Life("10.4."),
}
_NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
_RBAC = "rbac.authorization.k8s.io"
_ROLES = Resource(_RBAC, "v1", "roles", "Role")
_BINDINGS = Resource(_RBAC, "v1", "rolebindings", "RoleBinding")


@cache
def revision(name: str) -> Object:
    """v4 answers wrong, v5 does so on real traffic, v6 is never ready; v9 is not what it says.

    No check can tell of v7 and v10, nor of v8 on real traffic. One that ends in `.again` has the
    content of another.
    """
    body = manifests.revision_body(FLOW, name, {"note": name.removesuffix(".again")})
    if name == DAMAGED:
        body["spec"]["digest"] = "sha256:" + "0" * 64
    return body


@cache
def _granted() -> list[Object]:
    """A Role and its binding."""
    return list(yaml.safe_load_all(_ROLE.read_text()))


def lives() -> dict[str, Life]:
    """By content digest."""
    return {revision(n)["spec"]["contentDigest"]: life for n, life in _LIVES.items()}


@dataclass(slots=True)
class Place:
    """A namespace of one plan's own, as its people see it."""

    api: Api
    standin: StandIn
    namespace: str
    generation: int = 0
    """Of the Workflow since the last wish: what is seen may be older."""

    async def make(self, revisions: tuple[str, ...], *, engine: bool = False) -> None:
        """With `engine`, its owner lets Belay keep runs."""
        await self.api.create(_NAMESPACES, None, {"metadata": {"name": self.namespace}})
        account = {"metadata": {"name": "default"}}
        await self.api.create(_ACCOUNTS, self.namespace, account)
        for name in revisions:
            await self.api.create(REVISIONS, self.namespace, revision(name))
        await self.api.create(DEPLOYMENTS, self.namespace, deployment())
        if engine:
            await self.api.create(SECRETS, self.namespace, _TOKEN)
            for kind, body in zip((_ROLES, _BINDINGS), _granted(), strict=True):
                await self.api.create(kind, self.namespace, body)

    async def creates(self, wish: str, **spec: Any) -> None:
        kind = {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind}
        body = {**kind, **manifests.workflow(FLOW, wish, checks=[CHECK], **spec)}
        made = await _tried(lambda: self.api.create(WORKFLOWS, self.namespace, body))
        self.generation = made["metadata"]["generation"]

    async def wishes(
        self, wish: str, *, instances: Object | None = None, **verification: Any
    ) -> None:
        """A person's patch, which wins against nobody and fails for nobody."""
        spec = {"activeRevision": wish, "instances": instances, "verification": verification}
        await _tried(lambda: self.patch(WORKFLOWS, FLOW, {"spec": spec}))

    async def patch(self, kind: Resource, name: str, body: Object, sub: str | None = None) -> None:
        """A merge patch, as `kubectl patch` sends one."""
        patched = await merge(self.api, kind, self.namespace, name, body, sub)
        if kind is WORKFLOWS:
            self.generation = patched["metadata"]["generation"]

    async def begins_runs(self) -> None:
        """Callers begin them in the engine of the target's pod; and a Job runs beside it."""
        digest = revision("v1")["spec"]["contentDigest"]
        runs = [f"{run}{self.namespace}" for run in _IN_ENGINE]
        for pod in await self.api.list(PODS, self.namespace):
            self.standin.engines.begin(pod["metadata"]["uid"], digest, runs)
        await self.api.create(JOBS, self.namespace, manifests.job("batch", labels=_RUNS))

    async def starts(self, name: str, *, suspend: bool) -> None:
        """Makes a CronJob, which needs no controller to stand still."""
        body = manifests.cron_job("pass", name, labels=_RUNS, suspend=suspend)
        await self.api.create(CRON_JOBS, self.namespace, body)

    async def deletes(self) -> None:
        await _tried(lambda: self.api.delete(WORKFLOWS, self.namespace, FLOW))

    async def collect_garbage(self) -> None:
        """What the garbage collector does with pods whose Workflow is gone."""
        for pod in await self.api.list(PODS, self.namespace, labels=LABEL_PREVIEW):
            with contextlib.suppress(NotFound):
                await self.api.delete(PODS, self.namespace, pod["metadata"]["name"], grace=0)

    @property
    def workflow(self) -> Object:
        return self.standin.workflows.get(self.namespace, {})

    async def until(self, good: Callable[[Object], bool], seconds: float) -> bool:
        """Whether the Workflow became `good` within this time; {} stands for a deleted one."""

        def there() -> bool:
            return self.namespace in self.standin.workflows and good(self.workflow)

        patience = Patience(seconds)
        while not patience.is_over:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience.left), self.standin.news:
                    await self.standin.news.wait_for(there)
                    return True
        return False

    async def until_phase(self, *phases: str, seconds: float = 60) -> bool:
        return await self.until(lambda w: (w.get("status") or {}).get("phase") in phases, seconds)


async def _tried(work: Callable[[], Awaitable[Any]]) -> Any:
    """People try again where the API server is away."""
    while True:
        try:
            return await work()
        except Unavailable:
            await asyncio.sleep(0.2)


def deployment() -> Object:
    """The target, before any delivery."""
    body = manifests.deployment("app", flow=FLOW)
    container = {
        "name": "app",
        "image": "app",
        "ports": [{"name": "http", "containerPort": 8080}],
    }
    body["spec"]["template"]["spec"] = {"containers": [container]}
    return body


Script = Callable[[Place], Coroutine[None, None, object]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """`script` is what happens once the plan is armed; `phase` and `runs`, how it has to end."""

    name: str
    script: Script
    phase: str
    runs: str | None
    revisions: tuple[str, ...] = ("v1", "v2")
    begun: bool = True
    """v1 is promoted before."""
    suspended: tuple[str, ...] = ()
    """Jobs and CronJobs that are so in the end, or carry our label."""
    engine: tuple[str, ...] = ()
    """Runs in the target's pods in the end."""
    outcomes: tuple[str, ...] = field(default=())
    """Of the rollouts since, newest first."""


async def _promote(place: Place) -> None:
    await place.wishes("v2", preview="Pod", window="1s")


async def _paused(place: Place) -> None:
    await place.starts("nightly", suspend=False)
    await place.starts(THEIRS, suspend=True)
    await place.wishes("v2", instances=_INSTANCES, preview="None", window="1s")


async def _paused_gate(place: Place) -> None:
    await place.starts("nightly", suspend=False)
    await place.starts(THEIRS, suspend=True)
    await place.wishes("v4", instances=_INSTANCES, preview="None")


async def _runs(place: Place) -> None:
    await place.begins_runs()
    await place.starts("nightly", suspend=False)
    await place.wishes("v2", instances=_WITH_ENGINE, preview="None", window="1s")


async def _runs_gate(place: Place) -> None:
    await place.begins_runs()
    await place.starts(THEIRS, suspend=True)
    await place.wishes("v4", instances=_WITH_ENGINE, preview="None")


async def _revert(place: Place) -> None:
    await place.wishes("v5", preview="None", window="60s")


async def _gate(place: Place) -> None:
    await place.wishes("v4", preview="None")


async def _caught(place: Place) -> None:
    await place.wishes("v4", preview="Pod")


async def _supersede(place: Place) -> None:
    await place.wishes("v2", preview="None", window="1h")
    await place.until_phase("Observing", *STOPPED)
    await place.wishes("v3", window="0s")


async def _overtake(place: Place) -> None:
    await place.wishes("v6", preview="Pod")
    await place.until_phase("Previewing", *STOPPED)
    await place.wishes("v3")


async def _refuse(place: Place) -> None:
    await place.wishes(DAMAGED)


async def _delete(place: Place) -> None:
    await place.wishes("v6", preview="Pod")
    await place.until_phase("Previewing", *STOPPED)
    await asyncio.sleep(0.2)
    await place.deletes()


async def _first(place: Place) -> None:
    await place.creates("v1", window="0s", preview="None")


async def _first_fails(place: Place) -> None:
    await place.creates("v4", window="0s", preview="None")


SCENARIOS = {
    s.name: s
    for s in (
        Scenario("promote", _promote, "Promoted", "v2"),
        Scenario("paused", _paused, "Promoted", "v2", suspended=(THEIRS,)),
        Scenario("paused-gate", _paused_gate, "Reverted", "v1", ("v1", "v4"), suspended=(THEIRS,)),
        Scenario("runs", _runs, "Promoted", "v2", engine=_RESUMED),
        Scenario(
            "runs-gate",
            _runs_gate,
            "Reverted",
            "v1",
            ("v1", "v4"),
            suspended=(THEIRS,),
            engine=_RESUMED,
        ),
        Scenario("revert", _revert, "Reverted", "v1", ("v1", "v5")),
        Scenario("gate", _gate, "Reverted", "v1", ("v1", "v4")),
        Scenario("caught", _caught, "Reverted", "v1", ("v1", "v4")),
        Scenario("supersede", _supersede, "Promoted", "v3", ("v1", "v2", "v3")),
        Scenario("overtake", _overtake, "Promoted", "v3", ("v1", "v6", "v3")),
        Scenario("refuse", _refuse, "Refused", "v1", ("v1", DAMAGED)),
        Scenario("delete", _delete, "", "v1", ("v1", "v6")),
        Scenario("first", _first, "Promoted", "v1", ("v1",), begun=False),
        Scenario("first-fails", _first_fails, "Failed", None, ("v4",), begun=False),
    )
}
