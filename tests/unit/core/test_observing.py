"""Observing: real traffic for the window, then one write moves stable."""

import re
from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import check

from belay.api.check import Check
from belay.api.words import ConditionType, Outcome, Phase, Reason, Stage
from belay.api.workflow import OnFailure, OnInconclusive, Preview
from belay.core.decide import decide


def observed_(mode: Mode = Mode.GOOD, **spec: object) -> Toy:
    """v2 through the gate, and from there on behaving so."""
    toy = promoted("v1", preview=Preview.NONE)
    toy.wish("v2", **spec).run(Phase.OBSERVING)
    return toy.behaves("v2", mode)


def test_stable_moves_only_at_the_end_of_the_window_in_one_write() -> None:
    toy = observed_()
    written = toy.writes
    for _ in range(9):
        toy.turn().kubelet().probe().advance(1)
        assert (toy.status.active_revision, toy.status.stable_revision) == ("v2", "v1")
    toy.run()
    assert toy.writes == written + 1
    assert toy.status.stable == toy.status.active == world.ref("v2")
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)
    assert toy.status.history[0].activated


def test_a_late_failure_goes_back() -> None:
    toy = observed_(Mode.WRONG).run()
    assert toy.status.phase == Outcome.REVERTED
    assert (toy.status.active_revision, toy.carries()) == ("v1", "v1")
    assert toy.says(ConditionType.READY) == ("False", Reason.CHECK_FAILED)
    assert toy.status.history[0].activated
    assert len(toy.status.quarantine) == 1


def test_a_late_failure_is_held_where_the_user_says_so_and_counts_as_active() -> None:
    toy = observed_(Mode.WRONG, on_failure=OnFailure.HOLD).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.says(ConditionType.ACTIVE) == ("True", Reason.ACTIVATED)
    assert toy.says(ConditionType.READY) == ("False", Reason.CHECK_FAILED)


def test_a_window_of_no_time_promotes_at_the_gate_in_one_write() -> None:
    toy = promoted("v1", preview=Preview.NONE)
    toy.wish("v2", window="0s").run(Phase.VERIFYING)
    written = toy.writes
    toy.run()
    assert toy.writes == written + 1
    assert toy.status.phase == Outcome.PROMOTED
    assert (toy.status.rollout.evidence, toy.status.rollout.targets) == ([], [])
    assert re.fullmatch(r"\d+ of \d+ answers right, from 2 pods", toy.status.rollout.message)


def test_without_checks_availability_is_the_proof_and_says_so() -> None:
    toy = observed_(checks=[]).run()
    assert toy.says(ConditionType.READY) == ("True", Reason.AVAILABILITY_ONLY)


def restarts_once(toy: Toy) -> str:
    """A container of the first pod; the pod's name."""
    toy.pods = [world.pod(p["metadata"]["name"], _owner(p), like=_like(p)) for p in toy.pods]
    name = str(toy.pods[0]["metadata"]["name"])
    toy.pods[0] = world.pod(name, _owner(toy.pods[0]), like=_like(toy.pods[0]), restarts=1)
    return name


@pytest.mark.parametrize("checks", [[], [check(at=[Stage.GATE])]], ids=["none", "at the gate"])
def test_a_restart_in_a_window_that_no_check_watches_breaks_the_proof(checks: list[Check]) -> None:
    toy = observed_(checks=checks)
    name = restarts_once(toy)
    toy.turn()
    assert toy.status.phase == Phase.REVERTING
    assert toy.status.rollout.reason is Reason.CONTAINER_RESTARTED
    assert toy.status.rollout.message == (
        f"a container of pod {name} restarted in the window, last with exit code 1"
    )


def test_a_restart_in_a_window_that_a_check_watches_is_left_to_the_check() -> None:
    toy = observed_(checks=[check(at=[Stage.OBSERVATION])])
    restarts_once(toy)
    toy.turn()
    assert toy.status.phase == Phase.OBSERVING


def test_restarts_before_the_window_are_no_evidence() -> None:
    toy = promoted("v1", preview=Preview.NONE)
    toy.wish("v2", checks=[]).turn()
    toy.kubelet()
    toy.pods[0] = world.pod(
        toy.pods[0]["metadata"]["name"], _owner(toy.pods[0]), like=_like(toy.pods[0]), restarts=1
    )
    toy.turn()
    assert toy.status.phase == Phase.OBSERVING
    assert toy.status.rollout.targets[0].restarts == 1
    toy.turn()
    assert toy.status.phase == Phase.OBSERVING


def _owner(pod: world.Raw) -> str:
    return str(pod["metadata"]["ownerReferences"][0]["uid"])


def _like(pod: world.Raw) -> world.Raw:
    return {"metadata": {"annotations": pod["metadata"]["annotations"]}, "spec": pod["spec"]}


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [
        (OnInconclusive.HOLD, Outcome.HELD),
        (OnInconclusive.REVERT, Outcome.REVERTED),
        (OnInconclusive.PROMOTE, Outcome.PROMOTED),
    ],
)
def test_a_window_without_an_answer_follows_the_policy(
    policy: OnInconclusive, outcome: Outcome
) -> None:
    toy = observed_(Mode.SILENT, on_inconclusive=policy).run()
    assert toy.status.phase == outcome
    assert not toy.status.quarantine


def test_a_window_that_passed_unwatched_grants_one_evidence_period() -> None:
    toy = observed_().restart().advance(3600).turn()
    assert toy.status.phase == Phase.OBSERVING
    toy.probe().turn()
    assert toy.status.phase == Outcome.PROMOTED
    toy = observed_(Mode.SILENT).restart().advance(3600).turn()
    toy.probe().advance(4.9).turn()
    assert toy.status.phase == Phase.OBSERVING
    toy.advance(0.2).turn()
    assert toy.status.phase == Outcome.HELD


def test_a_streak_that_began_at_the_end_of_the_window_is_heard_out() -> None:
    toy = observed_(checks=[check(failure_threshold=3)])
    for _ in range(10):
        toy.turn().kubelet().probe().advance(1)
    toy.behaves("v2", Mode.WRONG).probe().turn()
    assert toy.status.phase == Phase.OBSERVING
    toy.probe().probe().turn()
    assert toy.status.rollout.reason is Reason.CHECK_FAILED


def test_without_checks_a_target_that_is_incomplete_at_the_end_gives_no_verdict() -> None:
    toy = observed_(checks=[])
    toy.workloads["triage"]["status"]["availableReplicas"] = 1
    toy.advance(10).turn()
    assert toy.status.phase == Phase.OBSERVING
    toy.advance(6).turn()
    assert toy.status.phase == Outcome.HELD
    assert "no verdict within 16 s: 2 of 2 pods ready" in toy.message()


def test_scaling_in_mid_rollout_disturbs_nothing() -> None:
    toy = observed_()
    toy.workloads["triage"]["spec"]["replicas"] = 5
    toy.run()
    assert toy.status.phase == Outcome.PROMOTED
    plans = [d.probes for d in toy.decisions if d.probes is not None]
    assert len({p.pod for p in plans[-1].probes if p.stage is Stage.OBSERVATION}) == 5


def test_the_clock_of_the_window_asks_for_the_next_look() -> None:
    toy = observed_().turn().advance(8)
    decision = decide(toy.observe(), toy.now)
    assert decision.requeue.total_seconds() <= 2


def test_targets_that_the_record_does_not_know_break_nothing() -> None:
    toy = observed_()
    seen = toy.observe()
    rollout = toy.status.rollout.model_copy(update={"targets": [], "phase": Phase.VERIFYING})
    seen = replace(seen, status=toy.status.model_copy(update={"rollout": rollout}))
    decision = decide(seen, toy.now)
    assert decision.status.rollout.reason is Reason.ENVIRONMENT_TARGET_GONE
