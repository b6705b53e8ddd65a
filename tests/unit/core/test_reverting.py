"""Reverting: one way back, by the ConfigMap alone, and never a see-saw."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode

from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.api.workflow import Preview
from belay.core.decision import ApplyTemplate, EnsureConfigMap
from belay.core.observed import Refusal


def reverting(*, stable: bool = True, **spec: object) -> Toy:
    """v2 was found wrong, and the way back begins."""
    if stable:
        toy = promoted("v1", preview=Preview.NONE, **spec)
    else:
        toy = Toy(world.spec("v2", preview=Preview.NONE, **spec))
    return toy.behaves("v2", Mode.WRONG).wish("v2").run(Phase.VERIFYING)


def failed_back(toy: Toy, reason: Reason) -> None:
    assert toy.status.phase == Outcome.REVERT_FAILED
    assert toy.says(ConditionType.READY) == ("False", reason)
    assert toy.says(ConditionType.STALLED) == ("True", reason)
    assert toy.says(ConditionType.SERVING)[0] == "False"
    assert (toy.status.active, toy.status.active_revision) == (None, None)
    assert "Nothing more is tried. Runbook: docs/operations.md#revertfailed" in toy.message()


def test_the_way_back_needs_no_revision_object() -> None:
    toy = reverting()
    del toy.revisions["v1"], toy.revisions["v2"]
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.carries() == "v1"


def test_a_config_map_that_is_gone_is_made_again_from_the_revision() -> None:
    toy = reverting()
    toy.config_maps.clear()
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert any(isinstance(a, EnsureConfigMap) for d in toy.decisions for a in d.actions)
    assert len(toy.config_maps) == 1


def test_without_config_map_and_revision_there_is_no_way_back() -> None:
    toy = reverting()
    toy.config_maps.clear()
    del toy.revisions["v1"]
    failed_back(toy.run(), Reason.REVISION_NOT_FOUND)


def test_a_config_map_with_other_bytes_is_no_way_back() -> None:
    toy = reverting()
    toy.config_maps = {n: replace(c, content=None) for n, c in toy.config_maps.items()}
    failed_back(toy.run(), Reason.ENVIRONMENT_CONFIGURATION)


def test_stable_that_fails_the_same_check_ends_hands_off() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    toy.behaves("v1", Mode.WRONG).run()
    failed_back(toy, Reason.STABLE_FAILING)
    assert "and v1 fails too: check" in toy.message()
    applied = [a for d in toy.decisions for a in d.actions if isinstance(a, ApplyTemplate)]
    assert [
        a.body["spec"]["template"]["metadata"]["annotations"]["belay.dev/revision"] for a in applied
    ] == ["v1", "v2", "v1"]
    written = toy.writes
    toy.advance(3600).turn().turn()
    assert toy.writes == written


def test_stable_in_a_crash_loop_ends_hands_off() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    failed_back(toy.behaves("v1", Mode.CRASHING).run(), Reason.STABLE_FAILING)


def test_old_restarts_of_stable_pods_are_no_crash_loop() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    toy.turn().kubelet()
    for number, old in enumerate(toy.pods):
        like = {"metadata": {"annotations": old["metadata"]["annotations"]}, "spec": old["spec"]}
        owner = old["metadata"]["ownerReferences"][0]["uid"]
        toy.pods[number] = world.pod(old["metadata"]["name"], owner, like=like, restarts=7)
    toy.turn().probe().turn()
    assert toy.status.phase == Outcome.REVERTED


def test_a_way_back_that_is_not_complete_in_time_says_how_far_it_came() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    failed_back(toy.behaves("v1", Mode.UNREADY).run(), Reason.REVERT_TIMEOUT)
    assert "the way back is not complete after 5m (Deployment triage: 0 of 2 pods)" in toy.message()


def test_a_way_back_without_a_verdict_is_taken_when_it_is_complete() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    toy.behaves("v1", Mode.SILENT).run()
    assert toy.status.phase == Outcome.REVERTED


def test_what_the_server_refuses_on_the_way_back_ends_hands_off() -> None:
    toy = reverting()
    toy.refusals[ApplyTemplate] = Refusal(Reason.ENVIRONMENT_FORBIDDEN, "admission says no")
    failed_back(toy.run(), Reason.ENVIRONMENT_FORBIDDEN)


@pytest.mark.parametrize("how", ["deleted", "consents no more"])
def test_without_any_target_there_is_nothing_to_bring_back(how: str) -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    if how == "deleted":
        toy.workloads.clear()
    else:
        toy.workloads["triage"]["metadata"]["annotations"].clear()
    failed_back(toy.run(), Reason.ENVIRONMENT_TARGET_GONE)


def test_one_target_that_is_gone_keeps_no_other_from_its_way_back() -> None:
    toy = reverting(workloads=("triage", "intake"))
    del toy.workloads["intake"]
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.carries() == "v1"


def test_a_target_of_zero_pods_goes_back_by_completion() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    toy.workloads["triage"]["spec"]["replicas"] = 0
    toy.run()
    assert toy.status.phase == Outcome.REVERTED


def test_the_first_activation_withdraws_from_every_target() -> None:
    toy = reverting(stable=False, workloads=("triage", "intake"))
    own = [raw["spec"]["template"] for raw in map(world.deployment, ("triage", "intake"))]
    toy.run()
    assert toy.status.phase == Outcome.FAILED
    assert [raw["spec"]["template"]["spec"] for raw in toy.workloads.values()] == [
        template["spec"] for template in own
    ]


def test_a_revert_that_nobody_watched_gets_fresh_time() -> None:
    toy = reverting()
    toy.run(Phase.REVERTING)
    toy.restart().advance(3600).turn()
    assert toy.status.phase == Phase.REVERTING
    toy.kubelet().turn().probe().turn()
    assert toy.status.phase == Outcome.REVERTED


def nobody_knows() -> Toy:
    """The way back failed, and v1 is well again."""
    toy = reverting()
    toy.config_maps.clear()
    gone = toy.revisions.pop("v1")
    toy.run()
    assert toy.status.phase == Outcome.REVERT_FAILED
    toy.revisions["v1"] = gone
    return toy


def test_after_a_failed_way_back_the_stable_revision_is_delivered_and_proven_anew() -> None:
    toy = nobody_knows().wish("v1").run()
    assert toy.status.phase == Outcome.PROMOTED
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)


def test_after_a_failed_way_back_a_failed_wish_brings_the_stable_revision_back() -> None:
    toy = nobody_knows().behaves("v3", Mode.WRONG).wish("v3", preview=Preview.POD).run()
    assert toy.status.phase == Outcome.REVERTED
    assert (toy.carries(), toy.status.active_revision) == ("v1", "v1")
    assert "v1 runs again" in toy.message()


def test_a_stable_revision_that_fails_too_is_not_said_to_have_kept_serving() -> None:
    toy = reverting().behaves("v1", Mode.WRONG).run()
    failed_back(toy, Reason.STABLE_FAILING)
    toy.behaves("v3", Mode.WRONG).wish("v3", preview=Preview.POD).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.HELD, "v1")
    assert "what runs is left as it is; v3 is not live" in toy.message()
    assert toy.status.active_revision is None
    assert toy.says(ConditionType.SERVING)[0] == "False"
