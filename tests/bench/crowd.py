"""Plays kubelet and application for many Workflows on a control plane without nodes.

Deployments, ReplicaSets and their pods are real, and so are their controllers. A pod gets a
loopback address of its own as soon as it is there, and is ready; one HTTP server answers for all
of them, by the address that is asked. What it answers comes from the pod's own template (Rolling)
or from the ConfigMap that its application watches (InPlace).
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge

from belay.api.names import ANNOTATION_CONTENT_DIGEST
from belay.core.workloads.pointer import pointer_name
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import AlreadyExists, ApiError, NotFound
from belay.shell.resources import CONFIG_MAPS, PODS, Resource

Object = dict[str, Any]
AT_ONCE = 32
NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
_T = TypeVar("_T")


@dataclass(slots=True)
class _Pod:
    """What the server has to know of a pod."""

    namespace: str
    name: str
    flow: str
    content: str


@dataclass(slots=True)
class Crowd:
    """All pods of a control plane. Those of a content in `wrong` answer 500."""

    api: Api
    wrong: set[str] = field(default_factory=set)
    port: int = 0
    _pods: dict[str, _Pod] = field(default_factory=dict)
    """By address."""
    _seen: dict[str, str] = field(default_factory=dict)
    """Addresses by uid."""
    _pointers: dict[tuple[str, str], Object] = field(default_factory=dict)
    _addresses: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        server = web.Application()
        server.add_routes([web.get("/run", self._run), web.get("/current", self._current)])
        runner = web.AppRunner(server, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "0.0.0.0", 0, backlog=2048)
        await site.start()
        self.port = runner.addresses[0][1]
        watches = [asyncio.create_task(self._follow(kind)) for kind in (PODS, CONFIG_MAPS)]
        try:
            yield
        finally:
            for task in (*watches, *self._tasks):
                task.cancel()
            await asyncio.gather(*watches, *self._tasks, return_exceptions=True)
            await runner.cleanup()

    async def _follow(self, resource: Resource) -> None:
        while True:
            with contextlib.suppress(ApiError):
                async for kind, body in self.api.watch(resource, None, "0"):
                    if kind != "BOOKMARK":
                        self._happened(resource, body, gone=kind == "DELETED")
            await asyncio.sleep(0.1)

    def _happened(self, resource: Resource, body: Object, *, gone: bool) -> None:
        metadata = body["metadata"]
        if resource is CONFIG_MAPS:
            pointer = (body.get("data") or {}).get("current.json")
            if pointer is not None and metadata["name"].endswith("-current"):
                told = {} if gone else json.loads(pointer)
                self._pointers[metadata["namespace"], metadata["name"]] = told
        elif gone:
            self._pods.pop(self._seen.pop(metadata["uid"], ""), None)
        elif metadata["uid"] not in self._seen and metadata["labels"].get("flow"):
            number = next(self._addresses)
            address = f"127.{number // 62500 % 250 + 1}.{number // 250 % 250}.{number % 250 + 1}"
            self._seen[metadata["uid"]] = address
            content = (metadata.get("annotations") or {}).get(ANNOTATION_CONTENT_DIGEST, "")
            self._pods[address] = _Pod(
                metadata["namespace"], metadata["name"], metadata["labels"]["flow"], content
            )
            task = asyncio.create_task(self._start(body, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _start(self, pod: Object, address: str) -> None:
        metadata = pod["metadata"]
        started = metadata["creationTimestamp"]
        ready = [{"type": t, "status": "True", "lastTransitionTime": started}
                 for t in ("PodScheduled", "Ready", "ContainersReady")]  # fmt: skip
        container = {
            "name": "app",
            "image": "app",
            "imageID": "",
            "ready": True,
            "started": True,
            "restartCount": 0,
            "state": {"running": {"startedAt": started}},
        }
        status = {
            "phase": "Running",
            "podIP": address,
            "podIPs": [{"ip": address}],
            "conditions": ready,
            "containerStatuses": [container],
        }
        with contextlib.suppress(NotFound):
            await merge(
                self.api,
                PODS,
                metadata["namespace"],
                metadata["name"],
                {"status": status},
                "status",
            )

    def _asked(self, request: web.Request) -> tuple[_Pod | None, Object]:
        assert request.transport is not None
        pod = self._pods.get(request.transport.get_extra_info("sockname")[0])
        if pod is None:
            return None, {}
        return pod, self._pointers.get((pod.namespace, pointer_name(pod.flow)), {})

    async def _run(self, request: web.Request) -> web.Response:
        pod, pointer = self._asked(request)
        content = (pod.content or pointer.get("contentDigest")) if pod else None
        return web.Response(status=500 if content is None or content in self.wrong else 200)

    async def _current(self, request: web.Request) -> web.Response:
        _, pointer = self._asked(request)
        return web.json_response(pointer or {"contentDigest": None})


def deployment(flow: str, port: int) -> Object:
    """The target of a Workflow, of the same name; its pods listen on this port."""
    body = manifests.deployment(flow, flow=flow)
    container = {"name": "app", "image": "app", "ports": [{"name": "http", "containerPort": port}]}
    template = body["spec"]["template"]
    template["metadata"]["labels"]["flow"] = flow
    template["spec"] = {"containers": [container], "terminationGracePeriodSeconds": 1}
    return body


async def place(api: Api, name: str) -> None:
    """A namespace with the account that its pods run under."""
    with contextlib.suppress(AlreadyExists):
        await api.create(NAMESPACES, None, {"metadata": {"name": name}})
    with contextlib.suppress(AlreadyExists):
        await api.create(_ACCOUNTS, name, {"metadata": {"name": "default"}})


async def each(
    work: Callable[[_T], Awaitable[Any]], items: Iterable[_T], at_once: int = AT_ONCE
) -> None:
    """Do it for all of them, so many side by side, in their order."""
    left = iter(items)

    async def some() -> None:
        for item in left:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some())
