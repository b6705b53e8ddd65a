"""An engine in the phases of a rollout and at rest: what each turn asks, awaits and tells."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.test_engine_phases import (
    CLOSED,
    HELD,
    MARK,
    REFUSED,
    STORED,
    V1,
    V2,
    engine,
    marked,
    pod,
    reloading,
    rollout,
    run,
    storing,
)
from tests.unit.core.test_engine_plan import FOUND, HOW
from tests.unit.core.test_reports import REPORTS, pointer
from tests.unit.core.test_restore import BACKUP, BEGUN, at_rest, entry, lost, told
from tests.unit.core.world import NOW, observed, seconds, spec

from belay.api.instances import Instances as Wanted
from belay.api.instances import OnPauseTimeout, RunsAfterwards
from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason, RolloutKind, Trigger
from belay.core import milestones, moves, reading
from belay.core.decision import Decision
from belay.core.engine import actions, restore, steps
from belay.core.engine.plan import Settlement, Then
from belay.core.engine.view import Ask, EngineView, Fate, RunState
from belay.core.instances.view import Instances
from belay.core.observed import Observed, Refusal
from belay.core.phases import backing_up
from belay.core.phases.delivering import delivering
from belay.core.phases.pausing import pausing
from belay.core.phases.resuming import resuming
from belay.core.phases.reverting import reverting
from belay.core.rest.settled import settled
from belay.core.workloads.pointer import watching

MOVING = engine(pod("a", run("r", RunState.PAUSING), **CLOSED), r=FOUND)
NONE = Instances(world.UID, "2-1")
LABELLED = {"labelled": frozenset({"uid-of-triage"})}


def record_of(decision: Decision) -> Rollout:
    assert decision.status is not None
    assert decision.status.rollout is not None
    return decision.status.rollout


# Pausing


def waiting(found: EngineView | None, policy: OnPauseTimeout, **more: object) -> Observed:
    wanted = Wanted(engine=HOW, on_pause_timeout=policy)
    fields = {"spec": spec("v2", instances=wanted), "instances": NONE}
    return storing(found, rollout(phase=Phase.PAUSING, paused=True), **{**fields, **more})


def paused(seen: Observed, after: float = 61) -> Decision:
    assert seen.status.rollout is not None
    return pausing(seen, NOW + seconds(after), seen.status.rollout)


def test_runs_that_do_not_pause_end_the_rollout_by_name() -> None:
    record = record_of(paused(waiting(MOVING, OnPauseTimeout.ABORT)))
    assert (record.phase, record.ending) == (Phase.RESUMING, Outcome.REVERTED)
    assert record.reason is Reason.PAUSE_TIMEOUT
    assert record.message == "1 runs are not at a safe point (r) after 61 s"


def test_runs_that_do_not_pause_may_be_left_behind_or_waited_for() -> None:
    assert record_of(paused(waiting(MOVING, OnPauseTimeout.PROCEED))).phase is not Phase.PAUSING
    decision = paused(waiting(MOVING, OnPauseTimeout.WAIT))
    assert record_of(decision).phase is Phase.PAUSING


def test_what_stands_still_is_stored_next_and_a_way_back_has_less_time_for_it() -> None:
    still = replace(HELD, **LABELLED)  # type: ignore[arg-type]
    seen = waiting(still, OnPauseTimeout.ABORT, workloads=(marked(),))
    record = record_of(paused(seen, after=1))
    assert (record.phase, record.paused) == (Phase.BACKING_UP, True)
    assert record.deadline == NOW + seconds(1 + 60)
    back = rollout(phase=Phase.PAUSING, ending=Outcome.REVERTED)
    status = seen.status.model_copy(update={"rollout": back})
    short = spec("v2", instances=Wanted(engine=HOW))
    limits = short.deadlines.model_copy(update={"revert_pause": "7s"})
    limited = replace(seen, status=status, spec=short.model_copy(update={"deadlines": limits}))
    record = record_of(paused(limited, after=1))
    assert (record.phase, record.deadline) == (Phase.BACKING_UP, NOW + seconds(8))


def test_where_nothing_is_to_be_paused_any_more_the_rollout_goes_on() -> None:
    seen = storing(None, rollout(phase=Phase.PAUSING, runs=None), instances=None)
    assert record_of(paused(seen, after=1)).phase is Phase.DELIVERING


@pytest.mark.parametrize(
    ("phase", "after", "told"),
    [
        (Phase.PAUSING, 4, True),
        (Phase.PAUSING, 0.5, False),
        (Phase.BACKING_UP, 4, False),
    ],
)
def test_a_pause_that_takes_a_while_is_told_by_the_runs_it_waits_for(
    phase: Phase, after: float, told: bool
) -> None:
    seen = waiting(MOVING, OnPauseTimeout.ABORT)
    begun = rollout(phase=phase)
    decision = moves.stay(seen, NOW + seconds(after), begun, until=None)
    assert decision.status is not None
    ready = world.condition(decision.status, ConditionType.READY)
    assert ready is not None
    assert ready.message.endswith("1 runs are not at a safe point (r)") is told


@pytest.mark.parametrize("engine_", [HOW, None])
def test_what_an_engine_holds_is_kept_under_a_fresh_name_from_the_start(
    engine_: object,
) -> None:
    seen = waiting(MOVING, OnPauseTimeout.ABORT, spec=spec("v2", instances=Wanted(engine=engine_)))
    begun = moves.before_delivery(seen, NOW, rollout(phase=Phase.GATING, runs=None))
    assert (begun.phase, begun.paused) == (Phase.PAUSING, True)
    assert begun.runs == ("wf-1-runs-00000000-2-1-1" if engine_ else None)


# Notes


@pytest.mark.parametrize(
    ("found", "noted"),
    [
        (engine(pod("a", run("r", RunState.PAUSING), **CLOSED), r=FOUND), False),
        (engine(pod("a", run("r", RunState.PAUSING), run("s"), **CLOSED), r=FOUND), True),
        (engine(pod("a", run("r", RunState.PAUSING), run("s")), r=FOUND), False),
        (
            engine(
                pod("a", run("r", RunState.PAUSING), run("s"), **CLOSED),
                pod("b", problem="no answer"),
                r=FOUND,
            ),
            False,
        ),
    ],
    ids=["all is noted", "one began before all were closed", "more may begin", "a deaf pod"],
)
def test_the_record_is_extended_once_no_run_can_begin(found: EngineView, noted: bool) -> None:
    seen = storing(replace(found, **LABELLED), workloads=(marked(),))  # type: ignore[arg-type]
    assert seen.status.rollout is not None
    asked = steps.pausing(seen, seen.status.rollout)
    assert any(isinstance(a, actions.NoteRuns) for a in asked) is noted


def test_a_run_that_two_pods_know_is_where_it_lives() -> None:
    alive, over = run("r"), run("r", RunState.SUCCEEDED, None)
    for pods in ((pod("a", alive), pod("b", over)), (pod("b", over), pod("a", alive))):
        assert {i: p.name for i, (p, _) in engine(*pods).runs.items()} == {"r": "a"}


def test_what_a_former_pause_has_left_is_marked_on_the_target_by_its_backup() -> None:
    begun = rollout(backup="wf-1-runs-0a1b2c3d-1-1-1")
    known = replace(HELD, **LABELLED)  # type: ignore[arg-type]
    here = marked(replace(MARK, former=begun.backup))
    assert steps.pausing(storing(known, begun, workloads=(here,)), begun) == ()
    (action,) = steps.pausing(storing(known, begun, workloads=(marked(),)), begun)
    assert isinstance(action, actions.PauseEngine)
    ((workload, mark),) = action.unmarked
    assert (workload.name, mark.former, mark.runs) == ("triage", begun.backup, begun.runs)


def test_only_the_workload_of_the_engine_is_marked() -> None:
    how = HOW.model_copy(update={"workload": "worker"})
    both = (world.view(), world.view(world.deployment("worker"), name="worker"))
    seen = storing(replace(HELD, how=how), workloads=both)
    (action,) = steps.pausing(seen, rollout())
    assert isinstance(action, actions.PauseEngine)
    assert [w.name for w, _ in action.unmarked] == ["worker"]


# Backing up


def test_without_an_engine_only_what_the_target_runs_would_be_stored() -> None:
    assert backing_up._contents(storing(None)) == (V1,)


# Delivering


def delivered(seen: Observed, after: float = 1, **more: object) -> Decision:
    record = rollout(**{"phase": Phase.DELIVERING, "delivered": True, **more})
    status = seen.status.model_copy(update={"rollout": record, "active": world.ref("v1")})
    return delivering(replace(seen, status=status), NOW + seconds(after), record)


def carrying(*behind: str) -> Observed:
    """The pointer names v2 already, so that only pods are to be told."""
    seen = reloading(*behind)
    view = watching(seen.workloads[0], REPORTS, pointer("v2"), world.KEY.name)
    return replace(seen, workloads=(view,))


def test_pods_are_told_of_a_content_and_a_refusal_waits_a_moment() -> None:
    seen = carrying("a", "b")
    (action,) = delivered(seen).actions
    assert isinstance(action, actions.PushContent)
    busy = Refusal(Reason.ENGINE_UNREACHABLE, "a: busy")
    after = delivered(replace(seen, failure=busy))
    assert (after.actions, after.again) == ((), False)


def test_a_content_that_a_pod_rejects_before_any_uses_it_was_never_delivered() -> None:
    no = Refusal(Reason.REVISION_REJECTED, "a: node crm is unknown")
    before = record_of(delivered(replace(reloading("a", "b"), failure=no)))
    assert (before.reason, before.delivered) == (Reason.REVISION_REJECTED, False)
    begun = record_of(delivered(replace(reloading("a"), failure=no)))
    assert (begun.reason, begun.delivered) == (Reason.REVISION_REJECTED, True)


@pytest.mark.parametrize(
    ("known", "told"),
    [(frozenset({V1, V2}), "activating v2 in 2 pods"), (frozenset({V1}), "having 2 pods validate")],
    ids=["all know it", "none knows it yet"],
)
def test_the_way_back_tells_pods_too_and_a_refusal_waits(known: frozenset[str], told: str) -> None:
    seen = carrying("a", "b")
    assert seen.engine is not None
    pods = tuple(replace(p, loaded=known) for p in seen.engine.pods)
    seen = replace(seen, engine=replace(seen.engine, pods=pods))
    record = rollout(phase=Phase.REVERTING, delivered=True, to=world.ref("v3"))
    status = seen.status.model_copy(update={"rollout": record})
    seen = replace(seen, status=status)
    (action,) = reverting(seen, NOW, record).actions
    assert isinstance(action, actions.PushContent)
    assert action.told.startswith(told)
    busy = Refusal(Reason.ENGINE_UNREACHABLE, "a: busy")
    after = reverting(replace(seen, failure=busy), NOW, record)
    assert after.actions == ()


# Resuming


def test_runs_go_on_once_all_instances_are_let_go() -> None:
    begun = rollout(phase=Phase.RESUMING, activated_at=NOW)
    seen = storing(
        replace(STORED, **LABELLED),
        begun,
        instances=NONE,
        spec=spec(  # type: ignore[arg-type]
            "v2", instances=Wanted(engine=HOW)
        ),
    )
    decision = resuming(seen, NOW, begun)
    (action,) = decision.actions
    assert isinstance(action, actions.SettleRuns)
    assert decision.again
    refused = resuming(replace(seen, failure=REFUSED), NOW, begun)
    assert refused.actions == ()


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (
            actions.SettleRuns(
                HELD,
                "x",
                Settlement({}, ((pod("a"), "r"),), ((pod("b"), "s"), (pod("b"), "t"))),
                Then(Fate.RESTARTED),
                world.KEY,
            ),
            "restarting 1 runs in place, moving 2",
        ),
        (
            actions.ReleaseEngine(HELD, (pod("a"),), (), world.KEY),
            "opening the intake of 1 pods",
        ),
    ],
    ids=["settle", "release"],
)
def test_the_log_tells_how_runs_go_on(action: object, words: str) -> None:
    assert action.told == words  # type: ignore[attr-defined]


# What is read


@pytest.mark.parametrize(
    ("phase", "talk"),
    [
        (Phase.PAUSING, Ask.RUNS),
        (Phase.BACKING_UP, Ask.RUNS),
        (Phase.DELIVERING, Ask.CONTENTS),
        (Phase.REVERTING, Ask.CONTENTS),
        (Phase.RESUMING, Ask.RUNS),
        (Phase.OBSERVING, Ask.NOTHING),
    ],
)
def test_pods_are_asked_only_for_what_the_phase_uses(phase: Phase, talk: Ask) -> None:
    plain = reloading()
    begun = rollout(phase=phase)
    status = WorkflowStatus(active=world.ref("v1"), rollout=begun, observed_generation=1)
    needed = reading.needs(replace(plain, status=status))
    assert needed.engine is talk
    assert needed.pods or phase not in (Phase.DELIVERING, Phase.REVERTING)


# Restoring


def test_without_a_backup_no_run_has_a_standing() -> None:
    assert restore.standings(replace(engine(pod("a")), backup=None), restore.Wish("now")) == {}


def test_a_restore_that_a_rollout_overtook_is_asked_for_anew() -> None:
    later = rollout(
        kind=RolloutKind.ROLLOUT,
        trigger=Trigger.SPEC,
        started_at=NOW + seconds(1),
        outcome=Outcome.PROMOTED,
        ended_at=NOW + seconds(2),
    )
    seen = at_rest(engine=lost())
    status = seen.status.model_copy(update={"rollout": later})
    end = told(settled(replace(seen, status=status), NOW + seconds(3)))
    assert end.reason is Reason.RESTORE_FAILED
    assert end.message == "rollout 2-1 began meanwhile: ask again by another token"


def test_what_was_not_chosen_is_told_with_how_to_choose_it() -> None:
    gone, there = entry(Fate.RESUMED, "uid-of-z/one"), entry(Fate.RESUMED, "uid-of-a/one")
    found = engine(pod("a", run("s", RunState.RUNNING, None)), kept="r s", r=gone, s=there)
    end = told(settled(at_rest(engine=found), NOW))
    assert "1 had gone on before and are in no pod (r)" in end.message
    assert f'belay.dev/restore="{BACKUP}/all/$(date +%s)" --overwrite' in end.message
    assert end.message.endswith("1 were in pods already")


def test_a_restore_ends_with_an_event_of_its_own() -> None:
    begun = milestones.known(WorkflowStatus(restore=BEGUN), NOW - seconds(1))
    assert begun == ()
    over = BEGUN.model_copy(
        update={"ended_at": NOW, "reason": Reason.RESTORED, "message": "1 runs"}
    )
    (event,) = milestones.known(WorkflowStatus(restore=over), NOW - seconds(1))
    assert (event.reason, event.note, event.warning) == (Reason.RESTORED, "1 runs", False)
    assert milestones.known(WorkflowStatus(restore=over), NOW + seconds(1)) == ()
    bad = over.model_copy(update={"reason": Reason.RESTORE_FAILED})
    (event,) = milestones.restored(bad)
    assert event.warning


def test_a_target_that_is_gone_ends_a_pause() -> None:
    begun = rollout(phase=Phase.PAUSING, paused=True)
    gone = world.view(found=False)
    seen = storing(HELD, begun, workloads=(gone,), instances=NONE)
    decision = pausing(seen, NOW, begun)
    assert decision.status is not None
    assert decision.status.rollout is not None
    assert decision.status.rollout.reason is Reason.ENVIRONMENT_TARGET_GONE


def test_runs_that_stand_still_are_counted_when_the_pause_is_over() -> None:
    begun = rollout(phase=Phase.PAUSING, paused=True)
    still = replace(HELD, **LABELLED)
    wanted = spec("v2", instances=Wanted(engine=HOW))
    seen = storing(still, begun, spec=wanted, workloads=(marked(),), instances=NONE)
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


def test_an_engine_is_asked_of_runs_that_were_paused_before_the_spec_forgot_it() -> None:
    begun = rollout(phase=Phase.RESUMING)
    status = WorkflowStatus(active=world.ref("v1"), rollout=begun, observed_generation=1)
    assert reading.needs(observed(spec=spec("v2"), status=status)).engine is Ask.RUNS
    without = status.model_copy(update={"rollout": rollout(phase=Phase.RESUMING, runs=None)})
    assert reading.needs(observed(spec=spec("v2"), status=without)).engine is Ask.NOTHING


@pytest.mark.parametrize(
    ("afterwards", "asked"),
    [(RunsAfterwards.RESTART, Ask.CONTENTS), (RunsAfterwards.RESUME, Ask.NOTHING)],
)
def test_before_a_rollout_an_engine_is_asked_only_where_it_has_to_begin_runs_anew(
    afterwards: RunsAfterwards, asked: Ask
) -> None:
    how = HOW.model_copy(update={"afterwards": afterwards})
    seen = observed(spec=spec("v2", instances=Wanted(engine=how)))
    assert reading.needs(seen).engine is asked


def test_at_rest_the_active_content_is_read_where_a_pod_uses_another() -> None:
    assert reading.contents(reloading("a", revision=None)) == (world.ref("v2"),)
    assert reading.contents(reloading(revision=None)) == ()
