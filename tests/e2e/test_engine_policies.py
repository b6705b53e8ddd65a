"""What a Workflow may have become of runs of a real engine, besides that they go on afterwards."""

from tests.e2e.runs import ENGINE, letters
from tests.e2e.test_engine import all_succeed, counts, nothing_is_held, runner_image
from tests.harness.workbench import Bench

__all__ = ["runner_image"]

_RUNS = 6


async def test_pinned_runs_finish_undisturbed_on_what_they_began_with(bench: Bench) -> None:
    some = await letters(bench, update="Reload", instances={"engine": {**ENGINE, "policy": "Pin"}})
    runs = await some.start(_RUNS)
    await some.flow.wish("v2")
    told = counts(await some.flow.at("Promoted"))
    assert told["found"] == told["pinned"] > 0
    assert told.get("paused", 0) == 0
    await all_succeed(some, runs, "v1")
    asked = {one["pauseRequestedAt"] for run, one in (await some.found()).items() if run in runs}
    assert asked == {None}
    await nothing_is_held(some)
    fresh = await some.start(2, 0.01)
    await all_succeed(some, fresh, "v2")
