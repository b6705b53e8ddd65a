"""Other workloads than Deployments, and several together, on real pods."""

from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench, carries, uid_name
from tests.harness.workbench_flow import Flow, ready

from belay.shell.resources import CONTROLLER_REVISIONS

STATEFUL, DAEMON = "StatefulSet/app", "DaemonSet/app"


async def test_a_stateful_set_that_waits_for_a_broken_pod_comes_back(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(deploy={"name": STATEFUL, "replicas": 2}, targets=[STATEFUL], preview="None")
    before = {name: uid for uid, name in map(uid_name, await bench.pods())}
    await bench.revise("v2", crash=3)
    mark = bench.mark()
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "CrashLoop"
    await bench.until_runs("v1", STATEFUL)
    deleted = [c.name for c in bench.calls(mark) if (c.verb, c.resource) == ("delete", "pods")]
    assert set(deleted) == {"app-1"}
    after = {name: uid for uid, name in map(uid_name, await bench.pods())}
    assert after["app-0"] == before["app-0"]
    assert after["app-1"] != before["app-1"]


async def test_a_daemon_set_goes_on_and_back_and_may_be_undone(bench: Bench, begin: Begin) -> None:
    flow = await begin(deploy={"name": DAEMON}, targets=[DAEMON])
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    await flow.at("Promoted")
    await bench.until_runs("v2", DAEMON)
    flow.spec["verification"]["preview"] = "None"
    await bench.revise("v3", code=500)
    await flow.wish("v3")
    found = await flow.at("Reverted")
    assert "in pod app-" in ready(found)["message"]
    await bench.until_runs("v2", DAEMON)
    kept = await bench.find(CONTROLLER_REVISIONS, "app=app")
    first = min(one["revision"] for one in kept if "v1" in str(one["data"]))
    undo = ("rollout", "undo", "daemonset/app", f"--to-revision={first}")
    bench.cluster.kubectl(*undo, "-n", bench.namespace)
    await bench.until_runs("v1", DAEMON)
    assert (await bench.ask(await bench.address()))["note"] == "first"


async def test_two_workloads_of_different_kinds_go_and_come_back_together(bench: Bench) -> None:
    targets = ["api", "StatefulSet/worker"]
    for target in targets:
        await bench.deploy(target)
    for revision in ("v1", "v2"):
        await bench.revise(revision, note=revision)
    shortest = manifests.workflow(checks=(), window="0s", preview="None", targets=targets)
    flow = Flow(bench, shortest)
    await flow.apply()
    await flow.at("Promoted")
    flow.manifest = manifests.workflow(window="60s", preview="None", targets=targets)
    await flow.wish("v2")
    found = await flow.at("Observing")
    (pod,) = [p for p in await bench.pods("worker") if carries(p, found["status"]["active"])]
    await bench.tell(uid_name(pod)[1], code=503)
    found = await flow.at("Reverted")
    assert "in pod worker-0" in ready(found)["message"]
    for target in targets:
        await bench.until_runs("v1", target)
