"""Attacks through the real API server: what it lets be written, and what Belay makes of it."""

import json
from collections.abc import AsyncIterator
from ipaddress import ip_address
from typing import Any

import pytest
from tests.harness.cluster import Cluster as RealCluster
from tests.harness.setup import SetupError
from tests.unit.shell.pods import check

from belay.core.keys import Key
from belay.core.observed import ServiceView
from belay.core.pods import Pod, read_pod
from belay.shell.checks.egress import Guard
from belay.shell.checks.machinery import MachineryWatch
from belay.shell.checks.services import behind_service
from belay.shell.cluster import Cluster
from belay.shell.resources import PODS
from belay.shell.turn import Turn

LIES = ["127.0.0.1", "169.254.169.254", "::ffff:169.254.169.254", "::1", "0.0.0.0"]


@pytest.fixture
async def api(cluster: RealCluster) -> AsyncIterator[Cluster]:
    async with await Cluster.connect(str(cluster.kubeconfig)) as connected:
        yield connected


def make(cluster: RealCluster, namespace: str, body: dict[str, Any]) -> None:
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(body))


async def pod(cluster: RealCluster, api: Cluster, namespace: str, name: str) -> dict[str, Any]:
    """A pod that no scheduler takes, so that nobody but the test writes its status."""
    quiet = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    port = {"name": "http", "containerPort": 8080}
    container = {"name": "app", "image": "none", "ports": [port], "securityContext": quiet}
    body = {
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    }
    return await api.create(PODS, namespace, body)


def service(namespace: str, **spec: Any) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": "http"}]
    meta = {"name": "front", "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta,
        "spec": {"ports": ports} | spec,
    }


def forged(uid: str, address: str, port: int = 8080) -> dict[str, Any]:
    target = {"kind": "Pod", "name": "own", "uid": uid}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": "forged", "labels": {"kubernetes.io/service-name": "front"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [address], "targetRef": target}],
        "ports": [{"port": port}],
    }


async def behind(api: Cluster, namespace: str) -> ServiceView:
    turn = Turn(api, Key(namespace, "wf"))
    return await behind_service(turn, check(port=80, service="front"))


async def test_a_status_that_lies_is_refused(
    cluster: RealCluster, api: Cluster, namespace: str
) -> None:
    """By Belay, where not by the API server itself, which of late refuses some forms."""
    guard = Guard()
    watch = MachineryWatch(api, guard, [api.host])
    guard.machinery = await watch.look()
    clustered = cluster.kubectl("get", "svc", "kubernetes", "-o", "jsonpath={.spec.clusterIP}")
    own = [str(one) for one in (*guard.machinery.api_servers, *guard.machinery.nodes)]
    assert ip_address(clustered.strip()) in guard.machinery.api_servers
    await pod(cluster, api, namespace, "own")
    written: list[str] = []
    for lie in (*LIES, *own):
        status = json.dumps({"status": {"podIP": lie, "podIPs": [{"ip": lie}]}})
        command = ("patch", "pod", "own", "-n", namespace, "--subresource=status")
        try:
            cluster.kubectl(*command, "--type=merge", "-p", status)
        except SetupError:
            continue
        found: Pod = read_pod(await api.get(PODS, namespace, "own"), "app")
        assert found.address == lie
        assert guard.refuse(found.address, 8080) is not None
        written.append(lie)
    assert {"127.0.0.1", "169.254.169.254", clustered.strip()} <= set(written)


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        ({"type": "ExternalName", "externalName": "metadata.internal"}, "is an ExternalName"),
        ({}, "has no selector"),
    ],
)
async def test_a_service_without_pods_of_its_own_is_refused(
    cluster: RealCluster, api: Cluster, namespace: str, spec: dict[str, Any], problem: str
) -> None:
    make(cluster, namespace, service(namespace, **spec))
    make(cluster, namespace, forged("uid-of-another", "10.1.2.3"))
    found = await behind(api, namespace)
    assert found.ports == {}
    assert found.problem is not None
    assert problem in found.problem


async def test_a_forged_slice_adds_no_address_and_no_port(
    cluster: RealCluster, api: Cluster, namespace: str
) -> None:
    own = read_pod(await pod(cluster, api, namespace, "own"), "app")
    victim = read_pod(await pod(cluster, api, namespace, "victim"), "app")
    make(cluster, namespace, service(namespace, selector={"app": "own"}))
    make(cluster, namespace, forged(victim.uid, "10.1.2.3"))
    assert own.uid not in (await behind(api, namespace)).ports
    cluster.kubectl("delete", "endpointslice", "forged", "-n", namespace)
    make(cluster, namespace, forged(own.uid, "10.1.2.3", port=22))
    found = await behind(api, namespace)
    assert found.ports == {own.uid: 22}
    assert found.port(own) is None
