"""What may happen to the world around the operators, and how it is done."""

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp
from tests.faults.patience import Patience
from tests.faults.scenarios import Place, deployment
from tests.harness import processes
from tests.harness.cluster import Cluster
from tests.harness.processes import Processes

from belay.shell.cluster import Cluster as Api
from belay.shell.errors import ApiError, Conflict, NotFound
from belay.shell.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DEPLOYMENTS,
    EVENTS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    SECRETS,
    WORKFLOWS,
    Resource,
)
from belay.shell.transport import Request

Object = dict[str, Any]
AWAY: Final = 1.0
"""Seconds until what was killed is started again."""
STOPPED: Final = 5.0
HOUR: Final = 3600
_RBAC: Final = "rbac.authorization.k8s.io"
_BINDINGS = Resource(_RBAC, "v1", "clusterrolebindings", "ClusterRoleBinding")
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
_OF_NAMESPACE = (
    WORKFLOWS,
    REVISIONS,
    DEPLOYMENTS,
    REPLICA_SETS,
    PODS,
    CONFIG_MAPS,
    SECRETS,
    JOBS,
    CRON_JOBS,
    EVENTS,
    _ACCOUNTS,
)


class Outage(StrEnum):
    """What goes wrong, at a chosen phase of each rollout."""

    ETCD = "etcd is killed and started again"
    API_SERVER = "the API server is killed and started again"
    COMPACTION = "the API server comes back after a compaction"
    STOPPED = "etcd and the API server stand still for five seconds"
    RIGHTS = "the rights are taken away and given back"
    FORWARD = "the clock jumps an hour ahead"
    BACKWARD = "the clock jumps an hour back"
    TARGET = "the target is deleted and made anew"
    NAMESPACE = "the namespace is deleted"


CLOCKS: Final = {Outage.FORWARD: HOUR, Outage.BACKWARD: -HOUR}
Begin = Callable[[], object]
"""Lets the rollouts go on: from then on they meet what has begun."""


@dataclass(frozen=True, slots=True)
class World:
    """A control plane that can be broken."""

    cluster: Cluster
    api: Api
    clock: Path
    """The file that says how far the operators' clocks are off."""

    @property
    def _processes(self) -> Processes:
        assert self.cluster.state is not None
        return Processes(self.cluster.state / "processes", owned=True)

    def set_clock(self, ahead: int) -> None:
        """Of the operators, in seconds; at once."""
        new = self.clock.with_suffix(".new")
        new.write_text(str(ahead))
        new.replace(self.clock)

    async def strike(self, outage: Outage, places: list[Place], begin: Begin, seed: int) -> None:
        """Gives back when it is over."""
        match outage:
            case Outage.ETCD:
                async with self._without("etcd", begin):
                    await asyncio.sleep(AWAY)
            case Outage.API_SERVER:
                async with self._without("kube-apiserver", begin):
                    await asyncio.sleep(AWAY)
            case Outage.COMPACTION:
                async with self._without("kube-apiserver", begin):
                    await self._compact()
            case Outage.STOPPED:
                await self._stand_still(begin)
            case Outage.RIGHTS:
                await self._without_rights(begin)
            case Outage.FORWARD | Outage.BACKWARD:
                self.set_clock(CLOCKS[outage])
                begin()
            case Outage.TARGET:
                await asyncio.gather(*(make_target_anew(place) for place in places))
                begin()
            case Outage.NAMESPACE:
                await asyncio.gather(
                    *(delete_namespace(p, Random(f"{seed}{p.namespace}"), begin) for p in places)
                )

    @asynccontextmanager
    async def _without(self, name: str, begin: Begin) -> AsyncIterator[None]:
        pid = self._pid(name)
        command = _command(pid)
        processes.kill([pid])
        begin()
        try:
            yield
        finally:
            self._processes.start(name, command)
            await self._answers()

    async def _answers(self) -> None:
        patience = Patience(60)
        while not patience.is_over:
            with contextlib.suppress(ApiError):
                for kind in _OF_NAMESPACE:
                    await self.api.list(kind)
                return
            await asyncio.sleep(0.1)
        raise TimeoutError("the API server does not answer any more")

    async def _stand_still(self, begin: Begin) -> None:
        pids = [self._pid(name) for name in ("kube-apiserver", "etcd")]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        begin()
        try:
            await asyncio.sleep(STOPPED)
        finally:
            for pid in reversed(pids):
                os.kill(pid, signal.SIGCONT)
        await self._answers()

    async def _compact(self) -> None:
        """By etcd's JSON gateway: what was before is forgotten."""
        command = _command(self._pid("etcd"))
        flag = "--listen-client-urls="
        url = next(word for word in command if word.startswith(flag)).removeprefix(flag)
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{url}/v3/kv/range", json={"key": "AA=="}) as answer:
                revision = (await answer.json())["header"]["revision"]
            told = {"revision": revision, "physical": True}
            async with session.post(f"{url}/v3/kv/compaction", json=told) as answer:
                assert answer.status == 200, await answer.text()

    async def _without_rights(self, begin: Begin) -> None:
        bound = await self.api.get(_BINDINGS, None, "belay")
        await self.api.delete(_BINDINGS, None, "belay")
        begin()
        await asyncio.sleep(AWAY)
        kept = ("apiVersion", "kind", "roleRef", "subjects")
        again = {**{k: bound[k] for k in kept}, "metadata": {"name": "belay"}}
        await self.api.create(_BINDINGS, None, again)

    def _pid(self, name: str) -> int:
        record = self._processes.folder / f"{name}.json"
        return int(json.loads(record.read_text())["pid"])


def _command(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


async def make_target_anew(place: Place) -> None:
    """As it was before Belay knew it."""
    await delete_target(place)
    await place.api.create(DEPLOYMENTS, place.namespace, deployment())


async def delete_target(place: Place) -> None:
    """With all that the garbage collector takes along."""
    await place.api.delete(DEPLOYMENTS, place.namespace, "app")
    for kind in (REPLICA_SETS, PODS):
        for one in await place.api.list(kind, place.namespace):
            if kind is REPLICA_SETS or _is_controlled(one):
                await _delete(place, kind, one)
    place.standin.forget(place.namespace)


def _is_controlled(one: Object) -> bool:
    return any(o.get("controller") for o in one["metadata"].get("ownerReferences") or [])


async def delete_namespace(place: Place, random: Random, begin: Begin) -> None:
    """As its controller does: kind by kind, in any order, until all is gone."""
    await place.api.delete(NAMESPACES, None, place.namespace)
    begin()
    kinds = random.sample(_OF_NAMESPACE, len(_OF_NAMESPACE))
    left = True
    while left:
        left = False
        for kind in kinds:
            for one in await place.api.list(kind, place.namespace):
                left = True
                await _delete(place, kind, one)
            await asyncio.sleep(random.uniform(0, 0.1))
    body = await place.api.get(NAMESPACES, None, place.namespace)
    body["spec"]["finalizers"] = []
    path = NAMESPACES.path(None, place.namespace, "finalize")
    await place.api.transport.send(Request("update", NAMESPACES, path, body=body))


async def _delete(place: Place, kind: Resource, one: Object) -> None:
    with contextlib.suppress(NotFound, Conflict):
        name = one["metadata"]["name"]
        await place.api.delete(kind, place.namespace, name, grace=0, propagation="Background")
