"""Which runs go on where: each once, and none in silence."""

from dataclasses import replace

import pytest
from tests.unit.core import world

from belay.api.instances import Engine, InstanceCounts, Policy
from belay.api.status import Rollout
from belay.core.engine.account import paused
from belay.core.engine.names import label_of, named_by, next_runs, rollout_of
from belay.core.engine.plan import is_noted, noted, settle
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
    todo = settle(engine(pod("a", run("r")), pod("b"), kept="r", r=FOUND), cancelled=False)
    assert [(p.name, name) for p, name in todo.here] == [("a", "r")]
    assert not todo.moved


def test_runs_without_a_pod_are_spread_and_claimed() -> None:
    seen = engine(pod("a"), pod("b"), kept="r s", r=FOUND, s=FOUND)
    todo = settle(seen, cancelled=False)
    assert sorted(p.name for p, _ in todo.moved) == ["a", "b"]
    assert {e.fate for e in todo.record.values()} == {Fate.CLAIMED}


def test_a_claim_is_repeated_to_the_same_process_only() -> None:
    again = settle(engine(pod("a"), pod("b"), kept="r", r=CLAIMED), cancelled=False)
    assert [(p.name, name) for p, name in again.moved] == [("a", "r")]
    restarted = pod("a", instance="two")
    after = settle(engine(restarted, pod("b"), kept="r", r=CLAIMED), cancelled=False)
    assert after.record["r"].fate is Fate.LOST
    assert not after.moved


@pytest.mark.parametrize("entry", [FOUND, CLAIMED])
def test_while_a_pod_is_not_heard_nothing_is_given_away(entry: Entry) -> None:
    """It may have the run."""
    todo = settle(
        engine(pod("a", problem="no answer"), pod("b"), kept="r", r=entry), cancelled=False
    )
    assert (todo.open, todo.moved, todo.record["r"]) == (1, (), entry)


def test_a_run_that_nothing_is_left_of_is_lost_by_name() -> None:
    todo = settle(engine(pod("a"), r=FOUND), cancelled=False)
    assert (todo.record["r"].fate, todo.record["r"].why) == (
        Fate.LOST,
        "pod gone ended before it was kept",
    )


def test_a_run_that_came_to_its_end_by_itself_is_no_loss() -> None:
    over = run("r", RunState.SUCCEEDED, None)
    todo = settle(engine(pod("a", over), r=FOUND), cancelled=False)
    assert todo.record["r"].fate is Fate.RESUMED


def test_a_run_that_is_still_to_pause_is_told_to_go_on() -> None:
    pausing = run("r", RunState.PAUSING)
    todo = settle(engine(pod("a", pausing), r=FOUND), cancelled=False)
    assert [name for _, name in todo.here] == ["r"]
    done = settle(engine(pod("a", pausing), r=replace(FOUND, fate=Fate.RESUMED)), cancelled=False)
    assert done.is_over


def test_what_somebody_else_paused_stays_so() -> None:
    theirs = run("r", holder="somebody")
    seen = engine(pod("a", theirs, holders=frozenset({OWNER})))
    assert settle(seen, cancelled=False).is_over
    assert seen.stands


def test_cancelled_runs_are_moved_nowhere() -> None:
    todo = settle(engine(pod("a"), kept="r", r=FOUND), cancelled=True)
    assert (todo.record["r"].fate, todo.moved) == (Fate.CANCELLED, ())


def test_the_backup_before_gives_only_what_was_not_given_away() -> None:
    former = BackupView("old", {name: Kept(DIGEST, DIGEST) for name in ("r", "s", "t")})
    seen = replace(
        engine(pod("a", run("t"))),
        former=former,
        former_record={"s": replace(FOUND, fate=Fate.RESUMED)},
    )
    assert set(seen.carried) == {"r"}
    assert set(noted(seen)) == {"r", "t"}


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
    assert settle(seen, cancelled=True).is_over


def test_what_was_paused_before_runs_were_to_be_pinned_goes_on() -> None:
    """A newer wish came with another policy."""
    bare = replace(engine(pod("a", run("r"), run("s", RunState.RUNNING, None))), how=PINNED)
    seen = replace(bare, record=noted(bare))
    assert {run: e.fate for run, e in noted(bare).items()} == {"r": Fate.FOUND, "s": Fate.PINNED}
    assert [name for _, name in settle(seen, cancelled=False).here] == ["r"]


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
    assert settle(replace(seen, record=record), cancelled=False).record["r"].fate is Fate.LOST
