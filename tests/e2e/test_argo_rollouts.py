"""An Argo Rollout as a target, moved by its own real controller."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_least_privilege import granted, used
from tests.harness import argo_rollouts
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT, SetupError
from tests.harness.workbench import SECONDS, Bench, Object, carries
from tests.harness.workbench_flow import Flow, condition, ready
from tests.harness.workbench_operator import USER

from belay.core.workloads.argo_rollout import ARGO_ROLLOUT, OPTION
from belay.shell.resources import ARGO_ROLLOUTS

TARGET = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "app"}
COMPONENT = "components/argo-rollouts/rbac.yaml"
allowed = pytest.mark.parametrize("own_place", [("--target-kind", OPTION)], indirect=True)


@pytest.fixture
def controller(
    argo_controller: Path, cluster: Cluster, namespace: str, tmp_path: Path
) -> Iterator[None]:
    """Argo's controller at work, and the rights that its component adds to the operator's."""
    cluster.kubectl("apply", "--server-side", "-f", str(ROOT / "deploy" / COMPONENT))
    with argo_rollouts.running(argo_controller, cluster, namespace, tmp_path):
        yield


async def may_patch(bench: Bench) -> None:
    """Wait until the cluster has added the component's rights to the operator's."""
    question = ["auth", "can-i", "patch", OPTION, f"--as={USER}", "-n", bench.namespace]
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                await asyncio.to_thread(bench.cluster.kubectl, *question)
            except SetupError:
                await asyncio.sleep(0.1)
            else:
                return


def rollout(replicas: int = 1) -> Object:
    """The usual application as a Rollout, with a volume of its own."""
    body = manifests.deployment("app", replicas=replicas, switch=True)
    body["spec"]["strategy"] = {"canary": {"maxUnavailable": 0, "maxSurge": 1}}
    return body


async def begin(bench: Bench, *steps: Object, replicas: int = 1, **options: Any) -> Flow:
    """v1 is active and proven; what is given counts from the next wish on."""
    await may_patch(bench)
    await bench.apply(ARGO_ROLLOUTS, rollout(replicas))
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow(checks=(), window="0s", preview="None"))
    target = flow.spec["target"] = {"workloads": [TARGET]}
    await flow.apply()
    await flow.at("Promoted")
    if steps:
        person(bench, spec={"strategy": {"canary": {"steps": steps}}})
    flow.manifest = manifests.workflow(**options)
    flow.spec["target"] = target
    return flow


async def runs(bench: Bench, content: Object) -> Object:
    """Wait until Argo calls this content healthy, and give the Rollout."""

    def good(found: Object) -> bool:
        return carries(found["spec"]["template"], content) and ARGO_ROLLOUT.completion(found).done

    return await bench.until(ARGO_ROLLOUTS, "app", good)


def person(bench: Bench, **members: Any) -> None:
    """Somebody's merge patch, such as those of `kubectl argo rollouts promote` and `abort`."""
    where = ["-n", bench.namespace, "--type=merge", f"--patch={json.dumps(members)}"]
    where += ["--subresource=status"] if "status" in members else []
    bench.cluster.kubectl("patch", OPTION, "app", *where)


@allowed
@pytest.mark.usefixtures("own_place", "controller")
async def test_a_rollout_is_promoted_and_reverted_beside_what_others_have_in_it(
    bench: Bench,
) -> None:
    mark = bench.audit.mark()
    flow = await begin(bench)
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    proven = (await flow.at("Promoted"))["status"]["active"]
    flow.spec["verification"]["preview"] = "None"
    await bench.revise("v3", code=500)
    await flow.wish("v3")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "CheckFailed"
    spec = (await runs(bench, proven))["spec"]["template"]["spec"]
    assert [v["name"] for v in spec["volumes"]] == ["switch", "belay"]
    assert [m["name"] for m in spec["containers"][0]["volumeMounts"]] == ["switch", "belay"]
    calls = bench.audit.entries(since=mark, user=USER, namespace=bench.namespace)
    assert [str(call) for call in calls if call.code == 403] == []
    assert granted(COMPONENT) - used(calls) == set()


@allowed
@pytest.mark.usefixtures("own_place", "controller")
async def test_a_pause_of_its_own_waits_for_a_person_and_an_abort_is_obeyed(bench: Bench) -> None:
    flow = await begin(
        bench, {"setWeight": 50}, {"pause": {}}, replicas=2, preview="None", checks=()
    )
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.until(lambda f: "CanaryPauseStep" in condition(f, "Reconciling")["message"])
    assert found["status"]["phase"] == "Delivering"
    person(bench, status={"pauseConditions": None})
    proven = (await flow.at("Promoted"))["status"]["active"]

    await bench.revise("v3", note="third")
    await flow.wish("v3")
    await flow.until(lambda f: "CanaryPauseStep" in condition(f, "Reconciling")["message"])
    person(bench, status={"abort": True})
    found = await flow.at("Aborted")
    assert "somebody aborted it by Argo Rollouts" in ready(found)["message"]
    await runs(bench, proven)


@pytest.mark.usefixtures("argo_crds")
async def test_without_the_administrators_word_it_is_refused(bench: Bench) -> None:
    await bench.apply(ARGO_ROLLOUTS, rollout())
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow())
    flow.spec["target"] = {"workloads": [TARGET]}
    await flow.apply()
    assert f"--target-kind {OPTION}" in await flow.says("TargetUnsupported")
