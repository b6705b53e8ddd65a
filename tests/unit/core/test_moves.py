"""What every phase shares: its deadlines, and what its record says."""

from dataclasses import replace
from datetime import datetime

import pytest
from tests.unit.core import world
from tests.unit.core.test_engine_phases import rollout, storing
from tests.unit.core.test_reports import REPORTS
from tests.unit.core.world import NOW, seconds

from belay.api.status import WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase
from belay.core import moves
from belay.core.workloads import WorkloadView


@pytest.mark.parametrize(
    ("deadline", "looking", "until"),
    [
        (None, NOW, None),
        (NOW, None, NOW),
        (NOW + seconds(60), NOW, NOW + seconds(60)),
        (NOW, NOW + seconds(90), NOW + seconds(95)),
    ],
    ids=["none", "nobody looks yet", "watched all the time", "it passed while nobody looked"],
)
def test_a_deadline_that_nobody_watched_leaves_a_new_process_a_few_seconds(
    deadline: datetime | None, looking: datetime | None, until: datetime | None
) -> None:
    record = rollout(deadline=deadline)
    assert moves.patient(storing(None, record, looking_since=looking), record) == until


@pytest.mark.parametrize(
    ("phase", "more", "may"),
    [
        (Phase.DELIVERING, {"previewed": True}, True),
        (Phase.DELIVERING, {"previewed": False}, False),
        (Phase.DELIVERING, {"previewed": True, "activated_at": NOW}, False),
        (Phase.PREVIEWING, {"previewed": True}, False),
        (Phase.PREVIEWING, {"previewed": True, "outcome": Outcome.REVERTED}, True),
        (Phase.OBSERVING, {"previewed": True, "outcome": Outcome.REVERTED}, False),
    ],
)
def test_a_preview_may_outlive_its_phase_until_the_next_has_taken_it_away(
    phase: Phase, more: dict[str, object], may: bool
) -> None:
    status = WorkflowStatus(rollout=rollout(phase=phase, **more))
    assert moves.preview_outlived(status) is may
    assert moves.preview_outlived(WorkflowStatus()) is False


def test_a_target_that_waits_for_a_person_is_told_but_for_one_that_is_updated_in_place() -> None:
    waits = replace(world.view().completion, pause="pauses until somebody says so")
    rolling = replace(world.view(), completion=waits)
    record = rollout(phase=Phase.DELIVERING)

    def message(one: WorkloadView) -> str:
        decision = moves.stay(storing(None, record, workloads=(one,)), NOW, record)
        assert decision.status is not None
        ready = world.condition(decision.status, ConditionType.READY)
        assert ready is not None
        return ready.message

    assert message(rolling).endswith("; Deployment triage pauses until somebody says so")
    assert "pauses" not in message(replace(rolling, reports=REPORTS))
