"""What a Workflow may have become of runs of a real engine, besides that they go on afterwards."""

from tests.e2e.runs import ENGINE, WRITES, Letters, letters
from tests.e2e.test_engine import all_succeed, counts, nothing_is_held, runner_image
from tests.harness.workbench import Bench, Object

__all__ = ["runner_image"]

_RUNS = 6


async def changed(some: Letters, revision: str, **engine: str) -> Object:
    """The counts of a change to this revision, with this said of the engine."""
    some.flow.spec["instances"] = {"engine": {**ENGINE, **engine}}
    await some.flow.wish(revision)
    return counts(await some.flow.at("Promoted"))


async def test_runs_are_left_alone_or_begin_anew_as_their_workflow_says(bench: Bench) -> None:
    some = await letters(bench, update="Reload")
    pinned = await some.start(_RUNS)
    told = await changed(some, "v2", policy="Pin")
    assert told["found"] == told["pinned"] > 0
    assert told.get("paused", 0) == 0
    await all_succeed(some, pinned, "v1")
    asked = {r["pauseRequestedAt"] for run, r in (await some.found()).items() if run in pinned}
    assert asked == {None}
    anew = await some.start(_RUNS)
    told = await changed(some, "v1", afterwards="Restart")
    assert told["found"] == told["paused"] == told["restarted"] > _RUNS // 2
    await all_succeed(some, anew, "v1")
    await _late_failure(some)
    await nothing_is_held(some)


async def _late_failure(some: Letters) -> None:
    """No run of v3 ends well. Those that begin on it before that is found out end well on v1."""
    late = {**WRITES, "at": ["Observation"], "failureThreshold": 10}
    some.flow.spec["verification"] |= {"checks": [late], "window": "60s"}
    await some.flow.wish("v3")
    await some.flow.at("Observing")
    begun = await some.start(_RUNS)
    told = counts(await some.flow.at("Reverted"))
    assert told["restarted"] >= _RUNS, told
    await all_succeed(some, begun, "v1")
