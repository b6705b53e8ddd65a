"""Previewing: tried aside, in one pod that no Service selects."""

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode

from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.api.workflow import OnFailure, OnInconclusive
from belay.core.decision import (
    ApplyTemplate,
    CreatePreview,
    Decision,
    DeletePreview,
    EnsureConfigMap,
)
from belay.core.observed import Observed, Refusal


def tried(mode: Mode, *, stable: bool = True, **spec: object) -> Toy:
    """v2 with this behaviour, wished for and gone as far as it goes by itself."""
    toy = promoted("v1") if stable else Toy(world.spec("v2"))
    toy.decisions.clear()
    toy.behaves("v2", mode).wish("v2", **spec)
    return toy


def kinds(toy: Toy) -> list[str]:
    return [type(a).__name__ for d in toy.decisions for a in d.actions]


def test_content_comes_before_the_pod_that_mounts_it() -> None:
    toy = tried(Mode.GOOD).turn()
    assert kinds(toy) == ["TryDelivery", "EnsureConfigMap", "CreatePreview"]
    assert toy.status.phase == Phase.PREVIEWING
    assert toy.carries() == "v1"


def test_a_pass_leads_to_delivery_and_removes_the_pod() -> None:
    toy = tried(Mode.GOOD).run(Phase.DELIVERING)
    assert toy.preview is None
    assert toy.status.rollout.delivered
    assert toy.status.rollout.evidence[0].verdict == "Pass"


def test_without_checks_a_ready_pod_is_the_proof() -> None:
    toy = tried(Mode.GOOD, checks=[])
    toy.turn()
    assert toy.status.phase == Phase.PREVIEWING
    toy.kubelet().turn()
    assert toy.status.phase == Phase.DELIVERING


FAULTS = {
    Mode.WRONG: (Reason.CHECK_FAILED, "got 500 instead of 200 from GET :8080/run on 3 of 3 tries"),
    Mode.CRASHING: (Reason.CRASH_LOOP, "restarted 3 times, last with exit code 1"),
    Mode.UNREADY: (Reason.NOT_READY, "runs but is not ready after 2 min"),
}


@pytest.mark.parametrize("mode", FAULTS)
def test_the_revisions_fault_ends_it_with_nothing_touched_and_is_remembered(mode: Mode) -> None:
    reason, words = FAULTS[mode]
    toy = tried(mode).run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", reason)
    assert words in toy.message()
    assert "v1 kept serving all the time" in toy.message()
    assert "ApplyTemplate" not in kinds(toy)
    assert toy.preview is None
    assert [q.reason for q in toy.status.quarantine] == [reason]
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)


TROUBLE = {
    Mode.NO_IMAGE: (Reason.ENVIRONMENT_IMAGE, "ErrImageNeverPull", 15),
    Mode.NO_ROOM: (Reason.ENVIRONMENT_SCHEDULING, "no room", 125),
}


@pytest.mark.parametrize("mode", TROUBLE)
def test_trouble_around_it_ends_it_without_quarantine(mode: Mode) -> None:
    reason, words, seconds = TROUBLE[mode]
    toy = tried(mode)
    began = toy.now
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", reason)
    assert words in toy.message()
    assert not toy.status.quarantine
    assert (toy.now - began).total_seconds() <= seconds


@pytest.mark.parametrize(
    ("policy", "phase", "runs"),
    [
        (OnInconclusive.HOLD, Outcome.HELD, "v1"),
        (OnInconclusive.REVERT, Outcome.REVERTED, "v1"),
        (OnInconclusive.PROMOTE, Phase.DELIVERING, "v2"),
    ],
)
def test_no_verdict_follows_the_policy(policy: OnInconclusive, phase: str, runs: str) -> None:
    toy = tried(Mode.SILENT, on_inconclusive=policy).run(phase)
    assert not toy.status.quarantine
    assert toy.carries() == runs
    if phase != Phase.DELIVERING:
        assert "no verdict within 2 min" in toy.message()
        assert "between Belay and this namespace may be in the way" in toy.message()


def test_held_in_the_preview_is_not_delivered() -> None:
    toy = tried(Mode.SILENT).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.status.active_revision == "v1"
    assert "v1 kept serving all the time; v2 is not live" in toy.message()
    assert toy.says(ConditionType.SERVING)[0] == "True"


def test_a_failure_is_held_where_the_user_says_so_and_still_remembered() -> None:
    toy = tried(Mode.WRONG, on_failure=OnFailure.HOLD).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.says(ConditionType.READY) == ("False", Reason.CHECK_FAILED)
    assert len(toy.status.quarantine) == 1


def test_the_first_activation_that_fails_aside_has_failed_and_touched_nothing() -> None:
    toy = tried(Mode.WRONG, stable=False).run()
    assert toy.status.phase == Outcome.FAILED
    assert toy.status.active is None
    assert "There is no proven revision to go back to; nothing was touched" in toy.message()
    assert toy.says(ConditionType.SERVING) == ("Unknown", Reason.PROGRESSING)


def test_what_stable_fails_too_is_held() -> None:
    """Rule 9: the new one may be the cure, so its failure of the same check changes nothing."""
    toy = tried(Mode.WRONG)
    toy.behaves("v1", Mode.WRONG).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.status.rollout.baseline[0].verdict == "Fail"


def test_what_the_server_refuses_is_no_fault_of_the_revision() -> None:
    for action in (EnsureConfigMap, CreatePreview):
        toy = tried(Mode.GOOD)
        toy.refusals[action] = Refusal(Reason.ENVIRONMENT_QUOTA, "exceeded quota")
        toy.run()
        assert toy.status.phase == Outcome.REVERTED
        assert toy.says(ConditionType.READY) == ("False", Reason.ENVIRONMENT_QUOTA)
        assert not toy.status.quarantine


def test_a_pod_that_is_going_is_waited_for() -> None:
    toy = tried(Mode.GOOD).turn()
    toy.preview["metadata"]["deletionTimestamp"] = world.stamp(toy.now)
    decision = toy.step()
    assert (decision.actions, decision.status, decision.follow) == ((), None, True)


def test_a_pod_that_was_deleted_is_made_again() -> None:
    toy = tried(Mode.GOOD).turn()
    toy.preview = None
    toy.turn()
    assert toy.preview is not None


def test_a_pod_that_somebody_always_deletes_gives_no_verdict() -> None:
    toy = tried(Mode.GOOD).turn()
    for _ in range(60):
        toy.preview = None
        toy.advance(3).turn()
    assert toy.status.phase == Outcome.HELD
    assert "somebody or something deletes the preview pod" in toy.message()
    toy = tried(Mode.GOOD).turn()
    toy.advance(121)
    toy.preview["metadata"]["deletionTimestamp"] = world.stamp(toy.now)
    toy.turn()
    assert toy.status.phase == Outcome.HELD


def test_a_deadline_that_passed_unwatched_grants_time_to_start_and_to_prove() -> None:
    toy = tried(Mode.GOOD).turn()
    toy.restart().advance(3600).turn()
    assert toy.status.phase == Phase.PREVIEWING
    toy.kubelet().turn().probe().advance(1).turn()
    assert toy.status.phase == Phase.DELIVERING
    silent = tried(Mode.UNREADY).turn()
    silent.restart().advance(3600).turn().kubelet().advance(34).turn()
    assert silent.status.phase == Phase.PREVIEWING
    silent.advance(2).turn()
    assert silent.status.phase == Outcome.REVERTED


def test_bytes_that_vanished_before_they_were_delivered_end_it() -> None:
    toy = tried(Mode.GOOD)
    toy.turn()
    toy.preview = None
    toy.config_maps.clear()
    del toy.revisions["v2"]
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", Reason.REVISION_NOT_FOUND)
    assert "is gone, and its ConfigMap too" in toy.message()


def test_the_pod_is_gone_on_every_way_out() -> None:
    for mode in (*FAULTS, *TROUBLE, Mode.SILENT, Mode.GOOD):
        toy = tried(mode).run()
        assert toy.preview is None
        assert any(isinstance(a, DeletePreview) for d in toy.decisions for a in d.actions)
    assert any(isinstance(a, ApplyTemplate) for d in toy.decisions for a in d.actions)


@pytest.mark.parametrize("mode", [Mode.GOOD, Mode.WRONG])
def test_the_phase_is_written_before_the_pod_goes(mode: Mode) -> None:
    """Else a process that dies in between tries the revision anew, and may do so for ever."""
    found: list[tuple[Phase, Outcome | None]] = []

    def note(seen: Observed, decision: Decision) -> None:
        if any(isinstance(a, DeletePreview) for a in decision.actions):
            assert seen.status.rollout is not None
            found.append((seen.status.rollout.phase, seen.status.rollout.outcome))

    toy = tried(mode)
    toy.watchers.append(note)
    toy.run()
    over = Outcome.REVERTED if mode is Mode.WRONG else None
    assert found == [(Phase.PREVIEWING if over else Phase.DELIVERING, over)]


def test_the_pod_that_was_read_is_deleted_and_no_other() -> None:
    toy = tried(Mode.WRONG).run()
    deleted = [a for d in toy.decisions for a in d.actions if isinstance(a, DeletePreview)]
    assert deleted == [DeletePreview("wf-1-preview-2-1", "uid-of-wf-1-preview-2-1")]


def test_a_target_that_is_gone_before_its_preview_ends_the_rollout() -> None:
    toy = tried(Mode.GOOD)
    while toy.status.phase != Phase.PREVIEWING:
        toy.step()
    toy.workloads.clear()
    toy.restart().run()
    assert toy.status.rollout.outcome is Outcome.REVERTED
    assert toy.status.rollout.reason is Reason.ENVIRONMENT_TARGET_GONE
