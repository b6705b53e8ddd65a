"""Running instances in a rollout: paused before the delivery, let go on every way out."""

from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode

from belay.api.instances import AfterRevert, InstanceCounts, OnPauseTimeout, Policy
from belay.api.names import LABEL_PAUSED_AGAIN
from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.api.workflow import OnInconclusive, Preview
from belay.core.attempt import attempt_digest
from belay.core.decision import PauseInstances, ResumeInstances, TryDelivery
from belay.core.instances.view import Unseen


def running(policy: Policy | None = Policy.PAUSE, **more: Any) -> Toy:
    """v1 is proven; two Jobs and a CronJob run, and one Job is suspended by its owner."""
    kept = {k: more.pop(k) for k in list(more) if k in ("on_pause_timeout", "after_revert")}
    more.setdefault("preview", Preview.NONE)
    toy = promoted("v1", instances=world.instances(policy, **kept), **more)
    toy.starts("a", "b").starts("nightly", kind="CronJob").starts("theirs", suspended=True)
    return toy


def counts(toy: Toy) -> dict[str, int]:
    rollout = toy.status.rollout
    assert rollout is not None
    assert rollout.instances is not None
    found: dict[str, int] = rollout.instances.model_dump(exclude_defaults=True)
    return found


def released(toy: Toy) -> bool:
    return toy.held == [] and toy.suspended == ["theirs"]


def test_what_runs_is_paused_for_the_delivery_and_let_go_after_the_gate() -> None:
    toy = running().wish("v2").run(Phase.DELIVERING)
    assert toy.held == ["a", "b", "nightly"]
    assert toy.status.rollout.paused
    toy.run(Phase.OBSERVING)
    assert released(toy)
    assert not toy.status.rollout.paused
    toy.run("Promoted")
    assert counts(toy) == {
        "found": 4,
        "already_suspended": 1,
        "paused": 3,
        "restarted": 2,
        "resumed": 1,
    }
    assert "4 instances running" in toy.events[toy.status.rollout.id, "RolloutStarted"]
    assert "1 resumed, 2 restarted" in toy.events[toy.status.rollout.id, "Promoted"]


def test_the_record_says_that_something_may_be_paused_before_the_first_write() -> None:
    toy = running()
    paused_at_write: list[bool] = []
    toy.watchers.append(
        lambda seen, decision: paused_at_write.extend(
            seen.status.rollout is not None and seen.status.rollout.paused
            for a in decision.actions
            if isinstance(a, PauseInstances | ResumeInstances)
        )
    )
    toy.wish("v2").run("Promoted")
    assert paused_at_write == [True, True]


def test_a_job_is_left_running_where_nothing_is_said() -> None:
    toy = running(None).wish("v2").run(Phase.DELIVERING)
    assert toy.held == ["nightly"]
    toy.run("Promoted")
    assert (counts(toy)["pinned"], counts(toy)["resumed"]) == (2, 1)


def test_a_workflow_without_instances_takes_no_step_more() -> None:
    plain, other = promoted("v1", preview=Preview.NONE), running(preview=Preview.NONE)
    for toy in (plain, other):
        toy.writes = 0
        toy.wish("v2").run("Promoted")
    assert (plain.writes, other.writes) == (4, 7)
    assert plain.status.rollout.instances is None


def test_instances_are_part_of_what_is_tried() -> None:
    plain, other = world.spec("v1"), world.spec("v1", instances=world.instances())
    digest = world.digest("x")
    assert attempt_digest(plain, digest) != attempt_digest(other, digest)


WAYS: list[Any] = [
    pytest.param({}, Mode.WRONG, Outcome.REVERTED, id="wrong at the gate"),
    pytest.param({}, Mode.CRASHING, Outcome.REVERTED, id="crash loop"),
    pytest.param({}, Mode.NO_QUOTA, Outcome.REVERTED, id="no quota"),
    pytest.param({}, Mode.SILENT, Outcome.HELD, id="held"),
    pytest.param(
        {"on_inconclusive": OnInconclusive.REVERT}, Mode.SILENT, Outcome.REVERTED, id="no verdict"
    ),
    pytest.param({"preview": Preview.POD}, Mode.WRONG, Outcome.REVERTED, id="in the preview"),
]


@pytest.mark.parametrize(("spec", "mode", "outcome"), WAYS)
def test_every_failure_lets_all_go_before_it_is_told(
    spec: dict[str, Any], mode: Mode, outcome: Outcome
) -> None:
    toy = running(**spec).behaves("v2", mode).wish("v2").run()
    assert toy.status.phase == outcome
    assert released(toy)


def test_the_first_activation_that_fails_lets_all_go() -> None:
    toy = Toy(world.spec("v1", instances=world.instances(), preview=Preview.NONE))
    toy.starts("a").behaves("v1", Mode.WRONG).run()
    assert toy.status.phase == Outcome.FAILED
    assert toy.held == toy.suspended == []


def test_where_both_revisions_fail_all_are_let_go_too() -> None:
    toy = running().wish("v2")
    toy.run(Phase.VERIFYING)
    toy.behaves("v1", Mode.CRASHING).behaves("v2", Mode.WRONG).run()
    assert toy.status.phase == Outcome.REVERT_FAILED
    assert released(toy)


@pytest.mark.parametrize("policy", AfterRevert)
def test_a_late_failure_pauses_again_for_the_way_back(policy: AfterRevert) -> None:
    toy = running(after_revert=policy, window="60s").wish("v2").run(Phase.OBSERVING)
    assert released(toy)
    toy.behaves("v2", Mode.WRONG).run(Phase.REVERTING)
    assert toy.held == ([] if policy is AfterRevert.PIN else ["a", "b", "nightly"])
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert released(toy)


def test_the_way_back_waits_no_longer_than_revert_pause() -> None:
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.stubborn = {"a"}
    toy.behaves("v2", Mode.WRONG).run(Phase.PAUSING)
    began = toy.now
    toy.run(Phase.REVERTING)
    assert 9 <= (toy.now - began).total_seconds() <= 11
    toy.run()
    assert released(toy)


# Deadlines


def test_a_return_to_stable_goes_on_where_instances_do_not_pause_in_time() -> None:
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.stubborn = {"a"}
    toy.wish("v1").run()
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert toy.status.phase == Outcome.REVERTED
    assert released(toy)


@pytest.mark.parametrize("newer", [None, "v9"])
def test_a_return_to_stable_that_is_ended_before_it_is_delivered_is_made_all_the_same(
    newer: str | None,
) -> None:
    """Else what was never proven would run on: v2 is observed, v1 is wanted, then not any more."""
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.stubborn = {"a"}
    toy.wish("v1").run(Phase.PAUSING)
    assert toy.carries() == "v2"
    if newer is None:
        toy.abort = "stop"
    else:
        toy.wish(newer)
    toy.run()
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert toy.status.phase == (Outcome.ABORTED if newer is None else Phase.PENDING)
    assert not toy.status.quarantine
    assert released(toy)


def test_what_does_not_pause_in_time_ends_the_rollout_before_anything_is_delivered() -> None:
    toy = running()
    toy.stubborn = {"b"}
    toy.wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    assert toy.status.rollout.reason is Reason.PAUSE_TIMEOUT
    assert "1 of 4 instances did not pause within 60 s (Job b)" in toy.message()
    assert toy.status.quarantine == []
    assert released(toy)


def test_the_rollout_proceeds_without_those_where_the_user_says_so() -> None:
    toy = running(on_pause_timeout=OnPauseTimeout.PROCEED)
    toy.stubborn = {"b"}
    toy.wish("v2").run("Promoted")
    assert (counts(toy)["not_paused"], counts(toy)["paused"]) == (1, 2)
    assert released(toy)


def test_the_rollout_waits_on_where_the_user_says_so() -> None:
    toy = running(on_pause_timeout=OnPauseTimeout.WAIT)
    toy.stubborn = {"b"}
    toy.wish("v2").run(Phase.PAUSING)
    for _ in range(200):
        toy.turn().advance(1)
    assert toy.status.phase == Phase.PAUSING
    assert "1 of 4 instances still run (Job b)" in toy.message()
    toy.stubborn = set()
    toy.run("Promoted")
    assert released(toy)


def test_what_somebody_resumes_is_paused_once_more_and_then_contested() -> None:
    toy = running()
    toy.stubborn = {"b"}
    toy.wish("v2").run(Phase.PAUSING)
    toy.resumes("a").turn()
    (mine,) = [r for r in toy.instances if r["metadata"]["name"] == "a"]
    assert mine["spec"]["suspend"]
    assert mine["metadata"]["labels"][LABEL_PAUSED_AGAIN] == toy.status.rollout.id
    toy.stubborn = set()
    toy.resumes("a").run()
    assert toy.status.rollout.reason is Reason.PAUSE_CONTESTED
    assert "Job a" in toy.message()
    assert released(toy)


def test_a_refused_pause_ends_the_rollout_and_lets_the_others_go() -> None:
    toy = running().wish("v2")
    toy.refusals[PauseInstances] = world.refusal(Reason.ENVIRONMENT_FORBIDDEN, "Job b: no")
    toy.run()
    assert toy.status.rollout.reason is Reason.ENVIRONMENT_FORBIDDEN
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")


FORBIDDEN = Unseen(Reason.ENVIRONMENT_FORBIDDEN, "spec.instances: Job: may not be listed")


def test_what_cannot_be_looked_for_any_more_is_not_taken_for_nothing() -> None:
    toy = running()
    toy.stubborn = {"b"}
    toy.wish("v2").run(Phase.PAUSING)
    toy.unseen["Job"] = FORBIDDEN
    toy.run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    assert toy.status.rollout.reason is Reason.ENVIRONMENT_FORBIDDEN
    assert "spec.instances: Job: may not be listed" in toy.message()
    assert toy.status.quarantine == []
    assert toy.held == ["a", "b"], "what can be seen is let go at once"


def test_what_can_be_looked_for_again_in_time_is_let_go_and_counted() -> None:
    toy = running().wish("v2").run(Phase.VERIFYING)
    toy.unseen["Job"] = FORBIDDEN
    toy.run(Phase.RESUMING)
    assert toy.held == ["a", "b"]
    assert "may not be listed" in toy.message()
    toy.unseen.clear()
    toy.run("Promoted")
    assert released(toy)
    assert (counts(toy)["resumed"], counts(toy).get("not_resumed")) == (3, None)


def test_what_could_not_be_looked_for_until_the_deadline_is_counted_as_still_paused() -> None:
    toy = running().wish("v2").run(Phase.VERIFYING)
    toy.unseen["Job"] = FORBIDDEN
    toy.run("Promoted")
    assert (counts(toy)["resumed"], counts(toy)["not_resumed"]) == (1, 2)


def test_one_of_each_kind_is_tried_before_anything_is_touched() -> None:
    toy = running()
    asked: list[str] = []
    toy.watchers.append(
        lambda _, decision: asked.extend(
            write.target
            for action in decision.actions
            if isinstance(action, TryDelivery)
            for write in action.pauses
        )
    )
    toy.wish("v2").run("Promoted")
    assert sorted(asked) == ["CronJob nightly", "Job a"]


@pytest.mark.parametrize("phase", [Phase.DELIVERING, Phase.VERIFYING])
def test_what_somebody_resumes_during_the_delivery_is_let_be_and_told(phase: Phase) -> None:
    toy = running().wish("v2").run(phase)
    toy.resumes("a").run("Promoted")
    assert released(toy)
    told = counts(toy)
    assert (told["contested"], told["restarted"], told["resumed"]) == (1, 1, 1)
    assert "1 contested" in toy.events[toy.status.rollout.id, "Promoted"]


def test_a_rollout_ends_where_somebody_resumed_all_that_was_paused() -> None:
    toy = running().wish("v2").run(Phase.VERIFYING)
    toy.resumes("a").resumes("b").resumes("nightly").run("Promoted")
    assert (counts(toy)["contested"], toy.held) == (3, [])


def test_what_cannot_be_let_go_in_time_is_counted_and_the_outcome_told() -> None:
    toy = running().wish("v2").run(Phase.VERIFYING)
    toy.refusals[ResumeInstances] = world.refusal(Reason.ENVIRONMENT_FORBIDDEN, "no")
    toy.run("Promoted")
    assert counts(toy)["not_resumed"] == 3
    assert "resumed" not in counts(toy)
    assert "3 still paused" in toy.events[toy.status.rollout.id, "Promoted"]


# People


MOVING = [Phase.PAUSING, Phase.DELIVERING, Phase.VERIFYING, Phase.RESUMING, Phase.OBSERVING]


def at(phase: Phase, **spec: Any) -> Toy:
    toy = running(window="60s", **spec).wish("v2")
    toy.stubborn = {"b"} if phase is Phase.PAUSING else set()
    if phase is Phase.RESUMING:
        toy.refusals[ResumeInstances] = world.refusal(Reason.ENVIRONMENT_FORBIDDEN, "no")
    toy.run(phase)
    toy.stubborn = set()
    toy.refusals.clear()
    return toy


@pytest.mark.parametrize("phase", MOVING)
def test_an_abort_lets_all_go(phase: Phase) -> None:
    toy = at(phase)
    toy.abort = "now"
    toy.run()
    assert (toy.status.phase, toy.carries()) == (Outcome.ABORTED, "v1")
    assert released(toy)


@pytest.mark.parametrize("phase", MOVING)
def test_a_person_who_takes_over_finds_nothing_paused(phase: Phase) -> None:
    toy = at(phase).wish(suspend=True).turn()
    assert toy.status.phase == Phase.SUSPENDED
    assert released(toy)
    assert not toy.status.rollout.paused
    toy.wish(suspend=False).run()
    assert toy.status.phase == Outcome.PROMOTED
    assert released(toy)


@pytest.mark.parametrize("phase", [Phase.DELIVERING, Phase.VERIFYING])
def test_after_a_suspension_all_is_paused_again(phase: Phase) -> None:
    toy = at(phase).wish(suspend=True).turn().wish(suspend=False).run(phase)
    assert toy.held == ["a", "b", "nightly"]


def test_a_suspension_of_the_way_back_leaves_the_record_before_what_it_says() -> None:
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.stubborn = {"a"}
    toy.behaves("v2", Mode.WRONG).run(Phase.PAUSING).wish(suspend=True).turn()
    assert (released(toy), toy.status.rollout.paused) == (True, False)
    said: list[bool] = []
    toy.watchers.append(
        lambda seen, decision: said.extend(
            seen.status.rollout.paused
            for action in decision.actions
            if isinstance(action, PauseInstances) and seen.status.rollout is not None
        )
    )
    toy.wish(suspend=False).run()
    assert said == [True]
    assert (toy.status.phase, released(toy)) == (Outcome.REVERTED, True)


@pytest.mark.parametrize("phase", MOVING)
def test_a_newer_wish_takes_over_what_is_paused(phase: Phase) -> None:
    toy = at(phase).wish("v3").run("Promoted")
    assert (toy.status.active_revision, released(toy)) == ("v3", True)


@pytest.mark.parametrize("phase", MOVING)
def test_back_to_what_runs_lets_all_go(phase: Phase) -> None:
    toy = at(phase).wish("v1").run("Promoted")
    assert (toy.status.active_revision, released(toy)) == ("v1", True)


@pytest.mark.parametrize("phase", MOVING)
def test_a_wish_that_cannot_start_lets_all_go(phase: Phase) -> None:
    toy = at(phase).wish("v9").run("Pending")
    toy.run()
    assert (toy.status.phase, released(toy)) == ("Pending", True)


@pytest.mark.parametrize("phase", MOVING)
def test_a_wish_without_instances_lets_go_what_is_paused(phase: Phase) -> None:
    toy = at(phase).wish("v3", instances=None).run("Promoted")
    assert released(toy)


def test_a_kind_that_nobody_configured_is_refused() -> None:
    unknown = world.instances().resources[0].model_copy(update={"kind": "Strange"})
    wanted = world.instances().model_copy(update={"resources": [unknown]})
    toy = promoted("v1").wish("v2", instances=wanted)
    toy.turn()
    assert (toy.status.phase, toy.carries()) == (Outcome.REFUSED, "v1")
    assert "Strange are not known here (known: CronJob, Job)" in toy.message()


def test_counts_have_words_for_every_fate() -> None:
    from belay.core.instances.telling import became

    fields = set(InstanceCounts.model_fields) - {"lost_runs"}
    told = became(InstanceCounts(**dict.fromkeys(fields, 3), lost_runs=["a", "b", "c"]))
    assert told.count("3 ") == len(fields) - 2
    assert "3 lost (a, b, c)" in told


def test_stable_is_active_where_an_overtaken_way_back_had_brought_it() -> None:
    """v2 failed, v1 is delivered again; v3 takes over before v1 is proven, and is aborted."""
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.behaves("v2", Mode.WRONG).run(Phase.REVERTING).turn()
    toy.stubborn = {"a"}
    toy.wish("v3").run(Phase.PAUSING)
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v2")
    toy.abort = "stop"
    toy.run()
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert toy.status.phase == Outcome.ABORTED
    assert toy.says(ConditionType.DRIFTED)[0] != "True"


def test_stable_is_active_where_it_was_delivered_before_a_suspension() -> None:
    """v2 is observed, v1 delivered again; suspended, lifted, and aborted in the pause."""
    toy = running(window="60s").wish("v2").run(Phase.OBSERVING)
    toy.wish("v1").run(Phase.VERIFYING).wish(suspend=True).turn()
    toy.stubborn = {"a"}
    toy.wish(suspend=False).run(Phase.PAUSING)
    toy.abort = "stop"
    toy.run()
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert toy.status.phase == Outcome.ABORTED
