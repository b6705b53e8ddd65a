"""Delivering and Verifying: Kubernetes rolls the pods, then every check passes on every new pod."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import check

from belay.api.words import ConditionType, Outcome, Phase, Reason, Stage
from belay.api.workflow import OnFailure, OnInconclusive, Preview
from belay.core.decide import decide
from belay.core.decision import ApplyTemplate, EnsureConfigMap
from belay.core.observed import Refusal


def live(mode: Mode = Mode.GOOD, *, stable: bool = True, **spec: object) -> Toy:
    """v2 delivered without a preview, so that the first pods that run it are live ones."""
    toy = promoted("v1") if stable else Toy(world.spec("v2", preview=Preview.NONE))
    toy.behaves("v2", mode).wish("v2", preview=Preview.NONE, **spec)
    toy.decisions.clear()
    return toy


def test_intent_content_and_template_take_three_writes_in_this_order() -> None:
    toy = live()
    written = toy.writes
    toy.turn()
    kinds = [type(a).__name__ for d in toy.decisions for a in d.actions]
    assert kinds == ["TryDelivery", "EnsureConfigMap", "ApplyTemplate"]
    assert toy.writes == written + 1
    assert toy.carries() == "v2"


def test_without_a_preview_the_record_says_delivered_before_the_first_side_effect() -> None:
    toy = live()
    toy.step()
    decision = toy.step()
    assert decision.status.rollout.delivered
    assert decision.status.rollout.phase is Phase.DELIVERING
    assert decision.actions == ()


def test_completion_leads_to_the_gate_and_the_gate_activates() -> None:
    toy = live().run(Phase.VERIFYING)
    assert toy.status.active_revision == "v1"
    toy.run(Phase.OBSERVING)
    assert (toy.status.active_revision, toy.status.stable_revision) == ("v2", "v1")
    assert toy.says(ConditionType.ACTIVE) == ("True", Reason.ACTIVATED)
    assert toy.says(ConditionType.READY)[0] == "Unknown"
    assert toy.says(ConditionType.SERVING)[0] == "Unknown"


def test_the_gate_waits_for_a_target_that_is_not_complete_any_more() -> None:
    toy = live().run(Phase.VERIFYING)
    whole = dict(toy.workloads["triage"]["status"])
    toy.workloads["triage"]["status"]["availableReplicas"] = 1
    toy.probe().probe().turn()
    assert toy.status.phase == Phase.VERIFYING
    toy.workloads["triage"]["status"] = whole
    toy.turn()
    assert toy.status.phase == Phase.OBSERVING


def test_without_checks_at_the_gate_completion_activates_at_once() -> None:
    toy = live(checks=[check(at=[Stage.OBSERVATION])])
    toy.turn().kubelet().turn()
    assert toy.status.phase == Phase.OBSERVING


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (Mode.WRONG, Reason.CHECK_FAILED),
        (Mode.CRASHING, Reason.CRASH_LOOP),
        (Mode.UNREADY, Reason.NOT_READY),
    ],
)
def test_the_revisions_fault_brings_stable_back(mode: Mode, reason: Reason) -> None:
    toy = live(mode).run(Phase.REVERTING)
    assert toy.says(ConditionType.READY) == ("Unknown", reason)
    assert toy.message().endswith("Going back to v1")
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.carries() == "v1"
    assert "v1 runs again" in toy.message()
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)
    assert toy.spec.active_revision == "v2"
    assert [q.reason for q in toy.status.quarantine] == [reason]


@pytest.mark.parametrize(
    ("mode", "reason", "within"),
    [
        (Mode.NO_IMAGE, Reason.ENVIRONMENT_IMAGE, 20),
        (Mode.NO_ROOM, Reason.ENVIRONMENT_SCHEDULING, 320),
        (Mode.NO_QUOTA, Reason.ENVIRONMENT_QUOTA, 320),
    ],
)
def test_trouble_around_it_reverts_without_quarantine(
    mode: Mode, reason: Reason, within: float
) -> None:
    toy = live(mode)
    began = toy.now
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", reason)
    assert not toy.status.quarantine
    assert (toy.now - began).total_seconds() < within


def test_a_failure_is_held_alive_where_the_user_says_so() -> None:
    toy = live(Mode.WRONG, on_failure=OnFailure.HOLD).run()
    assert toy.status.phase == Outcome.HELD
    assert (toy.carries(), toy.status.active_revision) == ("v2", "v2")
    assert "v2 runs unproven, v1 is kept to go back to" in toy.message()
    assert toy.says(ConditionType.SERVING) == ("False", Reason.INCONCLUSIVE)
    assert len(toy.status.quarantine) == 1


def test_what_stable_failed_before_is_held_and_stays() -> None:
    toy = live(Mode.WRONG).behaves("v1", Mode.WRONG).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.carries() == "v2"


def test_the_answers_of_stray_pods_blame_no_stable_revision() -> None:
    toy = live(Mode.WRONG, on_failure=OnFailure.HOLD).run("Held")
    toy.behaves("v3", Mode.WRONG).wish("v3", on_failure=OnFailure.REVERT).run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.carries() == "v1"


@pytest.mark.parametrize(
    ("policy", "phase", "carried"),
    [
        (OnInconclusive.HOLD, Outcome.HELD, "v2"),
        (OnInconclusive.REVERT, Outcome.REVERTED, "v1"),
        (OnInconclusive.PROMOTE, Phase.OBSERVING, "v2"),
    ],
)
def test_no_verdict_at_the_gate_follows_the_policy(
    policy: OnInconclusive, phase: str, carried: str
) -> None:
    toy = live(Mode.SILENT, on_inconclusive=policy).run(phase)
    assert toy.carries() == carried
    assert not toy.status.quarantine


def test_the_first_activation_that_fails_gives_the_workload_its_own_template_back() -> None:
    toy = live(Mode.WRONG, stable=False)
    own = toy.workloads["triage"]["spec"]["template"]
    toy.run()
    assert toy.status.phase == Outcome.FAILED
    assert toy.workloads["triage"]["spec"]["template"] == own
    assert (toy.status.active, toy.status.stable) == (None, None)
    assert "the workload runs its own template" in toy.message()


def test_a_target_of_zero_pods_has_no_gate_and_is_held() -> None:
    toy = live()
    toy.workloads["triage"]["spec"]["replicas"] = 0
    toy.run()
    assert toy.status.phase == Outcome.HELD
    assert toy.says(ConditionType.READY) == ("False", Reason.NO_PODS)


def test_a_target_that_is_replaced_in_mid_rollout_ends_it() -> None:
    for phase in (Phase.DELIVERING, Phase.VERIFYING, Phase.OBSERVING):
        toy = live().run(phase)
        toy.workloads["triage"] = world.deployment("triage")
        toy.workloads["triage"]["metadata"]["uid"] = "uid-of-another"
        toy.run()
        assert toy.status.phase == Outcome.REVERTED
        assert toy.says(ConditionType.READY) == ("False", Reason.ENVIRONMENT_TARGET_GONE)
        assert "was deleted or replaced in mid-rollout" in toy.message()
        assert toy.carries() == "v1"


def test_whoever_undoes_a_delivery_is_not_fought() -> None:
    for phase in (Phase.VERIFYING, Phase.OBSERVING):
        toy = live().run(phase)
        toy.undo().run()
        assert toy.status.phase == Outcome.REVERTED
        assert toy.says(ConditionType.READY) == ("False", Reason.TARGET_CHANGED)
        assert "kubectl-rollout took the delivery out of Deployment triage" in toy.message()
        assert not toy.status.quarantine
        assert toy.carries() == "v1"


def test_a_delivery_that_is_taken_out_again_and_again_ends_at_the_deadline() -> None:
    toy = live().run(Phase.DELIVERING)
    while toy.status.phase == Phase.DELIVERING:
        toy.undo().step()
        toy.advance(30)
    assert toy.run().status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", Reason.TARGET_CHANGED)


def test_a_failure_after_a_foreign_change_is_not_the_revisions() -> None:
    toy = live(Mode.WRONG).run(Phase.VERIFYING)
    toy.change_image("triage:2").run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", Reason.TARGET_CHANGED)
    assert "but kubectl-set changed the pod template of Deployment triage meanwhile" in (
        toy.message()
    )
    assert not toy.status.quarantine


def test_a_foreign_change_starts_fresh_evidence() -> None:
    toy = live(Mode.WRONG).run(Phase.VERIFYING)
    toy.kubelet().turn().probe().probe()
    session = toy.plan.session
    toy.change_image("triage:2").turn()
    assert toy.plan.session != session
    assert not any(t.tries for t in toy.tallies.values())


def test_what_the_server_refuses_in_mid_rollout_reverts_without_quarantine() -> None:
    toy = live()
    toy.refusals[ApplyTemplate] = Refusal(Reason.DELIVERY_CONFLICT, "argocd owns the field")
    toy.turn()
    toy.refusals.clear()
    toy.run()
    assert toy.status.phase == Outcome.REVERTED
    assert toy.says(ConditionType.READY) == ("False", Reason.DELIVERY_CONFLICT)
    assert not toy.status.quarantine


def test_a_config_map_with_other_bytes_is_not_mounted() -> None:
    toy = live()
    toy.step()
    toy.step()
    toy.step()
    (name,) = {a.body["metadata"]["name"] for a in toy.decisions[-1].actions}
    toy.config_maps[name] = replace(toy.config_maps[name], content=None)
    toy.turn()
    assert toy.status.phase in (Phase.REVERTING, Outcome.REVERTED)
    assert toy.status.rollout.reason is Reason.ENVIRONMENT_CONFIGURATION
    assert "holds other content than its name says" in toy.status.rollout.message


def test_a_config_map_gets_every_target_as_owner_and_keeps_its_content() -> None:
    toy = live()
    toy.step()
    toy.step()
    toy.step()
    (name,) = {a.body["metadata"]["name"] for a in toy.decisions[-1].actions}
    toy.config_maps[name] = replace(toy.config_maps[name], owners=frozenset({"uid-of-old"}))
    decision = toy.step()
    (action,) = decision.actions
    assert isinstance(action, EnsureConfigMap)
    assert action.body["metadata"]["uid"] == f"uid-of-{name}"
    assert action.body["data"] == {"definition.yaml": "behaviour: v2\n"}
    assert [o["uid"] for o in action.body["metadata"]["ownerReferences"]] == ["uid-of-triage"]


def test_a_deadline_that_passed_unwatched_grants_fresh_evidence() -> None:
    toy = live().run(Phase.VERIFYING)
    toy.restart().advance(3600).turn()
    assert toy.status.phase == Phase.VERIFYING
    toy.run(Phase.OBSERVING)
    toy = live(Mode.UNREADY).turn()
    toy.kubelet().restart().advance(3600).turn()
    assert toy.status.phase == Phase.DELIVERING
    toy.advance(6).turn()
    assert toy.status.rollout.reason is Reason.NOT_READY


def test_a_phase_that_this_operator_does_not_know_is_held() -> None:
    toy = live().run(Phase.DELIVERING)
    strange = toy.status.rollout.model_copy(update={"phase": Phase.GATING})
    toy.status = toy.status.model_copy(update={"rollout": strange})
    toy.turn()
    assert toy.status.phase == Outcome.HELD
    assert "phase Gating is unknown here" in toy.message()


def test_two_targets_are_delivered_and_proven_together() -> None:
    toy = Toy(world.spec("v1", workloads=("triage", "intake"), preview=Preview.NONE))
    toy.turn()
    assert (toy.carries("triage"), toy.carries("intake")) == ("v1", "v1")
    (config_map,) = toy.config_maps.values()
    assert config_map.owners == {"uid-of-triage", "uid-of-intake"}
    assert toy.run().status.phase == Outcome.PROMOTED


def test_a_step_without_news_is_told_nothing() -> None:
    toy = live().turn()
    decision = decide(toy.observe(), toy.now)
    assert (decision.actions, decision.status, decision.milestones) == ((), None, ())
    assert decision.follow


def test_each_action_tells_in_the_log_what_it_does() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    own = Toy(world.spec("v2", preview=Preview.NONE)).behaves("v2", Mode.WRONG).run()
    told = [a.told for one in (toy, own) for d in one.decisions for a in d.actions]
    name = next(iter(toy.config_maps))
    assert {
        "asking the server by a dry run",
        f"applying ConfigMap {name}",
        "creating the preview pod wf-1-preview-2-1",
        "deleting the preview pod wf-1-preview-2-1",
        "delivering to Deployment triage",
        "withdrawing from Deployment triage",
    } <= set(told)
    assert str(toy.observe().key) == "shop/wf-1"


@pytest.mark.parametrize("stable", [True, False])
def test_what_the_server_refused_is_held_without_being_called_live(stable: bool) -> None:
    toy = live(on_failure=OnFailure.HOLD, stable=stable)
    before = toy.carries()
    toy.refusals[ApplyTemplate] = Refusal(Reason.ENVIRONMENT_FORBIDDEN, "exceeded quota")
    toy.run()
    assert toy.status.phase == Outcome.HELD
    assert (toy.status.active_revision, toy.carries()) == (before, before)
    assert "v2 is not live" in toy.message()


@pytest.mark.parametrize("hold", [True, False])
def test_a_wish_back_to_stable_that_is_refused_calls_nothing_active(hold: bool) -> None:
    """v2 of the rollout before still runs, and was never proven."""
    toy = live().run(Phase.VERIFYING)
    toy.refusals[ApplyTemplate] = Refusal(Reason.ENVIRONMENT_FORBIDDEN, "not now")
    toy.wish("v1", on_failure=OnFailure.HOLD if hold else OnFailure.REVERT).run()
    assert toy.carries() == "v2"
    assert (toy.status.phase, toy.status.active_revision) == (Outcome.HELD, None)
    assert toy.status.stable_revision == "v1"
    assert toy.says(ConditionType.SERVING)[0] == "Unknown"
    assert "what runs is left as it is; v1 is not live" in toy.message()
