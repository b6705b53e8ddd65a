"""Plays what a control plane without nodes lacks: the controller of Deployments, and a kubelet.

It is far simpler than the real ones: one pod per Deployment, ready at once unless its content says
otherwise, and an old pod goes when the new one is ready. The real ones are in tests/e2e.
"""

import asyncio
import contextlib
import json
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.faults.engines import Engines
from tests.harness.merging import merge

from belay.api.names import ANNOTATION_CONTENT_DIGEST, LABEL_PREVIEW
from belay.core.workloads.deployment import REVISION_ANNOTATION
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import AlreadyExists, ApiError, NotFound
from belay.shell.resources import DEPLOYMENTS, JOBS, PODS, REPLICA_SETS, WORKFLOWS, Resource

Object = dict[str, Any]
_BACK_OFFS = (0.1, 0.3, 1, 3, 5, 5, 5)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Life:
    """How pods of one content behave."""

    address: str = "10.1."
    ready: bool = True


@dataclass(slots=True)
class _Kept:
    """A ReplicaSet."""

    name: str
    uid: str
    number: int
    pod: str | None = None


@dataclass(slots=True)
class _Place:
    """One namespace: what its Deployment was, and the latest state of its Workflow."""

    kept: dict[str, _Kept] = field(default_factory=dict)
    made: int = 0
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(slots=True)
class StandIn:
    """All namespaces of one process, each with the Deployment `target`; `lives` are by digest."""

    api: Api
    lives: dict[str, Life]
    engines: Engines = field(default_factory=Engines)
    target: str = "app"
    workflows: dict[str, Object] = field(default_factory=dict)
    """The latest state by namespace, {} once it is deleted."""
    news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _places: defaultdict[str, _Place] = field(default_factory=lambda: defaultdict(_Place))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _pods: int = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        watches = [
            asyncio.create_task(self._follow(resource))
            for resource in (WORKFLOWS, DEPLOYMENTS, PODS, JOBS)
        ]
        try:
            yield
        finally:
            for task in (*watches, *self._tasks):
                task.cancel()
            await asyncio.gather(*watches, *self._tasks, return_exceptions=True)

    async def _follow(self, resource: Resource) -> None:
        while True:
            with contextlib.suppress(ApiError):
                async for kind, body in self.api.watch(resource, None, "0"):
                    if kind != "BOOKMARK":
                        await self._happened(resource, kind, body)
            await asyncio.sleep(_BACK_OFFS[0])

    def forget(self, namespace: str) -> None:
        """Its Deployment is made anew."""
        self._places.pop(namespace, None)

    async def _happened(self, resource: Resource, kind: str, body: Object) -> None:
        namespace = body["metadata"]["namespace"]
        if resource is WORKFLOWS:
            async with self.news:
                self.workflows[namespace] = {} if kind == "DELETED" else body
                self.news.notify_all()
        elif kind == "DELETED":
            return
        elif resource is DEPLOYMENTS:
            if (body.get("status") or {}).get("observedGeneration") != body["metadata"][
                "generation"
            ]:
                self._soon(partial(self._roll, namespace))
        elif resource is JOBS:
            self._soon(partial(self._suspend, namespace, body))
        elif "status" not in body or "containerStatuses" not in body["status"]:
            self._soon(partial(self._start, namespace, body))

    def _soon(self, work: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.create_task(self._tried(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tried(self, work: Callable[[], Awaitable[None]]) -> None:
        """Again and again, as controllers do; what is gone meanwhile is nobody's any more."""
        for seconds in _BACK_OFFS:
            try:
                await work()
            except NotFound:
                return
            except ApiError as error:
                log.warning("the stand-in tries again: %s", error)
                await asyncio.sleep(seconds)
            else:
                return

    async def _start(self, namespace: str, pod: Object) -> None:
        """As a kubelet: the pod runs, and is ready if it can be."""
        life = self._life(pod["metadata"])
        self._pods += 1
        address = f"{life.address}{self._pods // 250 % 250}.{self._pods % 250 + 1}"
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": [
                {"type": "PodScheduled", "status": "True"},
                {"type": "Ready", "status": str(life.ready)},
            ],
            "containerStatuses": [
                {
                    "name": "app",
                    "image": "app",
                    "imageID": "",
                    "ready": life.ready,
                    "started": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}},
                }
            ],
        }
        await merge(
            self.api, PODS, namespace, pod["metadata"]["name"], {"status": status}, "status"
        )
        if LABEL_PREVIEW not in pod["metadata"]["labels"] and life.ready:
            await self._roll(namespace)

    async def _suspend(self, namespace: str, job: Object) -> None:
        """As the controller of Jobs: it says that nothing of one runs."""
        wanted = str(bool(job["spec"].get("suspend")))
        told = (job.get("status") or {}).get("conditions") or []
        if wanted != next((c["status"] for c in told if c["type"] == "Suspended"), "False"):
            status = {"conditions": [{"type": "Suspended", "status": wanted}]}
            await merge(
                self.api, JOBS, namespace, job["metadata"]["name"], {"status": status}, "status"
            )

    def _life(self, metadata: Object) -> Life:
        annotations = metadata.get("annotations") or {}
        return self.lives.get(annotations.get(ANNOTATION_CONTENT_DIGEST, ""), Life())

    async def _roll(self, namespace: str) -> None:
        """As the Deployment's controller: one step, and the status that it leads to."""
        place = self._places[namespace]
        async with place.busy:
            deployment = await self.api.get(DEPLOYMENTS, namespace, self.target)
            template = deployment["spec"]["template"]
            kept = await self._newest(place, namespace, deployment, template)
            if kept.pod is None:
                await self._make_pod(place, namespace, kept, template)
            ready = self._life(template["metadata"]).ready and await self._is_ready(namespace, kept)
            old = [k for k in place.kept.values() if k is not kept and k.pod is not None]
            if ready:
                for one in old:
                    await self._delete_pod(namespace, one)
                old = []
            total = 1 + len(old)
            status = {
                "observedGeneration": deployment["metadata"]["generation"],
                "replicas": total,
                "updatedReplicas": 1,
                "readyReplicas": 1 if ready or old else 0,
                "availableReplicas": 1 if ready or old else 0,
            }
            if deployment.get("status") != status:
                await merge(
                    self.api, DEPLOYMENTS, namespace, self.target, {"status": status}, "status"
                )

    async def _newest(
        self, place: _Place, namespace: str, deployment: Object, template: Object
    ) -> _Kept:
        key = json.dumps(template, sort_keys=True)
        last = max((k.number for k in place.kept.values()), default=0)
        kept = place.kept.get(key)
        if kept is None:
            kept = place.kept[key] = await self._make_set(namespace, deployment, last + 1)
        elif kept.number < last:
            kept.number = last + 1
            told = {"metadata": {"annotations": {REVISION_ANNOTATION: str(kept.number)}}}
            await merge(self.api, REPLICA_SETS, namespace, kept.name, told)
        return kept

    async def _make_set(self, namespace: str, deployment: Object, number: int) -> _Kept:
        template = deployment["spec"]["template"]
        body = {
            "metadata": {
                "name": f"app-r{number}",
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION_ANNOTATION: str(number)},
                "ownerReferences": [_controller("Deployment", deployment)],
            },
            "spec": {
                "replicas": 1,
                "selector": deployment["spec"]["selector"],
                "template": template,
            },
        }
        try:
            made = await self.api.create(REPLICA_SETS, namespace, body)
        except AlreadyExists:
            made = await self.api.get(REPLICA_SETS, namespace, f"app-r{number}")
        return _Kept(f"app-r{number}", made["metadata"]["uid"], number)

    async def _make_pod(self, place: _Place, namespace: str, kept: _Kept, template: Object) -> None:
        place.made += 1
        name = f"{kept.name}-{place.made}"
        owner = {"metadata": {"name": kept.name, "uid": kept.uid}}
        metadata = {
            **template["metadata"],
            "name": name,
            "ownerReferences": [_controller("ReplicaSet", owner)],
        }
        await self.api.create(PODS, namespace, {"metadata": metadata, "spec": template["spec"]})
        kept.pod = name

    async def _is_ready(self, namespace: str, kept: _Kept) -> bool:
        try:
            pod = await self.api.get(PODS, namespace, str(kept.pod))
        except NotFound:
            kept.pod = None
            return False
        return bool((pod.get("status") or {}).get("containerStatuses"))

    async def _delete_pod(self, namespace: str, kept: _Kept) -> None:
        name, kept.pod = str(kept.pod), None
        with contextlib.suppress(NotFound):
            await self.api.delete(PODS, namespace, name, grace=0)


def _controller(kind: str, owner: Object) -> Object:
    metadata = owner["metadata"]
    told = {"name": metadata["name"], "uid": metadata["uid"]}
    return {"apiVersion": "apps/v1", "kind": kind, "controller": True, **told}
