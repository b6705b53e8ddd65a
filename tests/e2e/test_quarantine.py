"""What failed by its own fault is not tried again, until somebody asks."""

from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow, ready


async def fails(bench: Bench, begin: Begin) -> Flow:
    """A v2 that was caught in its preview."""
    flow = await begin()
    await bench.revise("v2", code=202)
    await flow.wish("v2")
    await flow.at("Reverted")
    await bench.told("RolloutStarted", "CheckFailed", "Reverted")
    await bench.no_preview()
    return flow


async def test_twenty_applies_of_the_same_manifests_start_nothing(
    bench: Bench, begin: Begin
) -> None:
    flow = await fails(bench, begin)
    mark = bench.mark()
    for _ in range(20):
        await flow.apply()
        await bench.revise("v2", code=202)
    await flow.looked_at()
    assert not bench.writes(mark)


async def test_neither_does_another_change_of_the_manifest(bench: Bench, begin: Begin) -> None:
    flow = await fails(bench, begin)
    mark = bench.mark()
    for limit in range(3):
        flow.spec["revisionHistoryLimit"] = limit + 1
        await flow.apply()
        found = await flow.until(flow.answered)
        assert found["status"]["phase"] == "Reverted"
    await flow.looked_at()
    assert set(await bench.wrote(mark, {"patch workflows/status": 3})) == {"patch workflows/status"}


async def test_a_corrected_check_releases_it(bench: Bench, begin: Begin) -> None:
    flow = await fails(bench, begin)
    (check,) = flow.spec["verification"]["checks"]
    http = {**check["http"], "expect": {"status": [200, 202]}}
    flow.spec["verification"]["checks"] = [{**check, "http": http}]
    await flow.apply()
    found = await flow.at("Promoted")
    assert found["status"]["activeRevision"] == "v2"


async def test_the_same_content_under_a_new_name_says_under_which_name_it_failed(
    bench: Bench, begin: Begin
) -> None:
    flow = await fails(bench, begin)
    await bench.revise("v3", code=202)
    await flow.wish("v3")
    found = await flow.at("Refused")
    assert ready(found)["reason"] == "Quarantined"
    assert "v3 failed before (as v2), in rollout 2-1" in ready(found)["message"]


async def test_a_healthy_revision_heals_and_the_failed_one_stays_refused(
    bench: Bench, begin: Begin
) -> None:
    flow = await fails(bench, begin)
    await bench.revise("v3", note="first")
    mark = bench.mark()
    await flow.wish("v3")
    found = await flow.at("Promoted")
    assert ready(found)["reason"] == "SameContent"
    assert "v3 has the content of v1" in ready(found)["message"]
    await flow.looked_at()
    assert set(bench.writes(mark)) <= {"patch workflows/status", "create events"}
    await flow.wish("v2")
    assert "v2 failed before, in rollout 2-1" in await flow.says("Quarantined")


async def test_a_retry_tries_again_once_for_each_token(bench: Bench, begin: Begin) -> None:
    flow = await fails(bench, begin)
    await flow.annotate("retry", "one")
    found = await flow.at("Reverted")
    rollout = found["status"]["rollout"]
    assert (rollout["id"], rollout["trigger"]) == ("2-2", "Retry")
    await flow.looked_at()
    assert (await flow.now())["status"]["rollout"]["id"] == "2-2"
