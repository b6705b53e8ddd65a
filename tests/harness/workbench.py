"""A namespace with an application, revisions and Workflows in it, as their user handles them."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
from tests.harness import workbench_manifests as manifests
from tests.harness.audit import AuditLog, Entry
from tests.harness.cluster import Cluster
from tests.harness.workbench_operator import USER, Operator

from belay.api.names import ANNOTATION_CONTENT_DIGEST, ANNOTATION_REVISION
from belay.core.workloads import KINDS
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import NotFound
from belay.shell.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    SERVICES,
    WORKLOADS,
    Resource,
)

Object = dict[str, Any]
Good = Callable[[Object], object]

SECONDS = 120.0
"""How long anything is awaited; far more than it takes."""
LOGGED = 15.0
"""How long a call of which the effect has been seen is awaited in the log."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment, and the place that the audit log had come to."""

    place: int
    at: datetime
    """An answered call is logged a moment later, so its own time counts."""


@dataclass(slots=True)
class Bench:
    """One namespace, and the operator that serves it."""

    cluster: Cluster
    api: Api
    """The administrator's connection, for what a test's people do."""
    namespace: str
    operator: Operator
    http: aiohttp.ClientSession

    async def apply(self, resource: Resource, body: Object, manager: str = "user") -> Object:
        """Server-side apply by somebody, forced; `body` needs no namespace."""
        metadata = {**body["metadata"], "namespace": self.namespace}
        full = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        full["metadata"] = metadata
        return await self.api.apply(resource, full, manager=manager, force=True)

    async def get(self, resource: Resource, name: str) -> Object:
        return await self.api.get(resource, self.namespace, name)

    async def find(self, resource: Resource, labels: str | None = None) -> list[Object]:
        return await self.api.list(resource, self.namespace, labels=labels)

    async def delete(self, resource: Resource, name: str) -> None:
        await self.api.delete(resource, self.namespace, name)

    async def deploy(self, name: str = "app", **options: Any) -> Object:
        """Create the application: a Deployment, or `kind/name`; for `options` see its manifest."""
        kind, _ = manifests.kind_name(name)
        return await self.apply(WORKLOADS["apps/v1", kind], manifests.workload(name, **options))

    async def scale(self, name: str, replicas: int) -> None:
        """Set the number of pods, as a HorizontalPodAutoscaler does."""
        body = {"metadata": {"name": name}, "spec": {"replicas": replicas}}
        await self.apply(DEPLOYMENTS, body, "autoscaler")

    async def revise(
        self,
        revision: str,
        *,
        flow: str = "wf",
        labels: dict[str, str] | None = None,
        bindings: Sequence[Object] = (),
        **definition: Any,
    ) -> Object:
        """Publish a revision, made by the product's own code."""
        body = manifests.revision_body(flow, revision, definition, bindings)
        body["metadata"]["labels"] = labels or {}
        return await self.apply(REVISIONS, body)

    async def until(
        self,
        resource: Resource,
        name: str,
        good: Good,
        seconds: float = SECONDS,
        *,
        since: str = "",
    ) -> Object:
        """Watch an object until it is `good`, and give it. `good` sees {} when it is deleted.

        It is watched as it is now and from then on, or from the resourceVersion `since` on.
        """
        last: Object = {}
        try:
            async with asyncio.timeout(seconds):
                async for last in self._states(resource, name, since):
                    if good(last):
                        return last
        except TimeoutError:
            pass
        status = last.get("status") or {}
        shown = json.dumps({key: status.get(key) for key in ("phase", "conditions")})[:3000]
        raise AssertionError(
            f"{resource.kind} {name}: not as awaited within {seconds:g} s; last seen: {shown}\n"
            f"operator:\n{self.said[-6000:]}"
        )

    async def _states(self, resource: Resource, name: str, since: str) -> Any:
        """The states of one object as they come."""
        while True:
            fields = f"metadata.name={name}"
            events = self.api.watch(resource, self.namespace, since, fields=fields)
            async for kind, found in events:
                if kind != "BOOKMARK":
                    yield {} if kind == "DELETED" else found

    async def pods(self, name: str = "app") -> list[Object]:
        """The application's pods that are not ending."""
        pods = await self.find(PODS, f"app={name}")
        return [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]

    async def until_pod(self, good: Good) -> Object:
        """Wait for a pod, not ending, that is `good`."""
        async with asyncio.timeout(SECONDS):
            async for kind, pod in self.api.watch(PODS, self.namespace, ""):
                there = kind not in ("BOOKMARK", "DELETED")
                if there and "deletionTimestamp" not in pod["metadata"] and good(pod):
                    return pod
        raise AssertionError("the watch of pods has ended")

    async def no_preview(self) -> None:
        """Wait until no preview pod is there any more."""
        for pod in await self.find(PODS, "belay.dev/preview"):
            await gone(self, PODS, pod["metadata"]["name"])

    async def reasons(self, flow: str = "wf") -> list[str]:
        """Reasons of the events about a Workflow, in the order in which things happened."""
        events = [e for e in await self.find(EVENTS) if e["regarding"]["name"] == flow]
        return [e["reason"] for e in sorted(events, key=_when)]

    async def told(self, *reasons: str, flow: str = "wf") -> None:
        """Wait until the events about a Workflow end with these reasons."""
        said: list[str] = []
        try:
            async with asyncio.timeout(SECONDS):
                async for _ in self.api.watch(EVENTS, self.namespace, ""):
                    said = await self.reasons(flow)
                    if said[-len(reasons) :] == list(reasons):
                        return
        except TimeoutError:
            raise AssertionError(f"told {said} instead of {reasons}") from None

    async def told_note(self, reason: str) -> str:
        """What the one event with this reason says."""
        (event,) = [e for e in await self.find(EVENTS) if e["reason"] == reason]
        return str(event["note"])

    async def tell(self, pod: str, **members: Any) -> None:
        """Make one running pod behave in another way from now on."""
        async with asyncio.timeout(SECONDS):
            found = await self.until(PODS, pod, _has_address)
            url = f"http://{found['status']['podIP']}:8080/tell"
            while True:
                try:
                    async with self.http.post(url, json=members) as answer:
                        answer.raise_for_status()
                        return
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)

    async def address(self, name: str = "app") -> str:
        """Create the application's Service, and give its URL once that is answered."""
        found = await self.apply(SERVICES, manifests.service(name))
        url = f"http://{found['spec']['clusterIP']}/run"
        async with asyncio.timeout(SECONDS):
            while True:
                try:
                    async with self.http.get(url) as answer:
                        answer.raise_for_status()
                        return url
                except aiohttp.ClientConnectorError:
                    await asyncio.sleep(0.05)

    async def ask(self, url: str) -> Object:
        """What the application answers at a URL."""
        async with self.http.get(url) as answer:
            return dict(await answer.json(content_type=None))

    async def until_runs(self, revision: str | None, name: str = "app") -> Object:
        """Wait until all pods of the workload are those of this revision; None: its own."""
        kind, plain = manifests.kind_name(name)

        def good(found: Object) -> bool:
            annotations = found["spec"]["template"]["metadata"].get("annotations") or {}
            return (
                annotations.get(ANNOTATION_REVISION) == revision
                and KINDS["apps/v1", kind].completion(found).done
            )

        return await self.until(WORKLOADS["apps/v1", kind], plain, good)

    async def config_maps(self) -> set[str]:
        """Names of the delivered ConfigMaps."""
        return {uid_name(one)[1] for one in await self.find(CONFIG_MAPS, "belay.dev/workflow")}

    async def replica_sets(self, name: str = "app") -> list[Object]:
        return await self.find(REPLICA_SETS, f"app={name}")

    @property
    def said(self) -> str:
        """What the operator logged of this namespace."""
        return self.operator.said(self.namespace)

    @property
    def audit(self) -> AuditLog:
        found = self.cluster.audit()
        assert found is not None
        return found

    def mark(self) -> Mark:
        """This moment, for `calls` and `writes`."""
        return Mark(self.audit.mark(), datetime.now(UTC))

    def calls(self, since: Mark) -> list[Entry]:
        """What the operator has asked of the API server in this namespace."""
        return self.audit.entries(
            since=since.place,
            user=USER,
            namespace=self.namespace,
            keep=lambda call: call.received >= since.at,
        )

    def writes(self, since: Mark) -> Counter[str]:
        """The operator's writes in this namespace: `patch workflows/status` and how often."""
        return Counter(written(entry) for entry in self.calls(since) if entry.is_write)

    async def wrote(self, since: Mark, least: Mapping[str, int]) -> Counter[str]:
        """`writes`, once there are at least these, or all there are when that takes too long.

        A watch tells what a write has changed before its call is answered and logged.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + LOGGED
        while not (found := self.writes(since)) >= Counter(least) and loop.time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        return found


def carries(pod: Object, content: Object) -> bool:
    """Whether a pod has this content, as `status.active` and the like name it."""
    annotations = pod["metadata"].get("annotations") or {}
    return bool(annotations.get(ANNOTATION_CONTENT_DIGEST) == content["contentDigest"])


def _has_address(pod: Object) -> bool:
    ending = not pod or "deletionTimestamp" in pod["metadata"]
    return not ending and "podIP" in pod["status"]


def _when(event: Object) -> tuple[str, str]:
    """What happened at the same moment is told in the order of the alphabet."""
    return str(event["eventTime"]), str(event["reason"])


def uid_name(found: Object) -> tuple[str, str]:
    """What tells an object from a namesake."""
    return found["metadata"]["uid"], found["metadata"]["name"]


def written(entry: Entry) -> str:
    """What kind of call this is: `patch workflows/status`."""
    return f"{entry.verb} " + "/".join(filter(None, (entry.resource, entry.subresource)))


async def gone(bench: Bench, resource: Resource, name: str) -> None:
    """Wait until an object is not there any more."""
    try:
        found = await bench.get(resource, name)
    except NotFound:
        return
    since = found["metadata"]["resourceVersion"]
    await bench.until(resource, name, lambda found: not found, since=since)
