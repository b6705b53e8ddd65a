"""Events, lists and watches on a real API server."""

import asyncio
import contextlib
import json
import threading
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.harness import kube
from tests.harness.cluster import Cluster

from belay.core.keys import Key
from belay.runtime.deliveries import Deliveries
from belay.runtime.kopf_source import KopfSource
from belay.runtime.queue import WorkQueue
from belay.runtime.resync import Resync, ResyncSettings
from belay.runtime.revisions import Revisions
from belay.runtime.targets import Targets
from belay.shell.cluster import Cluster as Client
from belay.shell.errors import Unavailable
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, REVISIONS, Objects, Resource

DIGEST = "sha256:" + "0" * 64


class Heard:
    """What a source told, in order, and a way to wait for more."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[Any] = asyncio.Queue()

    def event(
        self, key: Key, resource_version: str, *, deleted: bool, resting: bool = False
    ) -> None:
        assert int(resource_version) > 0
        self.events.put_nowait((key.name, "gone" if deleted else "there"))

    def wake(self, key: Key) -> None:
        self.events.put_nowait(key.name)

    async def next(self) -> Any:
        async with asyncio.timeout(20):
            return await self.events.get()


@pytest.fixture
async def heard() -> Heard:
    return Heard()


@pytest.fixture
async def client(cluster: Cluster) -> AsyncIterator[Client]:
    async with await Client.connect(str(cluster.kubeconfig)) as connected:
        yield connected


Start = Callable[..., Awaitable[KopfSource]]


@pytest.fixture
async def start(cluster: Cluster, heard: Heard) -> AsyncIterator[Start]:
    """Start a source; when the test is over it must stop without leaving a thread."""
    threads = set(threading.enumerate())
    started: list[KopfSource] = []
    endings: asyncio.Queue[BaseException | None] = asyncio.Queue()

    async def begin(
        namespace: str | None, resource: Resource | None = None, kubeconfig: Path | None = None
    ) -> KopfSource:
        source = KopfSource(
            str(kubeconfig or cluster.kubeconfig),
            None,
            [namespace] if namespace else [],
            **({"resource": resource} if resource else {}),
        )
        source.start(heard.event, endings.put_nowait)
        started.append(source)
        return source

    yield begin
    for source in started:
        await source.stop()
        async with asyncio.timeout(5):
            assert await endings.get() is None
    left = {thread for thread in threading.enumerate() if not thread.name.startswith("asyncio_")}
    assert left <= threads


def workflow(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "activeRevision": "v1",
            "target": {"workloads": [{"kind": "Deployment", "name": name}]},
        },
    }


def revision(workflow_name: str, name: str) -> dict[str, Any]:
    return {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "WorkflowRevision",
        "metadata": {"name": f"{workflow_name}-{name}"},
        "spec": {
            "workflowName": workflow_name,
            "revision": name,
            "definition": "a: 1\n",
            "format": "YAML",
            "mediaType": "application/yaml",
            "digest": DIGEST,
            "contentDigest": DIGEST,
        },
    }


async def test_workflows_that_are_there_come_and_go_are_told(
    cluster: Cluster, namespace: str, crds: None, start: Start, heard: Heard
) -> None:
    cluster.apply(workflow("early"), namespace=namespace)
    await start(namespace)
    assert await heard.next() == ("early", "there")
    cluster.apply(workflow("late"), namespace=namespace)
    assert await heard.next() == ("late", "there")
    cluster.kubectl("delete", "-n", namespace, "workflows.belay.dev", "early")
    assert await heard.next() == ("early", "gone")


async def test_nothing_is_written_to_a_workflow_that_is_only_watched(
    cluster: Cluster, namespace: str, crds: None, start: Start, heard: Heard
) -> None:
    cluster.apply(workflow("triage"), namespace=namespace)
    before = cluster.get("-n", namespace, "workflows.belay.dev", "triage")
    await start(namespace)
    assert await heard.next() == ("triage", "there")
    cluster.apply(workflow("other"), namespace=namespace)
    assert await heard.next() == ("other", "there")
    after = cluster.get("-n", namespace, "workflows.belay.dev", "triage")
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


async def test_a_token_that_may_only_read_workflows_of_one_namespace_is_enough(
    cluster: Cluster, namespace: str, crds: None, start: Start, heard: Heard, tmp_path: Path
) -> None:
    cluster.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "watcher"}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": {"name": "watcher"},
            "rules": [
                {
                    "apiGroups": ["belay.dev"],
                    "resources": ["workflows"],
                    "verbs": ["list", "watch"],
                }
            ],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": {"name": "watcher"},
            "roleRef": {
                "apiGroup": "rbac.authorization.k8s.io",
                "kind": "Role",
                "name": "watcher",
            },
            "subjects": [{"kind": "ServiceAccount", "name": "watcher", "namespace": namespace}],
        },
        namespace=namespace,
    )
    path = kube.service_account_kubeconfig(cluster, namespace, "watcher", tmp_path / "kubeconfig")
    await start(namespace, kubeconfig=path)
    cluster.apply(workflow("triage"), namespace=namespace)
    assert await heard.next() == ("triage", "there")


@pytest.fixture
def late_kind(cluster: Cluster) -> Iterator[tuple[Resource, dict[str, Any]]]:
    """A kind of the test's own, and the CRD that makes it known; gone afterwards."""
    group = f"g{uuid.uuid4().hex[:8]}.belay.test"
    kind = Resource(group, "v1", "things", "Thing")
    name = f"{kind.plural}.{group}"
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": kind.plural, "singular": "thing", "kind": kind.kind},
            "versions": [version],
        },
    }
    yield kind, crd
    cluster.kubectl("delete", "crd", name, "--ignore-not-found", "--wait=false")


async def test_a_crd_that_is_installed_after_the_start_is_noticed(
    cluster: Cluster,
    namespace: str,
    start: Start,
    heard: Heard,
    late_kind: tuple[Resource, dict[str, Any]],
) -> None:
    kind, crd = late_kind
    await start(None, kind)
    cluster.apply(crd)
    name = crd["metadata"]["name"]
    cluster.until_served(kind)
    thing = {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": {"name": "one"}}
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(thing))
    # kopf's own watch of CRDs may begin after this one came: each change of it is news again.
    for change in range(20):
        cluster.kubectl("annotate", "crd", name, f"belay.test/change={change}", "--overwrite")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2):
                assert await heard.events.get() == ("one", "there")
                return
    pytest.fail("the CRD was never noticed")


@contextlib.asynccontextmanager
async def running(job: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(job)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_revisions_wake_their_workflow_as_they_come_and_go(
    cluster: Cluster, namespace: str, crds: None, client: Client, heard: Heard
) -> None:
    cluster.apply(revision("triage", "v1"), namespace=namespace)
    revisions = Revisions(client, [namespace], heard.wake)
    async with running(revisions.run()):
        async with asyncio.timeout(20):
            await revisions.listed.wait()
        assert set(revisions.known(Key(namespace, "triage"))) == {"v1"}
        cluster.apply(revision("triage-nightly", "v2"), namespace=namespace)
        assert await heard.next() == "triage-nightly"
        cluster.kubectl("delete", "-n", namespace, "bwr", "triage-v1")
        assert await heard.next() == "triage"
        assert revisions.known(Key(namespace, "triage")) == {}


async def test_pods_and_deployments_wake_those_who_move_them(
    cluster: Cluster, namespace: str, client: Client, heard: Heard
) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    cluster.apply(account, namespace=namespace)
    targets = Targets(client, heard.wake)
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "triage-api"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "triage"}},
            "template": {
                "metadata": {"labels": {"app": "triage"}},
                "spec": {"containers": [{"name": "app", "image": "none"}]},
            },
        },
    }
    async with running(targets.run()):
        targets.follow(
            Key(namespace, "triage"), namespace, frozenset({(DEPLOYMENTS, "triage-api")})
        )
        targets.follow(Key(namespace, "billing"), namespace, frozenset({(DEPLOYMENTS, "billing")}))
        cluster.apply(deployment, namespace=namespace)
        assert await heard.next() == "triage"
        owner = {
            "apiVersion": "belay.dev/v1alpha1",
            "kind": "Workflow",
            "name": "billing",
            "uid": str(uuid.uuid4()),
        }
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "billing-preview-1-1", "ownerReferences": [owner]},
            "spec": {
                "schedulerName": "nobody",
                "automountServiceAccountToken": False,
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 1000,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "app",
                        "image": "none",
                        "securityContext": {
                            "allowPrivilegeEscalation": False,
                            "capabilities": {"drop": ["ALL"]},
                        },
                    }
                ],
            },
        }
        cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(pod))
        while await heard.next() != "billing":
            pass


async def test_lists_and_events_of_a_real_server_agree(
    cluster: Cluster, namespace: str, crds: None, client: Client, start: Start, heard: Heard
) -> None:
    cluster.apply(*(workflow(f"wf-{number}") for number in range(5)), namespace=namespace)
    deliveries, queue = Deliveries(), WorkQueue()
    source = KopfSource(str(cluster.kubeconfig), None, [namespace])

    def on_event(key: Key, resource_version: str, *, deleted: bool, resting: bool) -> None:
        deliveries.record(key, resource_version, deleted=deleted)
        heard.event(key, resource_version, deleted=deleted, resting=resting)

    source.start(on_event, lambda _: None)
    settings = ResyncSettings(period=0.05, patience=5)
    resync = Resync(client, queue, deliveries, [namespace], settings)
    async with running(resync.run()):
        for number in range(5, 10):
            cluster.apply(workflow(f"wf-{number}"), namespace=namespace)
        seen = {(await heard.next())[0] for _ in range(10)}
        assert seen == {f"wf-{number}" for number in range(10)}
        async with asyncio.timeout(10):
            while resync.watch_age > 0.1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    await source.stop()


async def test_a_stream_tells_the_same_as_pages_do(
    cluster: Cluster, namespace: str, crds: None, client: Client
) -> None:
    cluster.apply(*(revision("wf", f"v{number}") for number in range(3)), namespace=namespace)

    async def told(pages: AsyncIterator[tuple[Objects, str]]) -> tuple[dict[str, Any], int]:
        found, version = {}, ""
        async for page, version in pages:  # noqa: B007
            for item in page:
                metadata = item["metadata"]
                metadata.pop("managedFields", None)
                metadata.pop("annotations", None)
                metadata.pop("generation", None)
                found[metadata["uid"]] = metadata
        return found, int(version)

    listed, before = await told(client.metadata_pages(REVISIONS, namespace))
    streamed, after = await told(client.metadata_stream(REVISIONS, namespace))
    assert len(listed) == 3
    assert streamed == listed
    assert after >= before


async def test_a_deposed_leader_can_read_but_not_write(client: Client, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "late"}}
    client.transport.may_write = lambda: False
    with pytest.raises(Unavailable, match="does not lead"):
        await client.create(CONFIG_MAPS, namespace, body)
    assert "late" not in {
        one["metadata"]["name"] for one in await client.list(CONFIG_MAPS, namespace)
    }
