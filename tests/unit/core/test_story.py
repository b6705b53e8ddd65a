"""Conditions and events: one consistent story of every rollout, in few milestones."""

from collections.abc import Callable

import pytest
from tests.unit.core import world
from tests.unit.core.properties import consistent
from tests.unit.core.test_instances import running
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import NOW, seconds

from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.api.workflow import OnFailure, Preview
from belay.core import conditions, milestones
from belay.core.conditions import Say
from belay.core.decision import TryDelivery
from belay.core.observed import Refusal

Ending = Callable[[], Toy]


def _promoted() -> Toy:
    return promoted("v1").wish("v2").run()


def _caught_aside() -> Toy:
    return promoted("v1").behaves("v2", Mode.WRONG).wish("v2").run()


def _reverted_late() -> Toy:
    return promoted("v1").wish("v2").run("Observing").behaves("v2", Mode.WRONG).run()


def _held() -> Toy:
    toy = promoted("v1", on_failure=OnFailure.HOLD)
    return toy.wish("v2").run("Observing").behaves("v2", Mode.WRONG).run()


def _revert_failed() -> Toy:
    toy = promoted("v1").wish("v2").run("Observing").behaves("v2", Mode.WRONG).run("Reverting")
    return toy.behaves("v1", Mode.WRONG).run()


def _failed() -> Toy:
    return Toy(world.spec("v2", preview=Preview.NONE)).behaves("v2", Mode.WRONG).run()


def _aborted() -> Toy:
    toy = promoted("v1").wish("v2").run("Observing")
    toy.abort = "stop"
    return toy.run()


def _superseded() -> Toy:
    return promoted("v1").wish("v2").run("Observing").wish("v9").run()


def _refused() -> Toy:
    toy = promoted("v1").wish("v2")
    toy.refusals[TryDelivery] = Refusal(Reason.DELIVERY_DENIED, "no")
    return toy.turn()


STORIES: dict[str, tuple[Ending, list[str]]] = {
    "promoted": (_promoted, ["RolloutStarted", "Activated", "Promoted"]),
    "caught aside": (_caught_aside, ["RolloutStarted", "CheckFailed", "Reverted"]),
    "reverted late": (_reverted_late, ["RolloutStarted", "Activated", "CheckFailed", "Reverted"]),
    "held": (_held, ["RolloutStarted", "Activated", "CheckFailed", "Held"]),
    "revert failed": (
        _revert_failed,
        ["RolloutStarted", "Activated", "CheckFailed", "StableFailing", "RevertFailed"],
    ),
    "failed": (_failed, ["RolloutStarted", "CheckFailed", "Failed"]),
    "aborted": (_aborted, ["RolloutStarted", "Activated", "Aborted"]),
    "superseded": (_superseded, ["RolloutStarted", "Activated", "Superseded"]),
}


@pytest.mark.parametrize(("ending", "expected"), STORIES.values(), ids=STORIES)
def test_each_rollout_is_told_in_few_milestones_with_names_of_their_own(
    ending: Ending, expected: list[str]
) -> None:
    toy = ending()
    occasion = f"{'2' if 'v1' in {h.revision for h in toy.status.history} else '1'}-1"
    told = [reason for at, reason in toy.events if at == occasion]
    assert told == expected
    assert len(told) <= (4 if expected[-1] == "Promoted" else 5)
    notes = [note for (at, _), note in toy.events.items() if at == occasion]
    assert all(len(note) <= 1024 for note in notes)


@pytest.mark.parametrize(
    "ending", [*(e for e, _ in STORIES.values()), _refused], ids=[*STORIES, "refused"]
)
def test_conditions_tell_one_story_at_every_step(ending: Ending) -> None:
    toy = ending()
    for decision in toy.decisions:
        if decision.status is not None:
            consistent(decision.status, decision.status.observed_generation or 0)
    consistent(toy.status, toy.generation)


def test_the_same_record_tells_the_same_milestones_again() -> None:
    toy = _reverted_late()
    again = milestones.of(toy.status.rollout, toy.status.stable)
    assert {m.reason for m in again} == {"RolloutStarted", "Activated", "CheckFailed", "Reverted"}
    assert again == milestones.of(toy.status.rollout, toy.status.stable)
    assert {m.reason: m.warning for m in again} == {
        "RolloutStarted": False,
        "Activated": False,
        "CheckFailed": True,
        "Reverted": True,
    }


ENDED = {
    Outcome.PROMOTED: "v2 (sha256:",
    Outcome.REVERTED: "v2 not activated after 5.0 s; v1 (sha256:",
    Outcome.ABORTED: "v2 not activated after 5.0 s; v1 (sha256:",
    Outcome.HELD: "v2 not proven after 5.0 s and left as it is; v2 is not live",
    Outcome.FAILED: "v2 not proven after 5.0 s, and there is no proven revision to go back to",
    Outcome.SUPERSEDED: "v2 gave way to a newer wish after 5.0 s",
    Outcome.REVERT_FAILED: "v2 failed, and so did the way back; nothing more is tried",
    Outcome.REFUSED: "v2 was refused",
}


@pytest.mark.parametrize("outcome", Outcome)
def test_the_last_milestone_says_how_it_ended(outcome: Outcome) -> None:
    toy = promoted("v1").wish("v2").run(Phase.PREVIEWING)
    record = toy.status.rollout.model_copy(
        update={"outcome": outcome, "ended_at": toy.status.rollout.started_at + seconds(5)}
    )
    last = milestones.of(record, toy.status.stable)[-1]
    assert last.reason == outcome
    assert last.note.startswith(ENDED[outcome])
    without = milestones.of(record.model_copy(update={"ended_at": None}), None)[-1]
    assert "after 0.0 s" in without.note or outcome in (Outcome.REVERT_FAILED, Outcome.REFUSED)


def test_a_transition_time_moves_with_the_status_only() -> None:
    story = conditions.stopped("A", "first", Say("False", "A", ""), conditions.NOTHING_PROVEN)
    first = conditions.write(story, [], NOW, 1)
    other = conditions.stopped("B", "second", Say("True", "B", ""), conditions.NOTHING_PROVEN)
    second = {c.type: c for c in conditions.write(other, first, NOW + seconds(9.5), 2)}
    assert second[ConditionType.READY].last_transition_time == NOW
    assert second[ConditionType.ACTIVE].last_transition_time == NOW + seconds(9)
    assert {c.observed_generation for c in second.values()} == {2}


def test_a_message_never_exceeds_what_the_crd_admits() -> None:
    say = Say("False", "A", "x" * 9000)
    for told in conditions.write(conditions.stopped("A", "x" * 9000, say, say), [], NOW, 1):
        assert len(told.message) == 2048


def test_what_nothing_says_is_kept_as_nothing() -> None:
    assert conditions.keep([], ConditionType.SERVING) is None


@pytest.mark.parametrize("mode", [Mode.WRONG, Mode.SILENT, Mode.CRASHING])
def test_readable_copies_follow_what_they_name_while_instances_are_let_go(mode: Mode) -> None:
    toy = running().behaves("v2", mode)
    toy.watchers.append(
        lambda seen, decision: (
            consistent(decision.status, seen.generation) if decision.status is not None else None
        )
    )
    toy.wish("v2").run()
    assert toy.status.phase in (Outcome.REVERTED, Outcome.HELD)


def test_the_history_says_why_only_where_the_outcome_does_not() -> None:
    toy = promoted("v1").wish("v2").run(Phase.PREVIEWING)
    toy.abort = "stop"
    toy.run()
    assert [(h.outcome, h.reason) for h in toy.status.history] == [
        (Outcome.ABORTED, None),
        (Outcome.PROMOTED, None),
    ]
    toy.behaves("v3", Mode.WRONG).wish("v3").run()
    assert toy.status.history[0].reason is Reason.CHECK_FAILED


def test_a_promotion_tells_how_long_it_took() -> None:
    toy = promoted("v1")
    took = (toy.status.rollout.ended_at - toy.status.rollout.started_at).total_seconds()
    assert f"v1 is active and proven, {took:g} s after" in toy.message().replace(".0 s", " s")


@pytest.mark.parametrize(
    ("mode", "remedy"),
    [
        (Mode.WRONG, "Fix v2 under a new revision, or try it again: kubectl"),
        (Mode.NO_IMAGE, "v2 is not to blame: mend that, then try it again: kubectl"),
    ],
)
def test_the_remedy_depends_on_whom_it_blames(mode: Mode, remedy: str) -> None:
    toy = promoted("v1", preview=Preview.NONE).behaves("v2", mode).wish("v2").run()
    assert remedy in toy.message()
