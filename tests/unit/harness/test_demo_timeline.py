"""What the demo shows of a rollout, from the states that a watch gives."""

from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

from rich.console import Console
from tests.harness.demo.screen import Screen
from tests.harness.demo.timeline import Timeline

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = ("Previewing", "Pausing", "BackingUp", "Delivering", "Verifying", "Resuming", "Observing")
BACK = ("Pausing", "BackingUp", "Delivering", "Verifying", "Pausing", "BackingUp", "Reverting")
FAILED = {"check": "answers", "verdict": "Fail", "got": "500", "fails": 3, "tries": 3}


def state(seconds: int, phase: str, **record: Any) -> dict[str, Any]:
    """A Workflow whose rollout is in this phase since so many seconds after the patch."""
    rollout = {
        "id": "2-1",
        "phase": phase,
        "phaseStartedAt": at(seconds),
        "from": "v1",
        "to": {"revision": "v2"},
        "targets": [{"kind": "Deployment", "name": "triage"}],
        "instances": {"paused": 7, "resumed": 7},
        **record,
    }
    return {
        "metadata": {"generation": 2},
        "status": {"observedGeneration": 2, "rollout": rollout},
    }


def at(seconds: int) -> str:
    return (BEGAN + timedelta(seconds=seconds)).isoformat()


def told(*states: dict[str, Any]) -> tuple[Timeline, list[list[str]]]:
    """All states seen, and the words of each line."""
    out = StringIO()
    line = Timeline(Screen(Console(file=out, width=300)), BEGAN, 1)
    answered = [line.see(each) for each in states]
    assert answered == [False] * (len(states) - 1) + [True]
    return line, [row.split() for row in out.getvalue().splitlines()]


def test_a_good_rollout_is_active_after_the_gate_and_shows_what_runs_did() -> None:
    moving = [state(n, phase) for n, phase in enumerate(GOOD)]
    for one in moving[5:]:
        one["status"]["rollout"]["activatedAt"] = at(5)
    end = state(6, "Observing", activatedAt=at(5), endedAt=at(26), outcome="Promoted")
    line, rows = told(*moving, end)
    assert [row[-1] for row in rows if row[0] == "gate"] == ["Active"]
    assert [row[3:6] for row in rows if row[0] in {"paused", "resumed"}] == [
        ["7", "runs", "stand"],
        ["7", "runs", "go"],
    ]
    assert rows[-1][-1] == "Promoted"
    assert (line.seconds("activatedAt"), line.put_back) == (5.0, None)


def test_a_revert_counts_from_the_verdict_over_the_second_pause() -> None:
    moving = [state(n, phase, delivered=n > 1) for n, phase in enumerate(BACK)]
    for one in moving[4:]:
        one["status"]["rollout"] |= {"reason": "CheckFailed", "evidence": [FAILED]}
    last = {"reason": "CheckFailed", "endedAt": at(9), "outcome": "Reverted"}
    line, rows = told(*moving, state(7, "Resuming", delivered=True, **last))
    (gate,) = [row for row in rows if row[0] == "gate"]
    assert " ".join(gate[3:9]) == "answers: got 500, 3 of 3"
    assert gate[-1] == "CheckFailed"
    assert rows[-1][-1] == "Reverted"
    assert line.put_back == 5.0


def test_a_verdict_in_the_preview_takes_nothing_back() -> None:
    end = state(0, "Previewing", endedAt=at(2), outcome="Reverted", evidence=[FAILED])
    line, rows = told(state(0, "Previewing"), end)
    assert (rows[-1][-1], line.put_back) == ("Reverted", None)
