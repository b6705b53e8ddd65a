"""Letting an engine go without its Workflow: what its target tells of it, and each step."""

import json
from dataclasses import replace

import pytest
from tests.unit.core.test_engine_plan import FOUND, HOW, OWNER, engine, pod, run
from tests.unit.core.world import deployment, view

from belay.api.names import ANNOTATION_ENGINE, ANNOTATION_RUNS, LABEL_PAUSED_BY
from belay.core.engine.actions import ReleaseEngine, SettleRuns
from belay.core.engine.marks import Mark, read_mark
from belay.core.engine.steps import Runs, letting_go, waits
from belay.core.engine.telling import unpaused
from belay.core.engine.view import EngineView, Entry, Fate, RunState
from belay.core.keys import Key

RUNS = Runs(Key("shop", "wf"), "wf-runs-2-1-1")
TARGET = view(deployment())
MARK = Mark("wf", "wf-runs-2-1-2", "wf-runs-2-1-1", "app")
CLOSED = {"holders": frozenset({OWNER})}
GONE_ON = Entry("sha256:" + "a" * 64, Fate.RESUMED, "", "a")


def test_a_target_tells_all_that_its_engine_needs() -> None:
    written = MARK.written(OWNER, HOW)
    assert written["labels"] == {LABEL_PAUSED_BY: OWNER}
    assert read_mark(written["annotations"]) == (MARK, HOW)


@pytest.mark.parametrize("name", [ANNOTATION_ENGINE, ANNOTATION_RUNS])
@pytest.mark.parametrize("text", [None, "", "[]", "{", "{}", '{"port": 1}', json.dumps({"x": 1})])
def test_what_another_hand_has_damaged_is_no_mark(name: str, text: str | None) -> None:
    annotations = dict(MARK.written(OWNER, HOW)["annotations"])
    if text is None:
        del annotations[name]
    else:
        annotations[name] = text
    assert read_mark(annotations) is None


@pytest.mark.parametrize(
    ("seen", "step"),
    [
        (engine(pod("a", run("r"), **CLOSED), kept="r", r=FOUND), SettleRuns),
        (engine(pod("a", run("r", RunState.PAUSING), **CLOSED)), SettleRuns),
        (engine(pod("a", **CLOSED), kept="r", r=FOUND), SettleRuns),
        (engine(pod("a", run("r", RunState.RUNNING, None), **CLOSED), r=GONE_ON), ReleaseEngine),
        (engine(pod("a"), r=GONE_ON), ReleaseEngine),
        (engine(), ReleaseEngine),
        (replace(engine(pod("a", **CLOSED)), problem="no token"), None),
        (engine(pod("a", problem="no answer"), r=GONE_ON), None),
        (engine(pod("a", problem="no answer"), kept="r", r=FOUND), None),
        (engine(pod("a", ready=False), kept="r", r=FOUND), None),
    ],
    ids=[
        "a run is paused",
        "a run would pause yet",
        "only the backup has a run",
        "runs go on, and intake is closed",
        "all is open, and the mark is left",
        "there are no pods, and nothing is kept",
        "it cannot be asked",
        "a pod is not heard",
        "a pod that may have the run is not heard",
        "no pod can take a run yet",
    ],
)
def test_each_step_out_of_a_pause(seen: EngineView, step: type | None) -> None:
    found = letting_go(seen, RUNS, (TARGET,))
    assert found is None if step is None else isinstance(found, step)


def test_the_mark_stays_while_a_pod_is_not_heard() -> None:
    """The other pods take runs again meanwhile."""
    seen = engine(pod("a", **CLOSED), pod("b", problem="no answer"), kept="r", r=FOUND)
    step = letting_go(seen, RUNS, (TARGET,))
    assert isinstance(step, ReleaseEngine)
    assert ([p.name for p in step.closed], step.labelled) == (["a"], ())


def test_a_pause_waits_while_the_mark_of_another_workflow_is_there() -> None:
    closed = pod("a", **CLOSED)
    assert engine(closed).stands
    seen = replace(engine(closed), foreign=("Deployment triage",))
    assert waits(seen)
    (told,) = unpaused(seen)
    assert told.startswith("Deployment triage is still paused for a Workflow that is gone; ")
