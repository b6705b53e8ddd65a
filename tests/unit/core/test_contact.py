"""The breaker: when silence is nobody's fault, and what a rollout does meanwhile."""

import pytest
from tests.unit.core.toy import HOUR, Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import check

from belay.api.words import ConditionType, Outcome, Phase, Reason, Stage
from belay.api.workflow import OnInconclusive, Preview
from belay.core.evidence.contact import is_back, is_lost

TOLD = (
    "no verdict is taken: 4 of 6 Workflows that are probed fell silent together at {}. Mend the "
    "network between Belay and the pods; it goes on by itself"
)


@pytest.mark.parametrize(
    ("probed", "lost_lately", "expected"),
    [
        (0, 0, False),
        (4, 4, False),
        (5, 2, False),
        (5, 3, True),
        (6, 2, False),
        (6, 3, True),
        (100, 49, False),
        (100, 50, True),
    ],
)
def test_half_of_five_or_more(probed: int, lost_lately: int, expected: bool) -> None:
    assert is_lost(lost_lately=lost_lately, probed=probed) is expected


@pytest.mark.parametrize(
    ("probed", "lost", "expected"),
    [(6, 6, False), (6, 3, False), (6, 2, True), (5, 3, False), (5, 2, True), (4, 4, True)],
)
def test_back_are_most_or_too_few_are_left(probed: int, lost: int, expected: bool) -> None:
    assert is_back(lost=lost, probed=probed) is expected


def at(phase: Phase, mode: Mode = Mode.SILENT) -> Toy:
    """A rollout of v2 in this phase; its pods are ready and behave so from here on."""
    aside = Preview.POD if phase is Phase.PREVIEWING else Preview.NONE
    toy = promoted("v1", preview=aside, window="1m").wish("v2").run(phase)
    return toy.behaves("v2", mode)


@pytest.mark.parametrize("phase", [Phase.PREVIEWING, Phase.VERIFYING, Phase.OBSERVING])
@pytest.mark.parametrize("mode", [Mode.SILENT, Mode.WRONG, Mode.GOOD])
@pytest.mark.parametrize("policy", OnInconclusive)
def test_nothing_that_checks_hear_ends_a_phase_and_one_write_tells_it(
    phase: Phase, mode: Mode, policy: OnInconclusive
) -> None:
    aside = Preview.POD if phase is Phase.PREVIEWING else Preview.NONE
    toy = promoted("v1", preview=aside, window="1m", on_inconclusive=policy)
    toy.wish("v2").run(phase).behaves("v2", mode).lose_contact()
    writes, since = toy.writes, f"{toy.now:%H:%M:%S}"
    for _ in range(300):
        toy.turn().kubelet()
        toy.probe().advance(1)
    assert toy.status.phase == phase
    assert toy.writes == writes + 1
    for kind in (ConditionType.READY, ConditionType.RECONCILING):
        assert toy.says(kind)[1] == Reason.PROBING_SUSPENDED
        assert toy.message(kind).endswith(TOLD.format(since))


@pytest.mark.parametrize("phase", [Phase.PREVIEWING, Phase.VERIFYING, Phase.OBSERVING])
def test_contact_that_is_back_begins_evidence_anew(phase: Phase) -> None:
    toy = at(phase).lose_contact()
    toy.turn().kubelet()
    toy.probe().now += HOUR
    toy.turn()
    toy.behaves("v2", Mode.GOOD).find_contact().turn()
    assert toy.status.phase == phase
    assert toy.says(ConditionType.RECONCILING)[1] == Reason.PROGRESSING
    toy.run()
    assert toy.status.phase == Outcome.PROMOTED


@pytest.mark.parametrize("phase", [Phase.PREVIEWING, Phase.VERIFYING, Phase.OBSERVING])
def test_contact_that_is_back_does_not_excuse_wrong_answers(phase: Phase) -> None:
    toy = at(phase, Mode.WRONG).lose_contact()
    toy.turn().kubelet()
    toy.probe().now += HOUR
    toy.turn()
    toy.find_contact().run()
    assert toy.says(ConditionType.READY) == ("False", Reason.CHECK_FAILED)


def test_kubelets_own_evidence_still_counts() -> None:
    toy = at(Phase.VERIFYING, Mode.CRASHING).lose_contact().run(Phase.REVERTING)
    assert toy.status.rollout is not None
    assert toy.status.rollout.reason == Reason.CRASH_LOOP


def test_peoples_wishes_still_win() -> None:
    toy = at(Phase.OBSERVING).lose_contact()
    toy.turn()
    toy.wish("v3").turn()
    assert toy.status.rollout is not None
    assert toy.status.rollout.to.revision == "v3"
    toy.abort = "now"
    toy.turn()
    assert toy.status.rollout.outcome is None
    toy.run()
    assert toy.status.phase == Outcome.ABORTED


def test_the_way_back_is_not_held() -> None:
    toy = at(Phase.OBSERVING, Mode.WRONG).run(Phase.REVERTING).lose_contact()
    toy.behaves("v1", Mode.SILENT).run()
    assert toy.status.phase == Outcome.REVERTED


def test_where_no_check_is_to_decide_nothing_is_held() -> None:
    gate_only = check(at=[Stage.GATE])
    toy = promoted("v1", preview=Preview.NONE, checks=[gate_only]).wish("v2")
    toy.run(Phase.OBSERVING).lose_contact().run()
    assert toy.status.phase == Outcome.PROMOTED


@pytest.mark.parametrize("phase", [Phase.PREVIEWING, Phase.VERIFYING, Phase.OBSERVING])
def test_the_record_tells_a_new_process_who_was_heard(phase: Phase) -> None:
    toy = at(phase)
    toy.turn()
    assert toy.plan is not None
    assert toy.plan.heard is (phase is Phase.OBSERVING)
    toy.lose_contact().turn()
    toy.restart().turn()
    assert toy.plan.heard
