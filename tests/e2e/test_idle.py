"""How many writes a rollout costs, and that rest costs none; from the audit log."""

from collections import Counter
from http.client import CONFLICT

import pytest
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench, Mark, written

MOST_WRITES = 10
MOST_ON_THE_CRITICAL_PATH = 5
EXTRA_OF_A_PREVIEW = 3
"""The pod is made and deleted, and a phase begins."""
MOST_EVENTS, MOST_EVENTS_OF_A_REVERT = 4, 5


@pytest.mark.usefixtures("own_place")
@pytest.mark.parametrize("own_place", [("--resync-seconds", "1")], indirect=True)
async def test_an_idle_resync_writes_nothing(bench: Bench, begin: Begin) -> None:
    flow = await begin()
    await bench.told("RolloutStarted", "Activated", "Promoted")
    mark = bench.mark()
    await flow.looks(mark, times=3)
    assert not bench.writes(mark)


@pytest.mark.parametrize("preview", ["Pod", "None"])
async def test_a_clean_rollout_keeps_to_its_budget_of_writes(
    bench: Bench, begin: Begin, preview: str
) -> None:
    """The budget speaks of rollouts without a preview; its pod comes and goes on top."""
    flow = await begin(preview=preview, window="5s")
    await bench.told("RolloutStarted", "Activated", "Promoted")
    await bench.revise("v2", note="second")
    mark = bench.mark()
    await flow.wish("v2")
    await flow.at("Observing")
    path = bench.writes(mark)
    await flow.at("Promoted")
    await bench.told("RolloutStarted", "Activated", "Promoted")
    await flow.looked_at()
    everything = bench.writes(mark)
    path, everything = path - met(bench, mark), everything - met(bench, mark)
    show(f"clean rollout until Active, preview {preview}", path)
    show(f"clean rollout in all, preview {preview}", everything)
    path.pop("create events", None)
    extra = EXTRA_OF_A_PREVIEW if preview == "Pod" else 0
    assert path.total() <= MOST_ON_THE_CRITICAL_PATH + extra
    assert everything.total() <= MOST_WRITES + extra
    assert everything["create events"] <= MOST_EVENTS
    dry = Counter(written(c) for c in bench.calls(mark) if c.dry_run and c.code != CONFLICT)
    assert dry == {"patch deployments": 1}


@pytest.mark.parametrize("preview", ["Pod", "None"])
async def test_a_revert_keeps_to_its_budget_of_events(
    bench: Bench, begin: Begin, preview: str
) -> None:
    flow = await begin(preview=preview)
    await bench.told("RolloutStarted", "Activated", "Promoted")
    await bench.revise("v2", code=500)
    mark = bench.mark()
    await flow.wish("v2")
    await flow.at("Reverted")
    await bench.told("RolloutStarted", "CheckFailed", "Reverted")
    await flow.looked_at()
    writes = bench.writes(mark) - met(bench, mark)
    show(f"revert, preview {preview}", writes)
    assert writes["create events"] <= MOST_EVENTS_OF_A_REVERT
    assert writes.total() <= MOST_WRITES


def met(bench: Bench, mark: Mark) -> Counter[str]:
    """Writes that were refused because a controller had just written, and were made again."""
    return Counter(written(c) for c in bench.calls(mark) if c.is_write and c.code == CONFLICT)


def show(what: str, writes: Counter[str]) -> None:
    parts = ", ".join(f"{kind} {count}" for kind, count in sorted(writes.items()))
    print(f"API writes of a {what}: {writes.total()} ({parts})")
