"""People change their minds in mid-rollout, and they always win.

Where a case has phases, a run takes some of them by its seed, and all with --full.
"""

import itertools
from datetime import UTC, datetime

from tests.e2e.conftest import Begin
from tests.e2e.lingering import linger, pick, release, sampled
from tests.harness.workbench import Bench, gone, uid_name
from tests.harness.workbench_flow import condition, ready

from belay.shell.resources import PODS, WORKFLOWS

PHASES = ["Previewing", "Delivering", "Observing"]
CLOCKS = ["Previewing", "Observing"]
NEWER = list(itertools.product(PHASES, ["v1", "v3"]))


@sampled(3, len(NEWER))
async def test_a_newer_wish_wins_in_mid_rollout(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    phase, wish = pick(seed, NEWER, nth)
    before = await linger(bench, begin, phase, window="60s")
    first = (await before.now())["status"]["rollout"]["id"]
    await bench.revise("v3", note="third")
    before.spec["verification"]["window"] = "1s"
    await before.wish(wish)
    found = await before.at("Promoted")
    assert found["status"]["activeRevision"] == found["status"]["stableRevision"] == wish
    outcomes = {entry["id"]: entry["outcome"] for entry in found["status"]["history"]}
    assert outcomes[first] == "Superseded"
    assert not found["status"].get("quarantine")
    await bench.until_runs(wish)
    await bench.no_preview()


async def test_a_wish_for_the_stable_revision_ends_a_preview_without_touching_a_pod(
    bench: Bench, begin: Begin
) -> None:
    flow = await linger(bench, begin, "Previewing")
    before = {uid_name(pod) for pod in await bench.pods()}
    await flow.wish("v1")
    found = await flow.at("Promoted")
    assert "already runs and is proven" in ready(found)["message"]
    assert {uid_name(pod) for pod in await bench.pods()} == before


@sampled(2, len(PHASES))
async def test_an_abort_goes_back_and_is_not_tried_again_until_a_retry(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    phase = pick(seed, PHASES, nth)
    flow = await linger(bench, begin, phase, window="60s")
    await flow.annotate("abort", "enough")
    found = await flow.at("Aborted")
    assert "belay.dev/abort=enough" in ready(found)["message"]
    assert found["status"]["activeRevision"] == "v1"
    assert condition(found, "Stalled")["status"] == "True"
    await bench.until_runs("v1")
    await bench.told("Aborted")
    await bench.no_preview()
    # The first look at rest may still take away what the preview had mounted.
    await flow.looked_at()
    mark = bench.mark()
    await flow.apply()
    await flow.looked_at()
    assert not bench.writes(mark)
    if phase == "Observing":
        await flow.annotate("retry", "once more")
        await flow.at("Observing")


@sampled(1, len(CLOCKS))
async def test_suspend_stops_the_clock_and_keeps_hands_off(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    phase = pick(seed, CLOCKS, nth)
    flow = await linger(bench, begin, phase)
    flow.spec["suspend"] = True
    await flow.apply()
    found = await flow.at("Suspended")
    assert f"stands at {phase}, its clock is stopped" in ready(found)["message"]
    assert ready(found)["status"] == "Unknown"
    suspended = found["status"]["rollout"]
    mark = bench.mark()
    await flow.looked_at()
    writes = bench.writes(mark)
    assert not writes
    resumed_at = datetime.now(UTC)
    flow.spec["suspend"] = False
    await flow.apply()
    found = await flow.at(phase)
    deadline = datetime.fromisoformat(found["status"]["rollout"]["deadline"])
    shift = deadline - datetime.fromisoformat(suspended["deadline"])
    assert shift > resumed_at - datetime.fromisoformat(suspended["suspendedAt"])
    await release(bench, flow, phase)
    await flow.at("Promoted")


@sampled(2, len(PHASES))
async def test_a_workflow_that_is_deleted_in_mid_rollout_leaves_pods_running(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    phase = pick(seed, PHASES, nth)
    flow = await linger(bench, begin, phase, window="60s")
    preview = f"wf-preview-{(await flow.now())['status']['rollout']['id']}"
    before = {uid_name(pod) for pod in await bench.pods()}
    kept = await bench.config_maps()
    await bench.delete(WORKFLOWS, "wf")
    await gone(bench, WORKFLOWS, "wf")
    await gone(bench, PODS, preview)
    assert before <= {uid_name(pod) for pod in await bench.pods()}
    assert kept <= await bench.config_maps()
