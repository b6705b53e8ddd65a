"""Every right that is shipped is used, and none is missing; from the audit log of a fixed tour."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.audit import Entry
from tests.harness.setup import ROOT
from tests.harness.workbench import SECONDS, Bench, gone
from tests.harness.workbench_flow import Flow
from tests.harness.workbench_manifests import ANSWERS
from tests.harness.workbench_operator import USER

from belay.core.delivery import config_map_name
from belay.runtime.kopf_source import KopfSource
from belay.shell.resources import CLAIMS, CONFIG_MAPS, CRON_JOBS, JOBS, REVISIONS, SERVICES

Right = tuple[str, str, str]
"""API group, resource with its subresource, verb."""


def granted(rbac: str = "base/rbac.yaml") -> set[Right]:
    """What the ClusterRoles of this file grant; an aggregated one has no rules of its own."""
    manifests = yaml.safe_load_all((ROOT / "deploy" / rbac).read_text())
    return {
        (group, resource, verb)
        for role in manifests
        if role["kind"] == "ClusterRole"
        for rule in role.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


SELDOM = {("belay.dev", "workflowrevisions", "list")}
"""Needed where the API server has no stream of a list; tests/integration reads both ways."""


def used(calls: list[Entry]) -> set[Right]:
    """What was asked for. An apply that made its object (201) needed `create`, too."""
    rights = set()
    for call in calls:
        resource = "/".join(filter(None, (call.resource, call.subresource)))
        rights.add((call.group, resource, call.verb))
        if call.verb == "patch" and call.code == 201:
            rights.add((call.group, resource, "create"))
    return rights


@pytest.mark.usefixtures("own_place")
async def test_a_tour_needs_every_right_that_is_granted_and_no_other(
    bench: Bench, begin: Begin, operator_kubeconfig: Path
) -> None:
    mark = bench.audit.mark()
    bench.operator.kill()
    bench.operator.start()
    await tour(bench, begin)
    await whole_cluster(bench, operator_kubeconfig, mark)
    calls = bench.audit.entries(
        since=mark, user=USER, keep=lambda call: call.namespace in (bench.namespace, "")
    )
    assert [str(call) for call in calls if call.code == 403] == []
    lacking = granted() - used(calls) - SELDOM
    assert lacking == set(), f"granted and never used: {sorted(lacking)}"


async def tour(bench: Bench, begin: Begin) -> None:
    """Promote by preview, Service and Job, prune, revert, be refused, and fail to mount."""
    await bench.apply(SERVICES, manifests.service())
    behind = {"name": "behind", "http": {"port": 80, "service": "app"}, "period": "200ms"}
    beside: dict[str, Any] = {
        "name": "beside",
        "job": {"from": "probe"},
        "at": ["Gate"],
        "timeout": "60s",
    }
    beside |= {"period": "1s", "successThreshold": 2}
    await bench.apply(CRON_JOBS, manifests.cron_job("pass"))
    await bench.revise("old", note="old", labels={"belay.dev/managed": "true"})
    flow = await begin(
        checks=[ANSWERS, behind, beside], revisionHistoryLimit=0, instances=await runs(bench)
    )
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    await flow.at("Promoted")
    await gone(bench, REVISIONS, "wf-old")
    await bench.revise("v3", code=500)
    await flow.wish("v3")
    found = await flow.at("Reverted")
    tried = found["status"]["rollout"]["to"]["contentDigest"]
    binding = {"name": "key", "secretKeyRef": {"name": "nowhere", "key": "key"}}
    await bench.revise("v4", bindings=[binding], note="fourth")
    await flow.wish("v4")
    await asyncio.gather(waits_for_a_mount(bench), refused(bench), other_kinds(bench))
    await flow.wish("v2")
    await flow.at("Promoted")
    await gone(bench, CONFIG_MAPS, config_map_name(flow.name, tried))


async def runs(bench: Bench) -> dict[str, Any]:
    """One run of the workflow and a schedule for more; both are paused."""
    labels = {"run-of": "wf"}
    await bench.apply(JOBS, manifests.job("run", labels=labels))
    await bench.apply(
        CRON_JOBS, manifests.cron_job("pass", "nightly", labels=labels, suspend=False)
    )
    wanted = {"selector": {"matchLabels": labels}, "policy": "Pause"}
    return {"resources": [{"kind": "Job", **wanted}, {"kind": "CronJob", **wanted}]}


async def waits_for_a_mount(bench: Bench) -> None:
    """Why a pod does not start is told by events; nobody has to wait for the deadline here."""
    mark = bench.mark()
    async with asyncio.timeout(SECONDS):
        while True:
            if ("", "events", "list") in used(bench.calls(mark)):
                return
            await asyncio.sleep(0.1)


async def other_kinds(bench: Bench) -> None:
    """The first activation of a StatefulSet and a DaemonSet."""
    targets = ["StatefulSet/stateful", "DaemonSet/daemon"]
    for target in targets:
        await bench.deploy(target, flow="others")
    await bench.revise("v1", flow="others", note="first")
    manifest = manifests.workflow("others", targets=targets, checks=(), window="0s", preview="None")
    flow = Flow(bench, manifest)
    await flow.apply()
    await flow.at("Promoted")


async def refused(bench: Bench) -> None:
    """A target whose claim one pod alone may mount."""
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "1Mi"}},
    }
    await bench.apply(CLAIMS, {"metadata": {"name": "alone"}, "spec": claim})
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "alone"}}
    await bench.deploy("single", flow="single", replicas=0, volumes=[volume])
    await bench.revise("v1", flow="single", note="first")
    flow = Flow(bench, manifests.workflow("single", targets=["single"]))
    await flow.apply()
    await flow.says("PreviewImpossible")


async def whole_cluster(bench: Bench, kubeconfig: Path, since: int) -> None:
    """The event source alone, which reads more where it serves all namespaces, as the pod does."""
    kinds = (("belay.dev", "workflows"), ("apiextensions.k8s.io", "customresourcedefinitions"))
    watches = {(*kind, "watch") for kind in kinds}
    source = KopfSource(str(kubeconfig), None, ())
    source.start(lambda *_, **__: None, lambda _: None)
    try:
        async with asyncio.timeout(SECONDS):
            while True:
                calls = bench.audit.entries(since=since, user=USER, namespace="")
                if watches <= used(calls):
                    break
                await asyncio.sleep(0.1)
    finally:
        await source.stop()
