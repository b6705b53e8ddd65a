"""Short answers that longer stories rest on, and that none of them tells by itself."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.properties import consistent
from tests.unit.core.test_engine_phases import (
    CLOSED_ONLY,
    HELD,
    STORED,
    marked,
    rollout,
    storing,
)
from tests.unit.core.test_engine_plan import DIGEST, FOUND, HOW, engine, pod, run
from tests.unit.core.test_instances import running
from tests.unit.core.test_proof import BY_JOB, COMMAND, other
from tests.unit.core.test_restore import BEGUN, at_rest, entry
from tests.unit.core.toy import Mode, promoted
from tests.unit.core.world import NOW, check, observed, seconds, spec
from tests.unit.core.world import pod as raw_pod

from belay.api.check import Check
from belay.api.instance_kinds import SHIPPED
from belay.api.instances import InstanceCounts
from belay.api.instances import Instances as Wanted
from belay.api.status import WorkflowStatus
from belay.api.words import Outcome, Phase, Reason, Stage
from belay.api.workflow import Preview
from belay.core import milestones, reading
from belay.core.delivery import owned_by_workflow
from belay.core.engine import actions, plan, steps
from belay.core.engine.view import Ask, BackupView, Fate, Kept
from belay.core.evidence.asking import container_of
from belay.core.instances import account, record, telling
from belay.core.instances.view import Instances, read_instance
from belay.core.phases import observing
from belay.core.phases.pausing import pausing
from belay.core.phases.resuming import resuming
from belay.core.pods import read_pod
from belay.core.rest.settled import settled

LABELLED = {"labelled": frozenset({"uid-of-triage"})}


# The status


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


# Milestones


def test_milestones_are_told_from_the_very_second_on() -> None:
    toy = promoted("v1").wish("v2").run(Phase.OBSERVING).wish("v3").run(Phase.PREVIEWING)
    (gone,) = [h for h in toy.status.history if h.outcome is Outcome.SUPERSEDED]
    told = [m for m in milestones.known(toy.status, gone.ended_at) if m.reason == gone.outcome]
    assert [m.note.partition(" after ")[0] for m in told] == ["v2 gave way to a newer wish"]
    late = milestones.known(toy.status, gone.ended_at + seconds(1))
    assert not [m for m in late if m.reason == gone.outcome]


def test_a_refusal_is_told_with_its_reason_and_its_generation() -> None:
    told = milestones.refused(3, Reason.QUARANTINED, "no", NOW)
    assert (told.occasion, told.reason, told.note) == ("g3", Reason.QUARANTINED, "no")
    assert (told.warning, told.action) == (True, "Gate")


def test_what_is_made_for_a_workflow_goes_with_it() -> None:
    assert owned_by_workflow("wf-1", "uid") == {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "Workflow",
        "name": "wf-1",
        "uid": "uid",
        "controller": False,
        "blockOwnerDeletion": False,
    }


# Instances


def found(*names: str, suspended: bool = False) -> Instances:
    views = [
        replace(
            read_instance(SHIPPED[0], world.instance("Job", n, suspended=suspended), None, ()),
            holder=world.UID,
        )
        for n in names
    ]
    return Instances(world.UID, "2-1", tuple(views))


def test_a_pause_counts_all_that_it_found() -> None:
    counts = account.paused(found("a", "b", suspended=True), None)
    assert (counts.found, counts.paused) == (2, 2)


def test_the_account_of_a_pause_says_of_each_how_far_it_came() -> None:
    told = record.at_pausing(observed(), NOW, found("a", "b", suspended=True))
    assert told.stage == "pausing"
    assert [(line["name"], line["result"]) for line in told.lines] == [
        ("a", "paused"),
        ("b", "paused"),
    ]


def test_of_no_instances_nothing_is_told() -> None:
    assert telling.became(None) == ""
    assert "1 resumed" in telling.became(InstanceCounts(found=1, resumed=1))


# Pausing and resuming with an engine


def test_a_target_that_is_gone_ends_a_pause() -> None:
    begun = rollout(phase=Phase.PAUSING, paused=True)
    gone = world.view(found=False)
    nothing = Instances(world.UID, "2-1")
    seen = storing(HELD, begun, workloads=(gone,), instances=nothing)
    decision = pausing(seen, NOW, begun)
    assert decision.status is not None
    assert decision.status.rollout is not None
    assert decision.status.rollout.reason is Reason.ENVIRONMENT_TARGET_GONE


def test_runs_that_stand_still_are_counted_when_the_pause_is_over() -> None:
    begun = rollout(phase=Phase.PAUSING, paused=True)
    still = replace(HELD, **LABELLED)
    wanted = spec("v2", instances=Wanted(engine=HOW))
    nothing = Instances(world.UID, "2-1")
    seen = storing(still, begun, spec=wanted, workloads=(marked(),), instances=nothing)
    decision = pausing(seen, NOW, begun)
    assert decision.status is not None
    assert decision.status.rollout is not None
    counts = decision.status.rollout.instances
    assert counts is not None
    assert (counts.found, counts.paused) == (1, 1)


def test_resuming_needs_no_look_at_instances() -> None:
    begun = rollout(phase=Phase.RESUMING, activated_at=NOW, paused=True, deadline=NOW + seconds(60))
    seen = storing(replace(STORED, **LABELLED), begun, instances=None)
    (action,) = resuming(seen, NOW, begun).actions
    assert isinstance(action, actions.SettleRuns)


def test_the_last_step_out_of_a_pause_gives_up_the_marks() -> None:
    over = engine(pod("a", holders=frozenset({"uid-of-wf-1"})), r=replace(FOUND, fate=Fate.RESUMED))
    seen = storing(replace(over, **LABELLED), workloads=(marked(),))
    action = steps.resuming(seen, rollout())
    assert isinstance(action, actions.ReleaseEngine)
    assert [w.name for w in action.labelled] == ["triage"]
    assert [p.name for p in action.closed] == ["a"]


@pytest.mark.parametrize(
    ("then", "fate"),
    [
        (plan.Then(Fate.CANCELLED), Fate.CANCELLED),
        (plan.Then(Fate.CANCELLED, of="sha256:other"), Fate.RESUMED),
        (plan.GO_ON, Fate.RESUMED),
    ],
)
def test_what_became_of_a_run_is_what_was_meant_for_its_content(
    then: plan.Then, fate: Fate
) -> None:
    assert then.became(FOUND, run("r")) is fate
    begun_anew = replace(run("r"), content_digest="sha256:" + "b" * 64)
    assert then.became(FOUND, begun_anew) is Fate.RESTARTED


def test_all_that_a_backup_has_may_be_nothing() -> None:
    assert plan.kept_runs(CLOSED_ONLY) == {}
    former = BackupView("old", {"s": Kept(DIGEST, DIGEST)})
    assert set(plan.kept_runs(replace(STORED, former=former))) == {"r", "s"}


def test_an_engine_is_asked_of_runs_that_were_paused_before_the_spec_forgot_it() -> None:
    begun = rollout(phase=Phase.RESUMING)
    status = WorkflowStatus(active=world.ref("v1"), rollout=begun, observed_generation=1)
    assert reading.needs(observed(spec=spec("v2"), status=status)).engine is Ask.RUNS
    without = status.model_copy(update={"rollout": rollout(phase=Phase.RESUMING, runs=None)})
    assert reading.needs(observed(spec=spec("v2"), status=without)).engine is Ask.NOTHING


@pytest.mark.parametrize("everything", [True, False])
def test_a_wish_for_all_gives_runs_once_more_that_had_gone_on(everything: bool) -> None:
    begun = BEGUN.model_copy(update={"resumed_too": everything})
    kept = engine(pod("a"), kept="r", r=entry(Fate.RESUMED, "uid-of-z/one"))
    decision = settled(at_rest(begun, engine=kept), NOW)
    assert any(isinstance(a, actions.SettleRuns) for a in decision.actions) is everything


# Checks


def test_a_command_runs_in_the_container_that_it_names() -> None:
    there = read_pod(raw_pod("a"), "app")
    aside = other(exec={"command": ["x"], "container": "side"})
    asked = [container_of(c, there) for c in (aside, COMMAND, BY_JOB, check())]
    assert asked == ["side", "app", "app", "app"]


@pytest.mark.parametrize(
    ("checks", "reason"),
    [
        ([], Reason.CONTAINER_RESTARTED),
        ([check(at=[Stage.GATE])], Reason.CONTAINER_RESTARTED),
        ([check(at=[Stage.OBSERVATION])], None),
    ],
    ids=["no checks", "none in the window", "one in the window"],
)
def test_a_restart_in_the_window_counts_where_no_check_watches_it(
    checks: list[Check], reason: Reason | None
) -> None:
    restarted = read_pod(raw_pod("a", restarts=1), "app")
    seen = observed(
        spec=spec("v2", checks=checks), workloads=(replace(world.view(), pods=(restarted,)),)
    )
    why = observing._restarted(seen, rollout(phase=Phase.OBSERVING))
    assert (why.reason if why is not None else None) is reason
