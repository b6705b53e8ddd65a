"""A bad revision is caught, and the last proven one serves."""

from tests.e2e.conftest import Begin
from tests.e2e.lingering import pick, sampled
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench, carries, gone, uid_name
from tests.harness.workbench_client import asking
from tests.harness.workbench_flow import Flow, condition, ready
from tests.harness.workbench_manifests import ANSWERS

from belay.shell.resources import CONFIG_MAPS, PODS

POLICIES = [("Hold", "Held", "v2"), ("Revert", "Reverted", "v1"), ("Promote", "Promoted", "v2")]
"""What follows no verdict: the policy, the outcome, and what runs then."""


async def test_a_bad_revision_is_caught_aside_and_no_user_notices(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(deploy={"replicas": 2, "linger": 3})
    before = {uid_name(pod) for pod in await bench.pods()}
    await bench.revise("v2", code=500)
    async with asking(await bench.address()) as answers:
        await flow.wish("v2")
        found = await flow.at("Reverted")
    assert answers.total > 50
    assert answers.failed == 0, answers.codes
    assert {uid_name(pod) for pod in await bench.pods()} == before
    await gone(bench, PODS, f"wf-preview-{found['status']['rollout']['id']}")
    said = ready(found)
    assert (said["status"], said["reason"]) == ("False", "CheckFailed")
    assert 'check "answers" got 500 instead of 200 from GET :8080/run' in said["message"]
    assert "in its preview pod. v1 kept serving all the time" in said["message"]
    assert condition(found, "Stalled")["reason"] == "CheckFailed"
    assert condition(found, "Serving")["status"] == "True"
    await bench.told("RolloutStarted", "CheckFailed", "Reverted")


async def test_without_a_preview_the_gate_catches_it(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None")
    await bench.revise("v2", code=500)
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "CheckFailed"
    assert "in pod app-" in ready(found)["message"]
    assert "v1 runs again" in ready(found)["message"]
    assert found["status"]["activeRevision"] == "v1"
    assert not found["status"]["rollout"].get("activatedAt")
    await bench.until_runs("v1")


async def test_a_failure_late_in_the_window_reverts(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None", window="60s")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Observing")
    assert condition(found, "Active")["status"] == "True"
    assert ready(found)["status"] == "Unknown"
    (pod,) = [p for p in await bench.pods() if carries(p, found["status"]["active"])]
    await bench.tell(uid_name(pod)[1], code=503)
    found = await flow.at("Reverted")
    assert "got 503 instead of 200" in ready(found)["message"]
    assert found["status"]["rollout"]["activatedAt"]
    await bench.told("RolloutStarted", "Activated", "CheckFailed", "Reverted")
    await bench.until_runs("v1")


async def test_a_crash_loop_reverts_long_before_the_deadline(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None")
    await bench.revise("v2", crash=3)
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "CrashLoop"
    assert "restarted 3 times, last with exit code 3" in ready(found)["message"]
    await bench.until_runs("v1")


async def test_pods_that_never_get_ready_revert_at_the_deadline(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None", deadlines={"deliver": "10s"})
    await bench.revise("v2", ready=503)
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "NotReady"
    assert "runs but is not ready after" in ready(found)["message"]
    await bench.until_runs("v1")


async def test_when_the_stable_revision_fails_too_nothing_more_is_tried(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(deploy={"switch": True}, preview="None")
    told = {"metadata": {"name": "switch"}, "data": {"told": '{"code": 500}'}}
    await bench.apply(CONFIG_MAPS, told)
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("RevertFailed")
    assert ready(found)["reason"] == condition(found, "Stalled")["reason"] == "StableFailing"
    assert "v1 fails too" in ready(found)["message"]
    assert not {"active", "activeRevision"} & found["status"].keys()
    assert condition(found, "Serving")["status"] == "False"
    await bench.told("RolloutStarted", "CheckFailed", "RevertFailed", "StableFailing")
    mark = bench.mark()
    await flow.looked_at()
    assert not bench.writes(mark)


async def test_a_check_that_failed_before_is_no_reason_to_go_back(
    bench: Bench, begin: Begin
) -> None:
    flow = await begin(preview="None")
    (pod,) = await bench.pods()
    await bench.tell(uid_name(pod)[1], code=500)
    await bench.revise("v2", code=502)
    await flow.wish("v2")
    found = await flow.at("Held")
    assert "v2 runs unproven, v1 is kept to go back to" in ready(found)["message"]
    await bench.until_runs("v2")


async def test_on_failure_hold_leaves_it_for_a_person(bench: Bench, begin: Begin) -> None:
    flow = await begin(preview="None", onFailure="Hold")
    await bench.revise("v2", code=500)
    await flow.wish("v2")
    found = await flow.at("Held")
    assert ready(found)["reason"] == "CheckFailed"
    assert found["status"]["stableRevision"] == "v1"
    await bench.until_runs("v2")


@sampled(1, len(POLICIES))
async def test_no_verdict_within_the_deadline_follows_the_policy(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    policy, outcome, runs = pick(seed, POLICIES, nth)
    patient = {**ANSWERS, "at": ["Gate"], "failureThreshold": 100}
    flow = await begin(
        checks=[patient], preview="None", onInconclusive=policy, deadlines={"verify": "2s"}
    )
    await bench.revise("v2", code=500)
    await flow.wish("v2")
    found = await flow.at(outcome)
    if outcome != "Promoted":
        assert ready(found)["reason"] == "Inconclusive"
    assert not found["status"].get("quarantine")
    await bench.until_runs(runs)


async def test_a_first_revision_that_fails_gives_the_workload_its_own_template_back(
    bench: Bench,
) -> None:
    await bench.deploy()
    await bench.until_runs(None)
    await bench.revise("v1", code=500)
    flow = Flow(bench, manifests.workflow(preview="None"))
    own = {uid_name(one) for one in await bench.replica_sets()}
    await flow.apply()
    found = await flow.at("Failed")
    assert "activeRevision" not in found["status"]
    assert "the workload runs its own template" in ready(found)["message"]
    await bench.until_runs(None)
    running = [one for one in await bench.replica_sets() if one["spec"]["replicas"]]
    assert {uid_name(one) for one in running} == own
