"""The operator is killed in the middle of everything, and its successor goes on."""

import pytest
from tests.e2e.conftest import Begin
from tests.e2e.lingering import LINGERING, linger, pick, release, sampled
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import ready

PHASES = ["Pending", *LINGERING]


@pytest.mark.usefixtures("own_place")
@sampled(2, len(PHASES))
async def test_a_killed_operator_is_not_missed(
    bench: Bench, begin: Begin, seed: int, nth: int
) -> None:
    """All phases with --full; else as many as are chosen by the seed."""
    phase = pick(seed, PHASES, nth)
    if phase == "Pending":
        flow = await begin()
        await flow.wish("v2")
        await flow.says("RevisionNotFound")
    else:
        flow = await linger(bench, begin, phase)
    before = (await flow.now())["status"]["rollout"]["id"]
    bench.operator.kill()
    if phase == "Pending":
        await bench.revise("v2", note="second")
    bench.operator.start()
    if phase != "Pending":
        await release(bench, flow, phase)
    outcome = "Reverted" if phase == "Reverting" else "Promoted"
    found = await flow.at(outcome)
    assert ready(found)["observedGeneration"] == flow.generation
    if phase != "Pending":
        assert found["status"]["rollout"]["id"] == before
    await bench.until_runs("v1" if phase == "Reverting" else "v2")
    await bench.no_preview()
    await flow.looked_at()
    ends = [reason for reason in await bench.reasons() if reason in ("Promoted", "Reverted")]
    assert ends == ["Promoted", outcome]
