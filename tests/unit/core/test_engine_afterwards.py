"""What becomes of paused runs on each way out: by `afterwards`, by `afterRevert`, or they go on."""

from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.test_engine_plan import engine, pod, run

from belay.api.instance_kinds import SHIPPED, Write
from belay.api.instances import AfterRevert, Afterwards, Instances, Policy, RunsAfterwards
from belay.api.status import Rollout, TargetRecord
from belay.api.words import Outcome, Phase, Reason
from belay.core.engine.actions import SettleRuns
from belay.core.engine.plan import GO_ON, Then
from belay.core.engine.steps import objection, resuming
from belay.core.engine.view import EngineView, Fate
from belay.core.instances.account import to_cancel
from belay.core.instances.view import InstanceView
from belay.core.observed import Observed
from belay.core.phases.pausing import pausing

TO = world.ref("v2")
OF_WHAT_FAILED = Then(Fate.CANCELLED, TO.content_digest)
FAILED = {"ending": Outcome.REVERTED, "delivered": True}
THROUGH = {"activated_at": world.NOW, "delivered": True}
ANEW, ENDED = Fate.RESTARTED, Fate.CANCELLED


def seen(engine_view: EngineView | None, after: str = "Resume", revert: str = "Pin") -> Observed:
    how = {
        "port": 8081,
        "tokenFrom": {"secretKeyRef": {"name": "engine", "key": "token"}},
        "afterwards": after,
    }
    wanted = Instances.model_validate({"engine": how, "afterRevert": revert})
    spec = world.spec().model_copy(update={"instances": wanted})
    return world.observed(spec=spec, engine=engine_view)


def rollout(**more: Any) -> Rollout:
    begun = Rollout(
        id="2-1",
        kind="Rollout",  # type: ignore[arg-type]
        trigger="Spec",  # type: ignore[arg-type]
        to=TO,
        attempt_digest=world.digest("try"),
        phase=Phase.RESUMING,
        started_at=world.NOW,
        phase_started_at=world.NOW,
    )
    return begun.model_copy(update=more)


@pytest.mark.parametrize(
    ("after", "revert", "at", "then"),
    [
        ("Resume", "Restart", THROUGH, GO_ON),
        ("Restart", "Pin", THROUGH, Then(ANEW)),
        ("Cancel", "Pin", THROUGH, Then(ENDED)),
        ("Restart", "Cancel", {}, GO_ON),
        ("Cancel", "Cancel", {}, GO_ON),
        ("Cancel", "Cancel", {**THROUGH, "suspended_at": world.NOW}, GO_ON),
        ("Cancel", "Cancel", {**FAILED, "suspended_at": world.NOW}, GO_ON),
        ("Cancel", "Restart", FAILED, Then(ANEW, TO.content_digest)),
        ("Restart", "Cancel", FAILED, OF_WHAT_FAILED),
        ("Restart", "Cancel", {**FAILED, **THROUGH}, OF_WHAT_FAILED),
        ("Cancel", "Pin", FAILED, Then(Fate.RESUMED, TO.content_digest)),
        ("Cancel", "Cancel", {**FAILED, "delivered": False}, GO_ON),
        ("Cancel", "Cancel", {**FAILED, "ending": Outcome.HELD}, GO_ON),
        ("Cancel", "Cancel", {**FAILED, "ending": Outcome.REVERT_FAILED}, GO_ON),
        ("Restart", "Cancel", {**FAILED, "ending": Outcome.ABORTED}, OF_WHAT_FAILED),
    ],
)  # fmt: skip
def test_what_becomes_of_paused_runs(
    after: str, revert: str, at: dict[str, Any], then: Then
) -> None:
    step = resuming(seen(engine(pod("a", run("r"))), after, revert), rollout(**at))
    assert isinstance(step, SettleRuns)
    assert step.then == then


@pytest.mark.parametrize("policy", RunsAfterwards)
def test_an_engine_is_asked_only_for_what_the_workflow_wants(policy: RunsAfterwards) -> None:
    able, unable = pod("a", restarts=True), pod("b")
    assert objection(seen(engine(able), policy)) is None
    assert objection(seen(None, policy)) is None
    told = objection(seen(engine(able, unable), policy))
    assert (told is not None) is (policy is RunsAfterwards.RESTART)
    assert told is None or ("pod b cannot begin a run anew" in told and "Resume" in told)


def test_a_person_who_takes_over_before_the_gate_finds_nothing_ended() -> None:
    """Not by `afterwards`: that is for instances of a revision that is through the gate."""
    kind = SHIPPED[0].model_copy(update={"cancel": Write(path="spec.stop", value=True)})
    one = InstanceView(kind, "a", "uid-of-a", Policy.PAUSE, Afterwards.CANCEL, suspended=True)
    assert not to_cancel(seen(None, revert=AfterRevert.CANCEL), rollout(), (one,))
    assert to_cancel(seen(None), rollout(**THROUGH), (one,)) == {one.uid}


def test_an_engine_that_came_meanwhile_and_cannot_ends_the_rollout_before_the_delivery() -> None:
    """Such as by another image, while a preview pod was tried."""
    came = seen(engine(pod("a")), "Restart")
    there = came.workloads[0]
    target = TargetRecord(kind="Deployment", name=there.name, uid=there.uid, template_hash="")
    begun = rollout(phase=Phase.PAUSING, paused=True, targets=[target])
    status = pausing(came, world.NOW, begun).status
    assert status is not None
    assert status.rollout is not None
    assert (status.rollout.reason, status.rollout.delivered) == (
        Reason.INSTANCES_UNSUPPORTED,
        False,
    )
