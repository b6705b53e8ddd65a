"""A good revision moves the running workflow."""

from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench, carries
from tests.harness.workbench_client import asking
from tests.harness.workbench_flow import Flow, condition, ready
from tests.harness.workbench_manifests import ANSWERS

from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, SECRETS, SERVICES


async def test_one_wish_moves_a_workflow_and_no_user_notices(bench: Bench, begin: Begin) -> None:
    flow = await begin(deploy={"replicas": 2, "linger": 3})
    await bench.revise("v2", note="second")
    async with asking(await bench.address()) as answers:
        await flow.wish("v2")
        found = await flow.at("Promoted")
    assert answers.total > 50
    assert answers.failed == 0, answers.codes
    status = found["status"]
    assert (status["activeRevision"], status["stableRevision"]) == ("v2", "v2")
    assert ready(found)["status"] == condition(found, "Active")["status"] == "True"
    assert condition(found, "Serving")["status"] == "True"
    assert not condition(found, "Reconciling")["status"]
    assert not condition(found, "Stalled")["status"]
    template = (await bench.get(DEPLOYMENTS, "app"))["spec"]["template"]
    annotations = template["metadata"]["annotations"]
    assert annotations["belay.dev/revision"] == "v2"
    assert annotations["belay.dev/content-digest"] == status["active"]["contentDigest"]
    await bench.told("RolloutStarted", "Activated", "Promoted")


async def test_the_first_revision_is_activated_where_nothing_was_before(bench: Bench) -> None:
    await bench.deploy()
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow())
    await flow.apply()
    found = await flow.at("Promoted")
    assert found["status"]["stableRevision"] == "v1"
    await bench.told("RolloutStarted", "Activated", "Promoted")
    await bench.no_preview()


async def test_without_checks_the_availability_of_the_workload_is_the_proof(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(checks=())
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Promoted")
    assert ready(found)["reason"] == "AvailabilityOnly"


async def test_without_checks_a_restart_in_the_window_is_a_failure(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(checks=(), preview="None", window="60s")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Observing")
    pod = await bench.until_pod(lambda pod: carries(pod, found["status"]["active"]))
    await bench.tell(pod["metadata"]["name"], exit=9)
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "ContainerRestarted"
    assert "restarted in the window, last with exit code 9" in ready(found)["message"]


async def test_a_check_can_ask_the_pods_behind_a_service(bench: Bench, begin: Begin) -> None:
    await bench.apply(SERVICES, manifests.service())
    asked = {"port": 80, "service": "app", "path": "/run"}
    flow = await begin(checks=[{**ANSWERS, "http": asked}])
    await bench.revise("v2", live={"code": 500})
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert "got 500 instead of 200" in ready(found)["message"]
    await bench.revise("v3", note="third")
    await flow.wish("v3")
    await flow.at("Promoted")


async def test_two_deployments_get_a_revision_together_and_lose_it_together(
    bench: Bench, begin: Begin
) -> None:
    await bench.deploy("worker")
    flow = await begin(targets=("app", "worker"), preview="None")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    await flow.at("Promoted")
    await bench.until_runs("v2", "app")
    await bench.until_runs("v2", "worker")
    flow.spec["verification"]["window"] = "60s"
    await bench.revise("v3", note="third")
    await flow.wish("v3")
    found = await flow.at("Observing")
    (worker,) = [p for p in await bench.pods("worker") if carries(p, found["status"]["active"])]
    await bench.tell(worker["metadata"]["name"], code=500)
    await flow.at("Reverted")
    await bench.until_runs("v2", "app")
    await bench.until_runs("v2", "worker")


async def test_bindings_are_mounted_beside_the_definition(bench: Bench, begin: Begin) -> None:
    secret = {"metadata": {"name": "crm"}, "stringData": {"key": "hidden"}}
    plain = {"metadata": {"name": "limits"}, "data": {"most": "12"}}
    await bench.apply(SECRETS, secret)
    await bench.apply(CONFIG_MAPS, plain)
    bindings = [
        {"name": "crm-key", "secretKeyRef": {"name": "crm", "key": "key"}},
        {"name": "limit", "configMapKeyRef": {"name": "limits", "key": "most"}},
    ]
    flow = await begin()
    await bench.revise("v2", bindings=bindings, note="second")
    await flow.wish("v2")
    await flow.at("Promoted")
    await bench.until_runs("v2")
    said = await bench.ask(await bench.address())
    assert said["bindings"] == {"crm-key": "hidden", "limit": "12"}
