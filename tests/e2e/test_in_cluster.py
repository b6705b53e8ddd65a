"""Belay as it is shipped: pods from deploy/base, with its own image and its own ServiceAccount.

It serves one namespace only, from a namespace of its own, so that it shares the cluster with the
operators of the other cases.
"""

import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import pytest
from tests.e2e.conftest import Begin
from tests.harness import kube
from tests.harness.cluster import Cluster
from tests.harness.demo.install import Installation
from tests.harness.setup import SetupError
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import ready

from belay.shell.resources import DEPLOYMENTS, PODS

Object = dict[str, object]


@dataclass(frozen=True, slots=True)
class InPod:
    """In the place of an operator process: what a bench asks of one."""

    installation: Installation

    def said(self, _: str) -> str:
        """What it logged; nothing while there is no pod."""
        with suppress(SetupError):
            return self.installation.log()
        return ""


@pytest.fixture(scope="module")
def installation(cluster: Cluster, operator_image: None) -> Iterator[Installation]:
    with kube.namespace(cluster) as served:
        installed = Installation(cluster, f"belay-{uuid.uuid4().hex[:8]}", serves=served)
        try:
            installed.apply()
            installed.wait(120)
            yield installed
        finally:
            installed.remove()


@pytest.fixture
def place(installation: Installation) -> tuple[str, InPod]:
    """In the place of the other cases' `place`."""
    assert installation.serves is not None
    return installation.serves, InPod(installation)


async def test_the_pod_promotes_a_good_revision_and_reverts_a_bad_one(
    bench: Bench, begin: Begin, installation: Installation
) -> None:
    flow = await begin(window="1s")
    await bench.revise("v2", note="better \N{POSTBOX}")
    await bench.revise("v3", code=500)

    await flow.wish("v2")
    await flow.at("Promoted")
    await bench.until_runs("v2")
    await flow.wish("v3")
    failed = await flow.at("Reverted")

    assert ready(failed)["reason"] == "CheckFailed"
    assert failed["status"]["activeRevision"] == "v2"
    await bench.until_runs("v2")
    calls = bench.audit.entries(user=installation.user, namespace=bench.namespace)
    assert {"create", "patch", "delete"} <= {call.verb for call in calls}
    assert [str(call) for call in calls if call.code == 403] == []
    for pod in await bench.api.list(PODS, installation.home):
        assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0]


async def test_the_pods_give_their_lease_back_when_they_are_asked_to_end(
    bench: Bench, installation: Installation
) -> None:
    pods = await bench.api.list(PODS, installation.home)
    names = {pod["metadata"]["name"] for pod in pods}
    assert len(names) == 2

    def holder(lease: Object) -> str:
        spec = lease.get("spec") or {}
        assert isinstance(spec, dict)
        return str(spec.get("holderIdentity", ""))

    def led_by_one(lease: Object) -> bool:
        return holder(lease).rpartition("_")[0] in names

    def led_by_nobody(lease: Object) -> bool:
        return not holder(lease)

    kube.wait(bench.cluster, installation.home, "lease/belay", led_by_one)
    await _scale(bench, installation, 0)
    kube.wait(bench.cluster, installation.home, "lease/belay", led_by_nobody)

    await _scale(bench, installation, 2)
    installation.wait(120)


async def _scale(bench: Bench, installation: Installation, replicas: int) -> None:
    metadata = {"name": installation.deployment, "namespace": installation.home}
    body = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata}
    full = {**body, "spec": {"replicas": replicas}}
    await bench.api.apply(DEPLOYMENTS, full, manager="autoscaler", force=True)
