"""Which runs of a backup are given to pods once more, and what is told of it."""

from dataclasses import replace
from datetime import timedelta

import pytest
from tests.unit.core import world
from tests.unit.core.test_engine_plan import CLAIMED, DIGEST, engine, pod, run

from belay.api.status import Restore, WorkflowStatus
from belay.api.words import Outcome, Reason
from belay.core.decision import Decision
from belay.core.engine.actions import SettleRuns
from belay.core.engine.restore import Standing, Wish, restoring, standings
from belay.core.engine.view import Ask, EngineView, Entry, Fate, RunState
from belay.core.observed import Observed, Refusal
from belay.core.reading import needs
from belay.core.rest.restoring import goes_on
from belay.core.rest.settled import settled

BACKUP = "wf-1-runs-0a1b2c3d-2-1-1"
AT, BEFORE = "2030-01-01T00:00:00.000000Z", "2029-12-31T00:00:00.000000Z"
SOME, ALL = Wish(AT), Wish(AT, resumed_too=True)
LIVING, GONE = "uid-of-a/one", "uid-of-z/one"


def entry(fate: Fate, at: str = "", asked: str = "") -> Entry:
    return Entry(DIGEST, fate, at, "z", asked=asked)


@pytest.mark.parametrize(
    ("known", "some", "everything"),
    [
        (entry(Fate.LOST, GONE), Standing.WANTED, Standing.WANTED),
        (entry(Fate.LOST, GONE, BEFORE), Standing.WANTED, Standing.WANTED),
        (entry(Fate.LOST, GONE, AT), Standing.CHOSEN, Standing.CHOSEN),
        (entry(Fate.FOUND), Standing.WANTED, Standing.WANTED),
        (entry(Fate.CLAIMED, LIVING), Standing.WANTED, Standing.WANTED),
        (entry(Fate.CLAIMED, GONE), Standing.WANTED, Standing.WANTED),
        (entry(Fate.RESUMED, GONE), Standing.RESUMED, Standing.WANTED),
        (entry(Fate.RESUMED), Standing.RESUMED, Standing.WANTED),
        (entry(Fate.RESTARTED, GONE), Standing.RESUMED, Standing.WANTED),
        (entry(Fate.RESUMED, LIVING), Standing.OVER, Standing.OVER),
        (entry(Fate.RESUMED, GONE, AT), Standing.CHOSEN, Standing.CHOSEN),
        (entry(Fate.CANCELLED), Standing.OVER, Standing.OVER),
        (entry(Fate.PINNED), Standing.OVER, Standing.OVER),
    ],
)
def test_each_fate_of_a_run_that_no_pod_has(
    known: Entry, some: Standing, everything: Standing
) -> None:
    seen = engine(pod("a"), kept="r", r=known)
    assert (standings(seen, SOME), standings(seen, ALL)) == ({"r": some}, {"r": everything})


def test_without_a_record_nothing_tells_whether_a_run_had_gone_on() -> None:
    seen = replace(engine(pod("a"), kept="r"), record=None)
    assert standings(seen, SOME) == {"r": Standing.RESUMED}
    todo = restoring(seen, ALL)
    assert todo.record == {"r": Entry(DIGEST, Fate.CLAIMED, LIVING, "a", asked=AT)}


@pytest.mark.parametrize("state", sorted(set(RunState) - {RunState.LOST}))
def test_what_a_pod_has_is_given_to_nobody(state: RunState) -> None:
    there = pod("b", run("r", state, None))
    seen = engine(pod("a"), there, kept="r", r=entry(Fate.LOST, GONE))
    assert standings(seen, ALL) == {"r": Standing.THERE}
    assert restoring(seen, ALL).is_over


def test_what_a_pod_has_lost_it_does_not_have() -> None:
    seen = engine(pod("a", run("r", RunState.LOST, None)), kept="r", r=entry(Fate.LOST, GONE))
    assert [name for _, name in restoring(seen, SOME).moved] == ["r"]


def test_a_run_without_an_envelope_stays_lost() -> None:
    seen = engine(pod("a"), r=entry(Fate.LOST))
    assert restoring(seen, ALL) == restoring(seen, SOME)
    assert not restoring(seen, ALL).moved


def test_lost_runs_are_spread_over_ready_pods_and_claimed() -> None:
    lost = entry(Fate.LOST, GONE)
    seen = engine(pod("a"), pod("b"), pod("c", ready=False), kept="r s", r=lost, s=lost, t=lost)
    todo = restoring(seen, SOME)
    assert sorted(p.name for p, _ in todo.moved) == ["a", "b"]
    assert {r: (e.fate, e.asked) for r, e in todo.record.items()} == {
        "r": (Fate.CLAIMED, AT),
        "s": (Fate.CLAIMED, AT),
        "t": (Fate.LOST, ""),
    }


def test_one_that_was_told_of_a_claim_is_told_again_while_it_lives() -> None:
    claimed = replace(CLAIMED, at="uid-of-b/one", pod="b")
    busy = pod("b", run("s", RunState.RUNNING, None))
    todo = restoring(engine(pod("a"), busy, kept="r", r=claimed), SOME)
    assert [(p.name, name) for p, name in todo.moved] == [("b", "r")]
    after = restoring(engine(pod("a"), kept="r", r=claimed), SOME)
    assert [(p.name, name) for p, name in after.moved] == [("a", "r")]


def test_no_wish_gives_a_run_twice() -> None:
    """Its pod is gone after it was told: only another wish gives it to the next one."""
    first = restoring(engine(pod("z"), kept="r", r=entry(Fate.LOST)), SOME)
    assert first.record["r"].fate is Fate.CLAIMED
    after = restoring(replace(engine(pod("a"), kept="r"), record=first.record), SOME)
    assert (after.moved, after.record["r"].fate) == ((), Fate.LOST)
    again = restoring(replace(engine(pod("a"), kept="r"), record=after.record), SOME)
    assert (again.moved, again.record) == ((), after.record)


@pytest.mark.parametrize(
    "others",
    [(pod("a"), pod("b", problem="no answer")), (pod("a", ready=False),), ()],
    ids=["a pod is not heard", "no pod is ready", "there is no pod"],
)
def test_nothing_changes_while_none_can_be_given(others: tuple[object, ...]) -> None:
    seen = engine(*others, kept="r", r=entry(Fate.LOST))  # type: ignore[arg-type]
    todo = restoring(seen, SOME)
    assert (todo.record, todo.moved, todo.open) == (seen.record, (), 1)


BEGUN = Restore(backup=BACKUP, began_at=world.NOW)
TOKEN = {"restore": BACKUP, "retry": "1", "abort": "1"}


def at_rest(begun: Restore | None = BEGUN, **more: object) -> Observed:
    """Promoted, and with a restore that goes on."""
    status = WorkflowStatus(
        observed_generation=1,
        phase=Outcome.PROMOTED.value,
        active=world.ref("v1"),
        stable=world.ref("v1"),
        last_handled_retry="1",
        last_handled_abort="1",
        last_handled_restore=BACKUP if begun is not None else None,
        restore=begun,
    )
    return world.observed(**{**TOKEN, "generation": 1, "status": status, **more})


def told(decision: Decision) -> Restore:
    assert decision.status is not None
    assert decision.status.restore is not None
    return decision.status.restore


def test_the_intent_is_written_before_anything_is_asked() -> None:
    seen = at_rest(None, restore=f"{BACKUP}/all/7")
    assert needs(seen).engine is Ask.NOTHING
    decision = settled(seen, world.NOW)
    assert not decision.actions
    assert told(decision) == Restore(backup=BACKUP, resumed_too=True, began_at=world.NOW)
    assert decision.status is not None
    assert decision.status.last_handled_restore == f"{BACKUP}/all/7"
    assert needs(at_rest()).engine is Ask.RUNS


@pytest.mark.parametrize(
    ("token", "everything"),
    [("", False), ("/7", False), ("/all", True), ("/all/7", True), ("/allow", False)],
)
def test_a_token_may_ask_for_all(token: str, everything: bool) -> None:
    begun = told(settled(at_rest(None, restore=BACKUP + token), world.NOW))
    assert (begun.backup, begun.resumed_too) == (BACKUP, everything)


@pytest.mark.parametrize(
    "more",
    [
        {"generation": 2},
        {"retry": "2"},
        {"spec": world.spec(suspend=True)},
    ],
    ids=["another spec", "a retry", "a suspension"],
)
def test_another_wish_goes_first(more: dict[str, object]) -> None:
    assert needs(at_rest(**more)).engine is Ask.NOTHING
    decision = settled(at_rest(**more), world.NOW)
    assert not any(isinstance(a, SettleRuns) for a in decision.actions)
    assert decision.status is None or told(decision) == BEGUN


def test_a_token_that_was_there_at_creation_counts_as_handled() -> None:
    fresh = world.observed(restore=BACKUP, status=WorkflowStatus(), spec=world.spec(suspend=True))
    decision = settled(fresh, world.NOW)
    assert decision.status is not None
    assert (decision.status.last_handled_restore, decision.status.restore) == (BACKUP, None)


def lost(*pods: object, **more: object) -> EngineView:
    seen = engine(*(pods or (pod("a"),)), kept="r", r=entry(Fate.LOST))  # type: ignore[arg-type]
    return replace(seen, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("engine_", "more", "why"),
    [
        (None, {}, "spec.instances.engine is not set"),
        (lost(backup=None), {}, f"there is no backup {BACKUP}"),
        (
            lost(),
            {"failure": Refusal(Reason.BACKUP_FAILED, "backup b is damaged")},
            "backup b is damaged",
        ),
        (
            lost(),
            {"begun": BEGUN.model_copy(update={"backup": "x"})},
            "x is no name of a backup of this Workflow",
        ),
    ],
    ids=["no engine", "no backup", "damaged", "another name"],
)
def test_what_no_waiting_can_mend_is_told_at_once(
    engine_: EngineView | None, more: dict[str, object], why: str
) -> None:
    decision = settled(at_rest(**{"engine": engine_, **more}), world.NOW)  # type: ignore[arg-type]
    assert not decision.actions
    assert told(decision).reason is Reason.RESTORE_FAILED
    assert told(decision).message.startswith(why)
    (event,) = decision.milestones
    assert (event.reason, event.warning, event.note) == (
        Reason.RESTORE_FAILED,
        True,
        told(decision).message,
    )


@pytest.mark.parametrize(
    ("engine_", "more", "why"),
    [
        (lost(problem="the token may not be read"), {}, "the token may not be read"),
        (lost(labelled=frozenset({"u"})), {}, "the engine is still paused"),
        (lost(foreign=("Deployment triage",)), {}, "the engine is still paused"),
        (
            lost(pod("a"), pod("b", problem="no answer")),
            {},
            "pod b, which may have runs: no answer",
        ),
        (lost(pod("a", ready=False)), {}, "no pod of the engine is ready"),
        (
            lost(),
            {"failure": Refusal(Reason.ENGINE_UNREACHABLE, "a: full")},
            "a: full",
        ),
    ],
    ids=["no token", "paused", "paused for another", "a deaf pod", "no ready pod", "refused"],
)
def test_what_may_pass_is_waited_for_and_told(
    engine_: EngineView, more: dict[str, object], why: str
) -> None:
    seen = at_rest(engine=engine_, **more)
    decision = settled(seen, world.NOW + timedelta(seconds=1))
    assert (decision.actions, told(decision).ended_at, decision.follow) == ((), None, True)
    assert told(decision).message.startswith(f"waits: {why}")
    late = settled(seen, world.NOW + timedelta(seconds=61))
    assert told(late).reason is Reason.RESTORE_FAILED
    assert told(late).message.startswith(f"it was not done within 60s: {why}")


def test_runs_are_counted_as_the_pods_tell_and_not_as_they_had_accepted() -> None:
    first = settled(at_rest(engine=lost()), world.NOW)
    (action,) = first.actions
    assert isinstance(action, SettleRuns)
    assert action.name == BACKUP
    accepted = {r: replace(e, fate=Fate.RESUMED) for r, e in action.todo.record.items()}
    there = lost(pod("a", run("r", RunState.RUNNING, None)), record=accepted)
    good = told(settled(at_rest(engine=there), world.NOW))
    assert (good.reason, good.restored, good.failed) == (Reason.RESTORED, 1, 0)
    assert good.message == f"1 runs of {BACKUP} are in pods again (r)"
    bad = told(settled(at_rest(engine=lost(record=accepted)), world.NOW))
    assert (bad.reason, bad.restored, bad.failed) == (Reason.RESTORE_FAILED, 0, 1)
    assert bad.message == "1 are not (r): it was given to a pod, and no pod has it"


def test_what_a_pod_will_not_take_is_told_with_its_words() -> None:
    at = f"{world.NOW:%Y-%m-%dT%H:%M:%S.%fZ}"
    refused = replace(entry(Fate.LOST, LIVING, at), why="a: stateRejected")
    seen = at_rest(engine=lost(record={"r": refused}))
    assert told(settled(seen, world.NOW)).message == "1 are not (r): a: stateRejected"


def test_a_backup_without_missing_runs_is_no_failure() -> None:
    seen = at_rest(engine=lost(record={"r": entry(Fate.RESUMED, LIVING)}))
    end = told(settled(seen, world.NOW))
    assert (end.reason, end.message) == (Reason.RESTORED, f"{BACKUP} has no run that is missing")


@pytest.mark.parametrize("everything", [True, False])
def test_a_wish_for_all_gives_runs_once_more_that_had_gone_on(everything: bool) -> None:
    begun = BEGUN.model_copy(update={"resumed_too": everything})
    kept = engine(pod("a"), kept="r", r=entry(Fate.RESUMED, "uid-of-z/one"))
    decision = settled(at_rest(begun, engine=kept), world.NOW)
    assert any(isinstance(a, SettleRuns) for a in decision.actions) is everything


ENDED = BEGUN.model_copy(update={"ended_at": world.NOW})


@pytest.mark.parametrize(
    ("begun", "restore", "left"),
    [
        (None, BACKUP, None),
        (BEGUN, BACKUP, BEGUN),
        (BEGUN, f"{BACKUP}/all/7", None),
        (ENDED, BACKUP, None),
        (ENDED, f"{BACKUP}/all/7", None),
    ],
    ids=["none", "begun", "another is wished for", "ended", "ended, and another is wished for"],
)
def test_a_restore_goes_on_until_its_end_or_another_wish(
    begun: Restore | None, restore: str, left: Restore | None
) -> None:
    assert goes_on(at_rest(begun, restore=restore)) == left
