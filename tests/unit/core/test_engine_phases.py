"""Storing runs, telling pods of a content, counting: the engine's part of each phase, as tables."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.test_engine_plan import DIGEST, FOUND, HOW, OWNER, engine, pod, run
from tests.unit.core.world import NOW, observed, seconds, spec

from belay.api.instances import InstanceCounts, Instances
from belay.api.status import Rollout, TargetRecord, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.api.workflow import TargetKind, Update, Workload
from belay.core.decision import Decision
from belay.core.delivery import config_map_name
from belay.core.engine import account, steps
from belay.core.engine.actions import BackUp, NoteRuns, PauseEngine, PushContent
from belay.core.engine.marks import Mark
from belay.core.engine.telling import unpaused
from belay.core.engine.view import BackupView, EngineView, Fate, Kept, RunState
from belay.core.observed import ConfigMapView, Observed, Refusal
from belay.core.phases import pushing
from belay.core.phases.backing_up import backing_up, is_due
from belay.core.pods import read_pod
from belay.core.rest import pods
from belay.core.workloads import WorkloadView

RELOADED = Workload(kind=TargetKind.DEPLOYMENT, name="triage", update=Update.RELOAD)
CLOSED = {"holders": frozenset({OWNER})}
HELD = replace(engine(pod("a", run("r"), **CLOSED), r=FOUND), backup=None)
STORED = replace(HELD, backup=BackupView("b", {"r": Kept(DIGEST, DIGEST)}))
DEAF = replace(HELD, pods=(*HELD.pods, pod("b", problem="no answer")))
TARGET = TargetRecord(
    kind="Deployment",
    name="triage",
    uid="uid-of-triage",
    template_hash=world.view().template_hash,
)
V1, V2 = world.ref("v1").content_digest, world.ref("v2").content_digest


def rollout(**more: object) -> Rollout:
    fields = {
        "id": "2-1", "kind": "Rollout", "trigger": "Spec", "to": world.ref("v2"),
        "attempt_digest": DIGEST, "phase": Phase.BACKING_UP, "started_at": NOW,
        "phase_started_at": NOW, "deadline": NOW + seconds(60), "runs": "wf-1-runs-2-1-1",
        "targets": [TARGET],
    }  # fmt: skip
    return Rollout(**{**fields, **more})  # type: ignore[arg-type]


def storing(found: EngineView | None, record: Rollout | None = None, **more: object) -> Observed:
    known = {"active": world.ref("v1"), "stable": world.ref("v1")}
    status = WorkflowStatus(**known, rollout=record or rollout())  # type: ignore[arg-type]
    fields = {"spec": spec("v2"), "revision": world.revision("v2"), "generation": 2}
    return observed(**{**fields, "status": status, "engine": found, **more})


def stored(seen: Observed, after: float = 1) -> Decision:
    assert seen.status.rollout is not None
    return backing_up(seen, NOW + seconds(after), seen.status.rollout)


def phase_of(decision: Decision) -> object:
    assert decision.status is not None
    return decision.status.phase


@pytest.mark.parametrize(
    ("found", "due"),
    [
        (None, False),
        (HELD, True),
        (engine(pod("a", run("r", RunState.SUCCEEDED, None))), False),
        (replace(HELD, problem="no token"), False),
        (replace(engine(pod("a")), former=STORED.backup), True),
    ],
    ids=["no engine", "paused", "over", "cannot be asked", "only the backup before has it"],
)
def test_only_what_stands_still_and_could_be_lost_is_stored(
    found: EngineView | None, due: bool
) -> None:
    assert is_due(storing(found)) is due


def test_runs_are_stored_with_all_that_they_need() -> None:
    """Once: what the target runs, and the content of each run."""
    decision = stored(storing(HELD))
    (action,) = decision.actions
    assert isinstance(action, BackUp)
    assert (action.name, action.contents) == ("wf-1-runs-2-1-1", tuple(sorted((DIGEST, V1))))
    assert action.target == world.ref("v1")


def test_what_the_backup_before_has_is_stored_with_its_content() -> None:
    earlier = Kept("sha256:" + "b" * 64, DIGEST)
    decision = stored(storing(replace(HELD, former=BackupView("old", {"s": earlier}))))
    (action,) = decision.actions
    assert isinstance(action, BackUp)
    assert earlier.content_digest in action.contents


def test_runs_are_named_before_they_are_stored() -> None:
    """A pause on the way back may be cut short by a refusal."""
    former = BackupView("old", {"s": Kept(DIGEST, DIGEST)})
    decision = stored(storing(replace(HELD, record=None, former=former)))
    (action,) = decision.actions
    assert isinstance(action, NoteRuns)
    assert set(action.record) == {"r", "s"}
    assert decision.again


@pytest.mark.parametrize(
    ("found", "record", "phase", "backup"),
    [
        (STORED, rollout(), Phase.DELIVERING, "wf-1-runs-2-1-1"),
        (STORED, rollout(ending=Outcome.REVERTED), Phase.REVERTING, "wf-1-runs-2-1-1"),
        (None, rollout(), Phase.DELIVERING, None),
        (STORED, rollout(runs=None), Phase.DELIVERING, None),
    ],
    ids=["stored", "stored on the way back", "no engine any more", "nothing was paused"],
)
def test_after_the_backup_comes_what_runs_were_paused_for(
    found: EngineView | None, record: Rollout, phase: Phase, backup: str | None
) -> None:
    decision = stored(storing(found, record))
    assert phase_of(decision) == phase
    assert decision.status is not None
    assert decision.status.rollout is not None
    assert decision.status.rollout.backup == backup


REFUSED = Refusal(Reason.BACKUP_FAILED, "Secret x could not be made")
PASSING = Refusal(Reason.ENGINE_UNREACHABLE, "pod a: no answer")


@pytest.mark.parametrize(
    "more",
    [{"engine": DEAF}, {"failure": PASSING}, {"engine": replace(HELD, problem="no token")}],
    ids=["a pod is not heard", "a pod gives nothing", "no token"],
)
def test_what_may_pass_is_waited_for_until_the_deadline(more: dict[str, object]) -> None:
    seen = storing(HELD, **more)
    before, after = stored(seen), stored(seen, after=61)
    assert not before.actions
    assert after.status is not None
    assert after.status.rollout is not None
    told = after.status.rollout
    assert (told.reason, after.status.quarantine) == (Reason.BACKUP_FAILED, [])
    assert "not done within" in str(told.message)


def test_what_the_store_refuses_ends_the_rollout_at_once() -> None:
    decision = stored(storing(HELD, failure=REFUSED))
    assert decision.status is not None
    assert decision.status.rollout is not None
    assert decision.status.rollout.message == f"runs could not be stored: {REFUSED.message}"
    assert decision.status.quarantine == []


def test_a_way_back_is_not_held_up_by_a_backup() -> None:
    seen = storing(DEAF, rollout(ending=Outcome.REVERTED))
    assert phase_of(stored(seen, after=61)) == Phase.REVERTING


def reloading(*behind: str, **more: object) -> Observed:
    """Two pods; those that are named use v1 yet, and v2 should be used."""
    fields: dict[str, object] = {"loaded": frozenset({V1, V2})}
    found = engine(*(pod(n, active=V1 if n in behind else V2, **fields) for n in ("a", "b")))
    living = tuple(read_pod(world.pod(name), "app") for name in ("a", "b"))
    content = ConfigMapView(
        name=config_map_name("wf-1", V2),
        uid="uid-of-map",
        first_name="v2",
        owners=frozenset({"uid-of-triage"}),
        content="behaviour: v2\n",
    )
    seen: dict[str, object] = {
        "spec": spec("v2", workloads=[RELOADED], instances=Instances(engine=HOW)),
        "workloads": (replace(world.view(), living=living),),
        "engine": found,
        "config_maps": {config_map_name("wf-1", V2): content},
        "status": WorkflowStatus(
            phase=Outcome.PROMOTED, active=world.ref("v2"), stable=world.ref("v2")
        ),
        "revision": world.revision("v2"),
    }
    return observed(**{**seen, **more})


def test_all_pods_validate_a_content_before_any_uses_it() -> None:
    seen = reloading("a", "b")
    assert seen.engine is not None
    fresh = replace(seen.engine.pods[1], loaded=frozenset({V1}))
    untaught = replace(seen, engine=replace(seen.engine, pods=(seen.engine.pods[0], fresh)))
    first = pushing.validation(untaught, world.ref("v2"))
    assert first is not None
    assert ([p.name for p in first.validated], first.activated) == (["b"], ())
    assert first.told == "having 1 pods validate v2"
    assert pushing.validation(seen, world.ref("v2")) is None
    then = pushing.activation(seen, world.ref("v2"))
    assert then is not None
    assert ([p.name for p in then.activated], then.content) == (["a", "b"], "behaviour: v2\n")
    assert then.told == "activating v2 in 2 pods"


@pytest.mark.parametrize(
    "seen",
    [
        reloading(),
        reloading("a", engine=None),
        reloading("a", spec=spec("v2")),
        reloading("a", workloads=(world.view(),)),
    ],
    ids=["all use it", "no engine", "not by reload", "other pods"],
)
def test_nobody_is_told_of_a_content_in_vain(seen: Observed) -> None:
    assert pushing.behind(seen, world.ref("v2")) == ()
    assert pushing.activation(seen, world.ref("v2")) is None
    assert pushing.validation(seen, world.ref("v2")) is None


def test_a_content_that_is_gone_is_pushed_to_nobody() -> None:
    seen = reloading("a", config_maps={})
    assert seen.engine is not None
    fresh = tuple(replace(p, loaded=frozenset()) for p in seen.engine.pods)
    untaught = replace(seen, engine=replace(seen.engine, pods=fresh))
    assert pushing.validation(untaught, world.ref("v2")) is None


@pytest.mark.parametrize(
    ("seen", "begun"),
    [
        (reloading("a"), True),
        (reloading("a", "b"), False),
        (reloading("a", "b", engine=None), False),
    ],
    ids=["one pod uses it", "none does", "nobody can be asked"],
)
def test_a_content_counts_as_live_from_the_first_pod(seen: Observed, begun: bool) -> None:
    assert pushing.has_begun(seen, world.ref("v2")) is begun


def test_a_stray_pod_at_rest_is_told_of_first_and_then_set_right() -> None:
    told = pods.at_rest(reloading("a"), NOW)
    assert told is not None
    assert told.status is not None
    (milestone,) = told.milestones
    assert milestone.reason is Reason.DRIFTED
    assert "1 of 2 pods use another content" in milestone.note
    ready = world.condition(told.status, ConditionType.READY)
    assert ready is not None
    assert ready.status == "Unknown"
    after = reloading("a", status=told.status)
    righted = pods.at_rest(after, NOW)
    assert righted is not None
    (action,) = righted.actions
    assert isinstance(action, PushContent)
    refused = pods.at_rest(replace(after, failure=REFUSED), NOW)
    assert refused is not None
    assert (refused.actions, refused.requeue) == ((), pods.LOOK)


def test_after_a_revert_a_stray_pod_leaves_ready_as_it_is() -> None:
    known = {"active": world.ref("v2"), "stable": world.ref("v2")}
    seen = reloading("a", status=WorkflowStatus(phase=Outcome.REVERTED, **known))  # type: ignore[arg-type]
    told = pods.at_rest(seen, NOW)
    assert told is not None
    assert told.status is not None
    assert world.condition(told.status, ConditionType.READY) is None
    assert world.condition(told.status, ConditionType.DRIFTED) is not None


@pytest.mark.parametrize(
    "seen",
    [
        reloading(),
        reloading("a", status=WorkflowStatus()),
        reloading("a", status=WorkflowStatus(phase=Outcome.HELD, active=world.ref("v2"))),
    ],
    ids=["all are right", "nothing is active", "held"],
)
def test_at_rest_pods_are_looked_at_only_where_something_is_proven(seen: Observed) -> None:
    assert pods.at_rest(seen, NOW) is None


OPEN = EngineView(OWNER, HOW, (pod("a", run("r", RunState.RUNNING, None)),))
CLOSED_ONLY = EngineView(OWNER, HOW, (pod("a", run("r"), **CLOSED),))
MARK = Mark("wf-1", "wf-1-runs-2-1-1", None, "app")


def marked(mark: Mark = MARK) -> WorkloadView:
    raw = world.deployment()
    written = mark.written(OWNER, HOW)
    raw["metadata"]["annotations"] |= written["annotations"]
    return world.view(raw)


@pytest.mark.parametrize(
    ("found", "target", "asked"),
    [
        (None, world.view(), ()),
        (replace(OPEN, problem="no token"), world.view(), ()),
        (replace(OPEN, foreign=("triage",)), world.view(), ()),
        (OPEN, world.view(), (PauseEngine, NoteRuns)),
        (CLOSED_ONLY, world.view(), (PauseEngine, NoteRuns)),
        (replace(CLOSED_ONLY, labelled=frozenset({"uid-of-triage"})), marked(), (NoteRuns,)),
        (
            replace(CLOSED_ONLY, labelled=frozenset({"uid-of-triage"})),
            marked(replace(MARK, runs="wf-1-runs-1-1-1")),
            (PauseEngine, NoteRuns),
        ),
        (replace(DEAF, record=None, labelled=frozenset({"uid-of-triage"})), marked(), (NoteRuns,)),
        (replace(HELD, labelled=frozenset({"uid-of-triage"})), marked(), ()),
    ],
    ids=[
        "no engine",
        "it cannot be asked",
        "it is paused for a Workflow that is gone",
        "a run goes on",
        "all stand, and nothing on the target tells of it",
        "all stand, and nothing is noted",
        "the target tells of the pause before",
        "a pod is not heard, and the others may end",
        "all is noted",
    ],
)
def test_each_step_into_a_pause(
    found: EngineView | None, target: WorkloadView, asked: tuple[type, ...]
) -> None:
    seen = storing(found, workloads=(target,))
    assert seen.status.rollout is not None
    found_steps = steps.pausing(seen, seen.status.rollout)
    assert tuple(type(step) for step in found_steps) == asked


def test_what_is_kept_of_rollouts_that_are_remembered_stays() -> None:
    """Those of the history, and the one whose backup was taken over."""
    before = WorkflowStatus.model_validate(
        {
            "active": world.ref("v1"),
            "rollout": rollout(backup="wf-1-runs-uid-1-1-1"),
            "history": [],
        }
    )
    still = replace(CLOSED_ONLY, labelled=frozenset({"uid-of-triage"}))
    mark = replace(MARK, former="wf-1-runs-uid-1-1-1")
    seen = storing(still, status=before, workloads=(marked(mark),))
    assert seen.status.rollout is not None
    (action,) = steps.pausing(seen, seen.status.rollout)
    assert isinstance(action, NoteRuns)
    assert action.needed == {"2-1", "1-1"}
    assert set(action.record) == {"r"}


def test_without_an_engine_nothing_is_resumed_or_held() -> None:
    assert steps.resuming(storing(None), rollout()) is None
    assert steps.is_released(storing(None))


@pytest.mark.parametrize(
    ("found", "released"),
    [
        (engine(pod("a"), r=replace(FOUND, fate=Fate.RESUMED)), True),
        (engine(pod("a"), r=FOUND), False),
        (HELD, False),
        (engine(pod("a", problem="no answer")), False),
        (replace(engine(pod("a")), labelled=frozenset({"uid-of-triage"})), False),
        (engine(pod("a", run("r", RunState.PAUSING))), False),
        (replace(STORED, pods=(), record=None, former=STORED.backup), False),
    ],
    ids=["settled", "open", "held", "not heard", "marked", "would pause yet", "never written"],
)
def test_an_engine_is_released_when_nothing_is_left_to_do(
    found: EngineView, released: bool
) -> None:
    assert steps.is_released(storing(found)) is released


BOTH = engine(pod("a", run("r"), run("s", RunState.PAUSING), **CLOSED))


def test_runs_are_counted_with_the_other_instances() -> None:
    before = InstanceCounts(found=1, paused=1)
    told = account.paused(BOTH, before)
    assert (told.found, told.paused, told.not_paused) == (3, 2, 1)
    assert account.paused(None, before) == before


def test_what_became_of_each_run_is_counted_and_the_lost_are_named() -> None:
    fates = {name: replace(FOUND, fate=fate) for name, fate in zip("abcdefg", Fate, strict=True)}
    told = account.settled(engine(**fates), InstanceCounts(lost=1, lost_runs=["z"]))
    assert told is not None
    lost = next(name for name, entry in fates.items() if entry.fate is Fate.LOST)
    assert (told.resumed, told.restarted, told.cancelled) == (1, 1, 1)
    assert (told.lost, told.not_resumed) == (2, 2)
    assert told.lost_runs == ["z", lost]


def test_without_a_record_counts_stay_as_they_are() -> None:
    assert account.settled(None, None) is None
    unnoted = EngineView(OWNER, HOW)
    assert account.settled(unnoted, InstanceCounts(found=2)) == InstanceCounts(found=2)
    assert account.settled(engine(r=FOUND), None) == InstanceCounts(not_resumed=1)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (None, []),
        (replace(BOTH, problem="no token"), ["no token"]),
        (BOTH, ["1 runs are not at a safe point (s)"]),
        (DEAF, ["pod b: no answer"]),
        (
            engine(pod("a", *(run(n, RunState.PAUSING) for n in "pqrst"))),
            ["5 runs are not at a safe point (p, q, r and 2 more)"],
        ),
        (HELD, []),
    ],
    ids=["no engine", "cannot be asked", "one moves", "one is deaf", "many move", "all stand"],
)
def test_whom_a_pause_waits_for_is_told_by_name(found: EngineView | None, told: list[str]) -> None:
    assert unpaused(found) == told


@pytest.mark.parametrize(
    ("action", "told"),
    [
        (PauseEngine(engine(pod("a"), pod("b", **CLOSED)), (), world.KEY),
         "pausing the runs of 1 pods"),
        (NoteRuns(HELD, "x", {"r": FOUND}, frozenset(), world.KEY),
         "noting 1 runs in ConfigMap x"),
        (BackUp(HELD, "x", (), None, world.KEY), "storing 1 runs in backup x"),
    ],
    ids=["pause", "note", "store"],
)  # fmt: skip
def test_the_log_tells_what_is_asked_of_an_engine(
    action: PauseEngine | NoteRuns | BackUp, told: str
) -> None:
    assert action.told == told
