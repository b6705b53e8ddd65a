"""Which runs go on where: each once, and none in silence."""

from dataclasses import replace

import pytest
from tests.unit.core import world

from belay.api.instances import Engine, InstanceCounts, Policy
from belay.api.status import Rollout
from belay.core.engine.account import paused, settled
from belay.core.engine.names import label_of, named_by, next_runs, rollout_of
from belay.core.engine.plan import GO_ON, Then, is_noted, kept_runs, noted, settle
from belay.core.engine.steps import waits
from belay.core.engine.view import (
    BackupView,
    EnginePod,
    EngineView,
    Entry,
    Fate,
    Kept,
    Run,
    RunState,
)

OWNER, DIGEST = "uid-of-wf-1", "sha256:" + "a" * 64
HOW = Engine.model_validate(
    {"port": 8081, "tokenFrom": {"secretKeyRef": {"name": "engine", "key": "token"}}}
)


def pod(name: str, *runs: Run, **more: object) -> EnginePod:
    made = EnginePod(name, f"uid-of-{name}", "10.0.0.1", (), False, 8081, instance="one", runs=runs)
    return replace(made, **more)  # type: ignore[arg-type]


def run(name: str, state: RunState = RunState.PAUSED, holder: str | None = OWNER) -> Run:
    return Run(name, DIGEST, state, holder)


def engine(*pods: EnginePod, kept: str = "", **record: Entry) -> EngineView:
    """`kept` are the runs of the backup; keywords are the record."""
    backup = BackupView("b", {name: Kept(DIGEST, DIGEST) for name in kept.split()})
    names = {name.replace("_", "-"): entry for name, entry in record.items()}
    return EngineView(OWNER, HOW, pods, record=names, backup=backup)


FOUND = Entry(DIGEST, pod="gone")
CLAIMED = Entry(DIGEST, Fate.CLAIMED, "uid-of-a/one", "a")


def test_a_run_goes_on_in_its_pod_while_that_lives() -> None:
    todo = settle(engine(pod("a", run("r")), pod("b"), kept="r", r=FOUND))
    assert [(p.name, name) for p, name in todo.here] == [("a", "r")]
    assert not todo.moved


def test_runs_without_a_pod_are_spread_and_claimed() -> None:
    seen = engine(pod("a"), pod("b"), kept="r s", r=FOUND, s=FOUND)
    todo = settle(seen)
    assert sorted(p.name for p, _ in todo.moved) == ["a", "b"]
    assert {e.fate for e in todo.record.values()} == {Fate.CLAIMED}


def test_a_claim_is_repeated_to_the_same_process_only() -> None:
    again = settle(engine(pod("a"), pod("b"), kept="r", r=CLAIMED))
    assert [(p.name, name) for p, name in again.moved] == [("a", "r")]
    restarted = pod("a", instance="two")
    after = settle(engine(restarted, pod("b"), kept="r", r=CLAIMED))
    assert after.record["r"].fate is Fate.LOST
    assert not after.moved


@pytest.mark.parametrize("entry", [FOUND, CLAIMED])
def test_while_a_pod_is_not_heard_nothing_is_given_away(entry: Entry) -> None:
    """It may have the run."""
    todo = settle(engine(pod("a", problem="no answer"), pod("b"), kept="r", r=entry))
    assert (todo.open, todo.moved, todo.record["r"]) == (1, (), entry)


def test_a_run_that_nothing_is_left_of_is_lost_by_name() -> None:
    todo = settle(engine(pod("a"), r=FOUND))
    assert (todo.record["r"].fate, todo.record["r"].why) == (
        Fate.LOST,
        "pod gone ended before it was kept",
    )


def test_a_run_that_came_to_its_end_by_itself_is_no_loss() -> None:
    over = run("r", RunState.SUCCEEDED, None)
    todo = settle(engine(pod("a", over), r=FOUND))
    assert todo.record["r"].fate is Fate.RESUMED


def test_a_run_that_is_still_to_pause_is_told_to_go_on() -> None:
    pausing = run("r", RunState.PAUSING)
    todo = settle(engine(pod("a", pausing), r=FOUND))
    assert [name for _, name in todo.here] == ["r"]
    done = settle(engine(pod("a", pausing), r=replace(FOUND, fate=Fate.RESUMED)))
    assert done.is_over


def test_what_somebody_else_paused_stays_so() -> None:
    theirs = run("r", holder="somebody")
    seen = engine(pod("a", theirs, holders=frozenset({OWNER})))
    assert settle(seen).is_over
    assert seen.stands


def test_cancelled_runs_are_moved_nowhere() -> None:
    todo = settle(engine(pod("a"), kept="r", r=FOUND), Then(Fate.CANCELLED))
    assert (todo.record["r"].fate, todo.moved) == (Fate.CANCELLED, ())


ACTIVE = "sha256:" + "b" * 64
ANEW = Then(Fate.RESTARTED)


@pytest.mark.parametrize(
    ("then", "active", "able", "fate"),
    [
        (ANEW, ACTIVE, True, Fate.RESTARTED),
        (ANEW, ACTIVE, False, Fate.RESUMED),
        (ANEW, DIGEST, True, Fate.RESUMED),
        (ANEW, None, True, Fate.RESUMED),
        (replace(ANEW, of=DIGEST), ACTIVE, True, Fate.RESTARTED),
        (replace(ANEW, of=ACTIVE), ACTIVE, True, Fate.RESUMED),
        (Then(Fate.CANCELLED), ACTIVE, True, Fate.CANCELLED),
        (Then(Fate.CANCELLED, of=DIGEST), DIGEST, True, Fate.CANCELLED),
        (Then(Fate.CANCELLED, of=ACTIVE), ACTIVE, True, Fate.RESUMED),
    ],
    ids=[
        "it begins anew on what is active",
        "its engine cannot",
        "it has begun on that already",
        "nothing is active",
        "it began on what failed",
        "it began on something else",
        "all are ended",
        "those of what failed are ended",
        "others go on",
    ],
)
def test_what_becomes_of_a_run_depends_on_what_it_began_with(
    then: Then, active: str | None, able: bool, fate: Fate
) -> None:
    assert then.at(pod("a", active=active, restarts=able), DIGEST) is fate


def test_a_run_that_began_anew_is_known_by_its_content() -> None:
    """After a crash, when the pod had been told, and the record had not."""
    running = replace(run("r", RunState.RUNNING, None), content_digest=ACTIVE)
    other = run("s", RunState.RUNNING, None)
    todo = settle(engine(pod("a", running, other), kept="r s", r=CLAIMED, s=FOUND), ANEW)
    assert [todo.record[name].fate for name in "rs"] == [Fate.RESTARTED, Fate.RESUMED]
    assert not todo.moved
    counts = settled(replace(engine(), record=todo.record), None)
    assert counts is not None
    assert (counts.restarted, counts.resumed) == (1, 1)


def test_only_runs_of_what_failed_are_ended_after_a_way_back() -> None:
    theirs = replace(FOUND, content_digest=ACTIVE)
    seen = engine(pod("a"), kept="r s", r=FOUND, s=theirs)
    todo = settle(seen, Then(Fate.CANCELLED, of=ACTIVE))
    assert (todo.record["r"].fate, todo.record["s"].fate) == (Fate.CLAIMED, Fate.CANCELLED)


def test_what_a_container_that_restarted_calls_lost_is_no_run() -> None:
    """It goes on by its envelope where it was kept, and is lost where not."""
    named = run("r", RunState.LOST, None)
    assert settle(engine(pod("a", named), kept="r", r=FOUND)).moved
    assert settle(engine(pod("a", named), r=FOUND)).record["r"].fate is Fate.LOST


def test_the_backup_before_gives_only_what_was_not_given_away() -> None:
    former = BackupView("old", {name: Kept(DIGEST, DIGEST) for name in ("r", "s", "t")})
    seen = replace(
        engine(pod("a", run("t"))),
        former=former,
        former_record={"s": replace(FOUND, fate=Fate.RESUMED)},
    )
    assert set(seen.carried) == {"r"}
    assert set(noted(seen)) == {"r", "t"}


def test_what_the_pause_before_has_left_goes_on_where_this_one_could_write_nothing() -> None:
    former = BackupView("old", {name: Kept(DIGEST, DIGEST) for name in ("r", "s")})
    left = {"s": replace(FOUND, fate=Fate.RESUMED)}
    seen = replace(engine(pod("a")), record=None, former=former, former_record=left)
    todo = settle(seen)
    assert [name for _, name in todo.moved] == ["r"]
    assert todo.record["r"].fate is Fate.CLAIMED


PINNED = HOW.model_copy(update={"policy": Policy.PIN})


def test_pinned_runs_are_counted_and_waited_for_by_nobody() -> None:
    moving, asked = run("r", RunState.RUNNING, None), run("s", RunState.PAUSING, "somebody")
    bare = replace(engine(pod("a", moving, asked)), how=PINNED, record=None)
    assert waits(bare), "first it is written down which runs there are"
    seen = replace(bare, record=noted(bare))
    assert {e.fate for e in seen.record.values()} == {Fate.PINNED}
    assert not waits(seen)
    counts = paused(seen, InstanceCounts(pinned=1, found=1))
    assert (counts.found, counts.pinned, counts.not_paused) == (3, 3, 0)
    assert settle(seen, Then(Fate.CANCELLED)).is_over


def test_what_was_paused_before_runs_were_to_be_pinned_goes_on() -> None:
    """A newer wish came with another policy."""
    bare = replace(engine(pod("a", run("r"), run("s", RunState.RUNNING, None))), how=PINNED)
    seen = replace(bare, record=noted(bare))
    assert {run: e.fate for run, e in noted(bare).items()} == {"r": Fate.FOUND, "s": Fate.PINNED}
    assert [name for _, name in settle(seen).here] == ["r"]


def test_each_pause_has_a_name_of_its_own() -> None:
    begun = Rollout.model_validate(
        {
            "id": "12-1",
            "kind": "Rollout",
            "trigger": "Spec",
            "to": world.ref("v2"),
            "attemptDigest": DIGEST,
            "phase": "Pausing",
            "startedAt": world.NOW,
            "phaseStartedAt": world.NOW,
        }
    )
    uid, earlier = "0a1b2c3d-4e5f", "wf-1-runs-0a1b2c3d-11-1-3"
    first = next_runs("wf-1", uid, begun)
    second = next_runs("wf-1", uid, begun.model_copy(update={"runs": first}))
    after = next_runs("wf-1", uid, begun.model_copy(update={"runs": earlier}))
    assert (first, second, after) == (
        "wf-1-runs-0a1b2c3d-12-1-1",
        "wf-1-runs-0a1b2c3d-12-1-2",
        first,
    )
    assert first != next_runs("wf-1", "5e6f7a8b-4e5f", begun)
    assert rollout_of("wf-1", second) == "12-1"
    assert label_of("wf-1", second) == "runs-0a1b2c3d-12-1-2"
    assert named_by("wf-1", label_of("wf-1", second)) == second


@pytest.mark.parametrize(
    "name", ["wf-1-runs-x", "wf-1-runs-2-1-1", "wf-1-runs--2-1-1", "wf-2-runs-0a1b2c3d-2-1-1", ""]
)
def test_no_other_name_is_one_of_its_backups(name: str) -> None:
    assert rollout_of("wf-1", name) is None


def test_the_record_tells_of_runs_from_the_first_look_on() -> None:
    """What is gone since stays in it; what has begun, or came to its end, is set right."""
    first = {"gone": FOUND, "over": FOUND, "there": Entry(DIGEST, pod="a")}
    runs = (run("there"), run("begun"), run("over", RunState.SUCCEEDED, None))
    seen = engine(pod("a", *runs), **first)
    assert noted(seen) == {
        "begun": Entry(DIGEST, pod="a"),
        "gone": FOUND,
        "there": Entry(DIGEST, pod="a"),
    }
    assert not is_noted(seen)
    assert is_noted(replace(seen, record=noted(seen)))


def test_a_claim_of_the_pause_before_is_taken_over() -> None:
    """Its pod may have been told: so nobody else is, and where the pod is gone the run is lost."""
    former = BackupView("b", {"r": Kept(DIGEST, DIGEST), "s": Kept(DIGEST, DIGEST)})
    earlier = {"r": CLAIMED, "s": Entry(DIGEST, Fate.RESUMED)}
    seen = replace(engine(pod("b")), record=None, former=former, former_record=earlier)
    record = noted(seen)
    assert record == {"r": CLAIMED}
    assert settle(replace(seen, record=record)).record["r"].fate is Fate.LOST


@pytest.mark.parametrize(
    ("then", "fate"),
    [
        (Then(Fate.CANCELLED), Fate.CANCELLED),
        (Then(Fate.CANCELLED, of="sha256:other"), Fate.RESUMED),
        (GO_ON, Fate.RESUMED),
    ],
)
def test_what_became_of_a_run_is_what_was_meant_for_its_content(then: Then, fate: Fate) -> None:
    assert then.became(FOUND, run("r")) is fate
    begun_anew = replace(run("r"), content_digest="sha256:" + "b" * 64)
    assert then.became(FOUND, begun_anew) is Fate.RESTARTED


def test_all_that_a_backup_has_may_be_nothing() -> None:
    closed = EngineView(OWNER, HOW, (pod("a", run("r")),))
    assert kept_runs(closed) == {}
    has, had = (BackupView(n, {r: Kept(DIGEST, DIGEST)}) for n, r in (("new", "r"), ("old", "s")))
    assert set(kept_runs(replace(closed, backup=has, former=had))) == {"r", "s"}
