"""What people ask for in mid-rollout: newer wishes, suspend, abort, retry, in every phase."""

from datetime import timedelta

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import check, seconds

from belay.api.words import ConditionType, Outcome, Phase, Reason, RolloutKind, Trigger
from belay.api.workflow import OnFailure, Preview
from belay.core.decision import ApplyTemplate, DeletePreview, TryDelivery
from belay.core.observed import DamagedRevision, Refusal

PHASES = (
    Phase.PREVIEWING,
    Phase.DELIVERING,
    Phase.VERIFYING,
    Phase.OBSERVING,
    Phase.REVERTING,
)
EACH_PHASE = pytest.mark.parametrize("phase", PHASES)


def at(phase: Phase, *, stable: bool = True, **spec: object) -> Toy:
    """v2 on its way, stopped in one phase; in Reverting because it answered wrongly."""
    toy = promoted("v1", **spec) if stable else Toy(world.spec("v2", **spec))
    if phase is Phase.REVERTING:
        toy.wish("v2").run(Phase.OBSERVING)
        return toy.behaves("v2", Mode.WRONG).run(phase)
    return toy.wish("v2").run(phase)


# A newer wish


@EACH_PHASE
def test_a_newer_wish_wins_at_once_and_the_fallback_stays(phase: Phase) -> None:
    toy = at(phase).wish("v3").turn()
    rollout = toy.status.rollout
    assert (rollout.to.revision, rollout.id) == ("v3", "3-1")
    assert toy.status.history[0].outcome is Outcome.SUPERSEDED
    assert toy.status.stable_revision == "v1"
    assert toy.preview is None or toy.preview["metadata"]["name"] == "wf-1-preview-3-1"
    toy.behaves("v3", Mode.WRONG).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")


@EACH_PHASE
@pytest.mark.parametrize("why", ["not there", "damaged", "dry run"])
def test_a_newer_wish_that_cannot_start_first_brings_stable_back(phase: Phase, why: str) -> None:
    toy = at(phase)
    if why == "not there":
        toy.wish("v9")
    elif why == "damaged":
        toy.revisions["v3"] = DamagedRevision("wf-1-v3", "digest does not fit")
        toy.wish("v3")
    else:
        toy.refusals[TryDelivery] = Refusal(Reason.DELIVERY_DENIED, "admission says no")
        toy.wish("v3")
    toy.run()
    assert toy.carries() == "v1"
    assert toy.preview is None
    assert toy.status.phase == (Phase.PENDING if why == "not there" else Outcome.REFUSED)
    toy.refusals.clear()
    toy.revisions[toy.spec.active_revision] = world.revision(toy.spec.active_revision)
    toy.run("Promoted")
    assert toy.carries() == toy.spec.active_revision


def test_a_refused_wish_does_not_delay_the_way_back() -> None:
    toy = at(Phase.REVERTING)
    toy.refusals[TryDelivery] = Refusal(Reason.DELIVERY_DENIED, "admission says no")
    began = toy.now
    toy.wish("v3").run()
    assert toy.status.phase == Outcome.REFUSED
    assert (toy.now - began) < seconds(10)


@EACH_PHASE
def test_the_wish_for_stable_heals_without_another_failure(phase: Phase) -> None:
    toy = at(phase).wish("v1").run()
    assert toy.status.phase == Outcome.PROMOTED
    assert toy.says(ConditionType.READY)[0] == "True"
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")


@EACH_PHASE
def test_the_content_of_stable_under_a_new_name_heals_too(phase: Phase) -> None:
    toy = at(phase)
    toy.revisions["v3"] = world.revision("v3", "v1")
    toy.wish("v3").run()
    assert toy.status.phase == Outcome.PROMOTED
    assert toy.says(ConditionType.READY)[0] == "True"
    assert (toy.status.active_revision, toy.carries()) == ("v3", "v1")


def test_a_corrected_check_in_mid_rollout_supersedes() -> None:
    toy = at(Phase.OBSERVING).wish(checks=[check(failure_threshold=9)]).turn()
    assert toy.status.rollout.id == "3-1"
    assert toy.status.rollout.to.revision == "v2"


def test_a_change_that_bears_on_no_proof_disturbs_nothing() -> None:
    toy = at(Phase.OBSERVING).wish(revision_history_limit=3).turn()
    assert toy.status.rollout.id == "2-1"
    assert toy.status.observed_generation == 3


def test_the_wish_for_stable_does_not_disturb_the_way_back() -> None:
    toy = at(Phase.REVERTING)
    toy.wish("v1").turn()
    assert toy.status.phase == Phase.REVERTING
    assert toy.status.rollout.id == "2-1"


def test_a_superseded_wish_that_comes_again_is_tried_again() -> None:
    toy = at(Phase.DELIVERING).wish("v9").turn()
    assert toy.status.phase == Phase.REVERTING
    toy.wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v2")


def test_a_retry_that_supersedes_counts_once() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.wish("v3").run(Phase.DELIVERING)
    toy.retry = "now"
    toy.wish("v2").turn()
    assert toy.status.rollout.trigger is Trigger.RETRY
    assert toy.status.last_handled_retry == "now"
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert [h.revision for h in toy.status.history] == ["v2", "v3", "v2", "v1"]


def test_a_wish_for_a_quarantined_revision_in_mid_rollout_goes_back_and_is_refused() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.wish("v3").run(Phase.DELIVERING).wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REFUSED, "v1")
    assert toy.says(ConditionType.READY) == ("False", Reason.QUARANTINED)


def test_a_stray_delivery_is_taken_back_when_its_successor_fails_aside() -> None:
    toy = at(Phase.DELIVERING).turn()
    assert toy.carries() == "v2"
    toy.behaves("v3", Mode.WRONG).wish("v3").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")


def test_a_stray_delivery_under_a_held_preview_is_told_as_it_is() -> None:
    toy = at(Phase.OBSERVING).turn()
    toy.behaves("v3", Mode.SILENT).wish("v3").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.HELD, "v2")
    assert toy.status.active_revision == "v2"
    assert "what runs is left as it is; v3 is not live" in toy.message()


# Suspend and resume


@EACH_PHASE
def test_a_suspended_rollout_stands_still_and_goes_on_with_the_time_that_was_left(
    phase: Phase,
) -> None:
    toy = at(phase)
    left = toy.status.rollout.deadline - toy.now
    toy.wish(suspend=True).turn()
    assert toy.status.phase == Phase.SUSPENDED
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.SUSPENDED)
    assert "its clock is stopped" in toy.message()
    assert f"stands at {phase}" in toy.message()
    assert toy.preview is None
    actions = [a for a in toy.decisions[-1].actions if not isinstance(a, DeletePreview)]
    assert not actions
    written = toy.writes
    toy.advance(86400).turn().turn()
    assert toy.writes == written
    assert toy.plan is None
    toy.wish(suspend=False)
    toy.step()
    assert toy.status.rollout.deadline - toy.now == left
    assert toy.status.phase == phase
    toy.run()
    expected = Outcome.REVERTED if phase is Phase.REVERTING else Outcome.PROMOTED
    assert toy.status.phase == expected


@EACH_PHASE
def test_a_clock_that_is_set_back_lengthens_no_phase(phase: Phase) -> None:
    toy = at(phase)
    limit = toy.status.rollout.deadline - toy.status.rollout.phase_started_at
    toy.advance(-3600).step()
    rollout = toy.status.rollout
    assert (rollout.phase, rollout.phase_started_at) == (phase, toy.now)
    assert rollout.deadline == toy.now + limit
    toy.run()
    assert toy.status.rollout.ended_at < toy.now + timedelta(minutes=10)
    expected = Outcome.REVERTED if phase is Phase.REVERTING else Outcome.PROMOTED
    assert toy.status.phase == expected


def test_clocks_of_two_nodes_may_differ_by_a_minute() -> None:
    toy = at(Phase.OBSERVING)
    started, written = toy.status.rollout.phase_started_at, toy.writes
    toy.advance(-60).step()
    assert (toy.status.rollout.phase_started_at, toy.writes) == (started, written)


def test_a_suspended_rollout_hears_a_newer_wish_when_it_is_resumed() -> None:
    toy = at(Phase.OBSERVING).wish(suspend=True).turn().wish("v3").turn()
    assert toy.status.rollout.to.revision == "v2"
    toy.wish(suspend=False).turn()
    assert toy.status.rollout.to.revision == "v3"


def test_an_abort_waits_while_suspended() -> None:
    toy = at(Phase.OBSERVING).wish(suspend=True).turn()
    toy.abort = "now"
    toy.turn()
    assert toy.status.phase == Phase.SUSPENDED
    toy.wish(suspend=False).run()
    assert toy.status.phase == Outcome.ABORTED


def test_at_rest_suspend_keeps_what_is_proven_and_starts_nothing() -> None:
    toy = promoted("v1").wish(suspend=True).turn()
    assert toy.status.phase == Phase.SUSPENDED
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)
    toy.wish("v2").turn()
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.SUSPENDED)
    assert "by spec.suspend; v2 is not looked at until it is lifted" in toy.message()
    assert toy.status.rollout.to.revision == "v1"
    toy.wish(suspend=False).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v2")


def test_a_failure_is_told_again_when_a_suspension_is_lifted() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    before = toy.says(ConditionType.READY), toy.message(), toy.says(ConditionType.SERVING)
    assert toy.wish(suspend=True).turn().status.phase == Phase.SUSPENDED
    toy.wish(suspend=False).run()
    assert toy.status.phase == Outcome.REVERTED
    assert (toy.says(ConditionType.READY), toy.message(), toy.says(ConditionType.SERVING)) == before


def test_a_retry_while_suspended_is_kept_for_later() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.wish(suspend=True).turn()
    toy.retry = "later"
    toy.turn()
    assert toy.status.last_handled_retry is None
    toy.behaves("v2", Mode.GOOD).wish(suspend=False).run()
    assert (toy.status.phase, toy.status.last_handled_retry) == (Outcome.PROMOTED, "later")


# Abort


@EACH_PHASE
def test_an_abort_brings_stable_back_and_is_remembered(phase: Phase) -> None:
    toy = at(phase)
    toy.abort = "stop"
    toy.run()
    assert toy.carries() == "v1"
    assert toy.status.last_handled_abort == "stop"
    if phase is Phase.REVERTING:
        assert toy.status.phase == Outcome.REVERTED
        return
    assert toy.status.phase == Outcome.ABORTED
    assert toy.says(ConditionType.READY) == ("False", Reason.ABORTED)
    assert "by the annotation belay.dev/abort=stop" in toy.message()
    assert [q.reason for q in toy.status.quarantine] == [Reason.ABORTED]
    written = toy.writes
    toy.turn().turn()
    assert toy.writes == written
    toy.wish(revision_history_limit=4).turn()
    assert toy.status.phase == Outcome.ABORTED


@pytest.mark.parametrize(
    ("phase", "words"),
    [
        (Phase.PREVIEWING, "nothing was touched"),
        (Phase.OBSERVING, "the workload runs its own template"),
    ],
)
def test_an_abort_of_the_first_activation_withdraws(phase: Phase, words: str) -> None:
    toy = at(phase, stable=False)
    toy.abort = "stop"
    toy.run()
    assert toy.status.phase == Outcome.ABORTED
    assert toy.carries() is None
    assert words in toy.message()


def test_an_abort_overrules_hold() -> None:
    toy = at(Phase.OBSERVING, on_failure=OnFailure.HOLD)
    toy.abort = "stop"
    assert toy.run().carries() == "v1"


@EACH_PHASE
def test_an_abort_with_a_newer_wish_ends_the_one_and_starts_the_other(phase: Phase) -> None:
    toy = at(phase)
    toy.abort = "stop"
    toy.wish("v3").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v3")


def test_an_abort_at_rest_is_marked_and_starts_nothing() -> None:
    toy = promoted("v1")
    toy.abort = "stop"
    toy.turn()
    assert (toy.status.phase, toy.status.last_handled_abort) == (Outcome.PROMOTED, "stop")
    written = toy.writes
    toy.turn()
    assert toy.writes == written


# Retry


def test_a_retry_releases_once() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.retry = "one"
    toy.turn()
    assert toy.status.rollout.trigger is Trigger.RETRY
    assert toy.status.rollout.id == "2-2"
    assert not toy.status.quarantine
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    written = toy.writes
    toy.advance(3600).turn()
    assert toy.writes == written
    toy.retry = "two"
    toy.behaves("v2", Mode.GOOD).run()
    assert toy.status.phase == Outcome.PROMOTED


def test_a_retry_of_what_is_proven_touches_nothing() -> None:
    toy = promoted("v1")
    toy.retry = "one"
    toy.decisions.clear()
    toy.turn()
    assert not any(d.actions for d in toy.decisions)
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)


def test_a_retry_in_mid_rollout_is_heard_when_that_has_failed() -> None:
    toy = at(Phase.OBSERVING)
    toy.retry = "one"
    toy.behaves("v2", Mode.WRONG).run(Phase.REVERTING)
    toy.run(Phase.PREVIEWING)
    assert toy.status.rollout.id == "2-2"


def test_what_failed_without_quarantine_starts_again_with_any_newer_generation() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.NO_IMAGE).wish("v2").run()
    written = toy.writes
    toy.advance(3600).turn()
    assert toy.writes == written
    toy.behaves("v2", Mode.GOOD).wish(revision_history_limit=5).run()
    assert toy.status.phase == Outcome.PROMOTED


def test_tokens_that_are_there_at_creation_count_as_handled() -> None:
    toy = Toy(world.spec("v1"))
    toy.retry, toy.abort = "old", "older"
    toy.run()
    assert toy.status.phase == Outcome.PROMOTED
    assert (toy.status.last_handled_retry, toy.status.last_handled_abort) == ("old", "older")
    assert toy.status.rollout.trigger is Trigger.SPEC
    waiting = Toy(world.spec("v9", suspend=True))
    waiting.retry = "old"
    waiting.turn()
    assert waiting.status.last_handled_retry == "old"


def test_tokens_are_never_taken_off_and_one_that_vanishes_stays_handled() -> None:
    toy = promoted("v1")
    toy.retry = "one"
    toy.turn()
    toy.retry = None
    written = toy.writes
    toy.turn()
    assert (toy.writes, toy.status.last_handled_retry) == (written, "one")


# Kinds of rollouts


def test_the_way_to_what_was_active_before_is_a_rollback() -> None:
    toy = promoted("v1", "v2")
    assert toy.status.rollout.kind is RolloutKind.ROLLOUT
    toy.wish("v1").run()
    assert toy.status.rollout.kind is RolloutKind.ROLLBACK
    toy.revisions["v2"] = world.revision("v2")
    toy.wish("v2").turn()
    assert toy.status.rollout.kind is RolloutKind.ROLLBACK


def test_twenty_re_applies_of_a_failed_revision_change_nothing() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    failed = toy.status
    toy.decisions.clear()
    for number in range(20):
        toy.generation += 1
        toy.advance(60).turn()
        assert toy.status.phase == Outcome.REVERTED
        assert toy.status.observed_generation == failed.observed_generation + number + 1
    assert not any(d.actions for d in toy.decisions)
    assert not any(d.milestones for d in toy.decisions)
    assert toy.message() == next(c.message for c in failed.conditions if c.type == "Ready")


def test_suspended_time_moves_the_beginning_of_the_phase() -> None:
    toy = at(Phase.OBSERVING)
    began = toy.status.rollout.phase_started_at
    toy.wish(suspend=True).turn()
    toy.advance(500).wish(suspend=False)
    toy.step()
    assert toy.status.rollout.phase_started_at - began == seconds(500)
    assert not any(isinstance(a, ApplyTemplate) for a in toy.decisions[-1].actions)


def test_preview_none_has_no_pod_to_take_away() -> None:
    toy = at(Phase.DELIVERING, preview=Preview.NONE).wish(suspend=True)
    toy.decisions.clear()
    toy.turn()
    assert not any(d.actions for d in toy.decisions)
