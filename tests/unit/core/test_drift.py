"""Drift at rest: what was taken out is put back, what was replaced is told and left alone."""

from copy import deepcopy

import pytest
from tests.unit.core import world
from tests.unit.core.test_reports import placed, pointer, wish
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.toy_cluster import applied as reapplied
from tests.unit.core.world import KEY, Raw, observed

from belay.api.status import WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason, Trigger
from belay.api.workflow import Preview
from belay.core.decision import ApplyTemplate
from belay.core.delivery import Delivery, template_patch
from belay.core.rest import drift


def undone() -> Toy:
    """v2 is proven; somebody brings the template of v1 back."""
    toy = promoted("v1")
    before = deepcopy(toy.workloads["triage"]["spec"]["template"])
    toy.wish("v2").run()
    toy.workloads["triage"]["spec"]["template"] = before
    toy.touched(toy.workloads["triage"], "kubectl-rollout")
    toy.decisions.clear()
    return toy.turn()


def broken_pointer(**metadata: object) -> Raw:
    """The ConfigMap with a text in it that nothing can be read from."""
    raw = pointer("v2", **metadata)
    raw["data"]["current.json"] = "nonsense"
    return raw


def applied(toy: Toy) -> int:
    return sum(isinstance(a, ApplyTemplate) for d in toy.decisions for a in d.actions)


# Taken out


def test_what_was_taken_out_is_put_back_and_proven_anew() -> None:
    toy = promoted("v1").undo()
    toy.turn()
    assert toy.status.rollout.trigger is Trigger.DRIFT
    assert toy.status.phase == Phase.DELIVERING
    assert not toy.status.rollout.previewed
    assert toy.run().status.phase == Outcome.PROMOTED
    assert toy.carries() == "v1"
    assert toy.says(ConditionType.READY) == ("True", Reason.PUT_BACK)
    words = "the delivery was taken out of Deployment triage (last written by kubectl-rollout)"
    assert words in toy.message()
    note = next(n for (_, reason), n in toy.events.items() if reason == Reason.DRIFTED)
    assert "v1 (sha256:" in note
    assert f"is put back: {words}" in note


def test_a_lost_mount_is_put_back_too() -> None:
    toy = promoted("v1")
    container = toy.workloads["triage"]["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = []
    toy.touched(toy.workloads["triage"], "editor")
    toy.run()
    assert toy.says(ConditionType.READY) == ("True", Reason.PUT_BACK)


def test_the_way_back_waits_longer_each_time_also_after_a_restart() -> None:
    toy = promoted("v1", window="0s")
    waits = []
    for _ in range(9):
        toy.undo().turn()
        since = toy.now
        while toy.status.rollout.outcome is not None:
            assert toy.says(ConditionType.DRIFTED) == ("True", Reason.DRIFTED)
            assert toy.says(ConditionType.RECONCILING) == ("True", Reason.DRIFTED)
            assert toy.says(ConditionType.SERVING) == ("False", Reason.DRIFTED)
            requeue = toy.decisions[-1].requeue
            assert requeue is not None
            written = toy.writes
            toy.restart().turn()
            assert toy.writes == written
            toy.advance(requeue.total_seconds()).turn()
        waits.append(round((toy.now - since).total_seconds() / 60))
        toy.run()
        assert toy.says(ConditionType.DRIFTED)[0] == "absent"
    assert waits == [0, 1, 2, 4, 8, 16, 32, 60, 60]
    assert [(h.trigger, h.times) for h in toy.status.history] == [(Trigger.DRIFT, 9), (None, 1)]
    toy.advance(86400).undo().turn()
    assert toy.status.phase == Phase.DELIVERING
    assert [h.times for h in toy.run().status.history] == [1, 9, 1]


def test_what_is_taken_out_again_while_it_is_put_back_waits_its_turn() -> None:
    toy = promoted("v1").undo().run(Phase.OBSERVING)
    toy.undo().turn()
    assert toy.status.rollout.outcome is Outcome.HELD
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.DRIFTED)
    toy.advance(61).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v1")


def test_a_failure_of_what_was_put_back_is_held() -> None:
    toy = promoted("v1").undo().behaves("v1", Mode.WRONG).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.HELD, "v1")
    assert not any(h.outcome is Outcome.REVERT_FAILED for h in toy.status.history)
    toy.undo().turn().advance(7200).turn()
    assert toy.carries() is None
    assert toy.says(ConditionType.DRIFTED)[0] == "True"


def test_a_newer_wish_wins_over_the_putting_back() -> None:
    toy = promoted("v1").undo().run(Phase.OBSERVING)
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")


def test_an_abort_of_the_putting_back_is_the_last_word() -> None:
    toy = promoted("v1").undo().run(Phase.OBSERVING)
    toy.abort = "stop"
    toy.run().undo().turn().advance(7200).turn()
    assert (toy.status.phase, toy.carries()) == (Outcome.ABORTED, None)
    assert toy.says(ConditionType.DRIFTED)[0] == "True"


@pytest.mark.parametrize("preview", Preview)
def test_after_a_failed_wish_the_stable_revision_is_put_back_and_the_story_stays(
    preview: Preview,
) -> None:
    toy = promoted("v1", preview=preview).behaves("v2", Mode.WRONG).wish("v2").run()
    message = toy.message()
    toy.undo().turn()
    assert toy.status.phase == Phase.REVERTING
    toy.run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    assert toy.message().split(". ")[0] == message.split(". ")[0]
    assert [(h.revision, h.times) for h in toy.status.history] == [("v2", 2), ("v1", 1)]
    toy.undo().turn()
    assert toy.says(ConditionType.READY) == ("False", Reason.CHECK_FAILED)
    assert toy.says(ConditionType.SERVING) == ("False", Reason.DRIFTED)
    assert toy.advance(61).run().carries() == "v1"


# Replaced


def test_an_undo_is_told_and_left_alone() -> None:
    toy = undone()
    assert toy.says(ConditionType.READY) == ("False", Reason.DRIFTED)
    assert toy.says(ConditionType.STALLED) == ("True", Reason.DRIFTED)
    assert toy.says(ConditionType.SERVING) == ("False", Reason.DRIFTED)
    assert toy.message(ConditionType.DRIFTED) == (
        "kubectl-rollout changed Deployment triage: it runs the content of v1, and v2 should run. "
        "Belay leaves it alone. To have v2 back: kubectl -n shop annotate workflows.belay.dev wf-1 "
        'belay.dev/retry="$(date +%s)" --overwrite; to keep what runs, set '
        "spec.activeRevision to it"
    )
    written = toy.writes
    toy.advance(86400).turn().turn()
    assert (toy.writes, applied(toy), toy.carries()) == (written, 0, "v1")


def test_a_retry_brings_it_back() -> None:
    toy = undone()
    toy.retry = "one"
    toy.run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v2")
    assert toy.says(ConditionType.DRIFTED)[0] == "absent"


def test_the_wish_for_what_it_was_undone_to_is_adopted_by_proof() -> None:
    toy = undone().wish("v1").run()
    assert (toy.status.phase, toy.status.stable_revision, applied(toy)) == ("Promoted", "v1", 0)
    assert not toy.status.rollout.previewed


def test_its_failure_is_held_and_not_fought() -> None:
    toy = undone().behaves("v1", Mode.WRONG).wish("v1").run()
    assert (toy.status.phase, toy.carries(), applied(toy)) == (Outcome.HELD, "v1", 0)
    assert toy.status.stable_revision == "v2"


def test_an_undo_that_is_undone_leaves_no_trace() -> None:
    toy = promoted("v1")
    older = deepcopy(toy.workloads["triage"]["spec"]["template"])
    toy.wish("v2").run()
    newer = toy.workloads["triage"]["spec"]["template"]
    for template in (older, newer):
        toy.workloads["triage"]["spec"]["template"] = template
        toy.touched(toy.workloads["triage"], "kubectl-rollout").turn()
    assert toy.says(ConditionType.READY) == ("True", Reason.SAME_CONTENT)
    assert toy.says(ConditionType.SERVING)[0] == "True"
    assert toy.says(ConditionType.DRIFTED)[0] == "absent"


def test_a_refused_wish_does_not_hide_it() -> None:
    toy = undone()
    toy.wish("v9").turn()
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.REVISION_NOT_FOUND)
    assert toy.says(ConditionType.DRIFTED) == ("True", Reason.DRIFTED)
    assert toy.says(ConditionType.SERVING) == ("False", Reason.DRIFTED)


def test_what_somebody_else_set_right_after_a_failed_wish_leaves_its_story() -> None:
    toy = promoted("v1")
    older = deepcopy(toy.workloads["triage"]["spec"]["template"])
    toy.wish("v2").run()
    toy.behaves("v3", Mode.WRONG).wish("v3").run()
    newer = toy.workloads["triage"]["spec"]["template"]
    story = toy.message()
    toy.workloads["triage"]["spec"]["template"] = older
    toy.touched(toy.workloads["triage"], "kubectl-rollout").turn()
    assert toy.says(ConditionType.SERVING) == ("False", Reason.DRIFTED)
    toy.workloads["triage"]["spec"]["template"] = newer
    toy.touched(toy.workloads["triage"], "kubectl-rollout").turn()
    assert toy.says(ConditionType.DRIFTED)[0] == "absent"
    assert toy.says(ConditionType.SERVING) == ("True", Reason.SAME_CONTENT)
    assert (toy.status.phase, toy.message()) == (Outcome.REVERTED, story)


def test_what_was_set_right_and_named_anew_is_adopted_and_serves() -> None:
    toy = undone()
    toy.revisions["v2.again"] = world.revision("v2.again", "v2")
    delivered = template_patch(world.view(), Delivery(KEY, world.ref("v2"), "v2", "/etc/belay"))
    raw = toy.workloads["triage"]
    raw["spec"]["template"] = reapplied(raw["spec"]["template"], delivered["spec"]["template"])
    toy.touched(raw, "kubectl-rollout").wish("v2.again").turn()
    assert toy.status.active_revision == "v2.again"
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)


def test_a_target_that_takes_its_consent_back_with_the_delivery_is_left_alone() -> None:
    toy = promoted("v1").undo()
    toy.workloads["triage"]["metadata"]["annotations"].clear()
    toy.turn().advance(7200).turn()
    assert toy.carries() is None
    told = toy.message(ConditionType.DRIFTED)
    assert told.startswith("Deployment triage does not name this workflow any more, and v1 should")


def test_of_several_targets_the_one_that_was_replaced_is_told() -> None:
    toy = promoted("v1", workloads=("triage", "intake"))
    older = deepcopy(toy.workloads["triage"]["spec"]["template"])
    toy.wish("v2").run()
    toy.workloads["triage"]["spec"]["template"] = older
    toy.touched(toy.workloads["triage"], "kubectl-rollout").undo("intake").turn()
    assert "kubectl-rollout changed Deployment triage" in toy.message(ConditionType.DRIFTED)
    assert toy.carries("intake") is None


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (None, "somebody deleted the ConfigMap that Deployment triage watches"),
        (broken_pointer(), "ConfigMap wf-1-current does not hold what was delivered"),
        (
            broken_pointer(managedFields=[{"manager": "editor"}]),
            "ConfigMap wf-1-current does not hold what was delivered (last written by editor)",
        ),
    ],
    ids=["deleted", "edited", "edited by a known hand"],
)
def test_a_pointer_that_is_not_as_it_was_delivered_is_told(raw: Raw | None, what: str) -> None:
    v2 = world.ref("v2")
    status = WorkflowStatus(phase="Promoted", active=v2, stable=v2)
    seen = observed(spec=wish(), status=status, workloads=(placed(raw),))
    assert drift.found(seen) == drift.Drift(drift.How.REMOVED, what)


# What is remembered


def test_the_first_way_back_needs_no_history() -> None:
    toy = promoted("v1")
    toy.status = toy.status.model_copy(update={"history": []})
    toy.undo().turn()
    assert toy.status.phase == Phase.DELIVERING


def test_without_the_record_of_its_rollout_nothing_is_put_back() -> None:
    toy = promoted("v1")
    toy.status = toy.status.model_copy(update={"rollout": None})
    toy.undo().turn()
    assert toy.carries() is None
    assert toy.says(ConditionType.DRIFTED) == ("True", Reason.DRIFTED)
    assert "Belay leaves it alone" in toy.message(ConditionType.DRIFTED)


# Gone, and no drift at all


def test_a_workload_that_was_deleted_and_made_anew_gets_its_content_back() -> None:
    toy = promoted("v1")
    toy.workloads.pop("triage")
    toy.turn()
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.DRIFTED)
    assert "Deployment triage is gone" in toy.message(ConditionType.DRIFTED)
    toy.workloads["triage"] = world.deployment()
    toy.workloads["triage"]["metadata"]["uid"] = "uid-of-another"
    assert toy.run().carries() == "v1"
    assert toy.says(ConditionType.READY) == ("True", Reason.PUT_BACK)


@pytest.mark.parametrize("change", ["image", "replicas", "consent"])
def test_what_leaves_our_fields_alone_is_no_drift(change: str) -> None:
    toy = promoted("v1")
    raw = toy.workloads["triage"]
    if change == "image":
        toy.change_image("triage:2")
    elif change == "replicas":
        raw["spec"]["replicas"] = 5
    else:
        raw["metadata"]["annotations"].clear()
    written = toy.writes
    toy.turn().kubelet().advance(60).turn()
    assert toy.writes == written


@pytest.mark.parametrize("spec", [{"suspend": True}])
def test_while_suspended_nothing_is_put_back(spec: dict[str, bool]) -> None:
    toy = promoted("v1").wish(**spec).undo()
    toy.turn().advance(3600).turn()
    assert toy.carries() is None
    assert toy.wish(suspend=False).run().carries() == "v1"
