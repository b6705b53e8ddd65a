"""Random schedules of the model on a real API server; and that their judge can say no."""

import asyncio
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from tests.faults import schedules
from tests.faults.ending import Ending, Found
from tests.faults.moments import Moment, read
from tests.faults.plans import Fault
from tests.faults.proxy import STATUS
from tests.faults.stage import Stage
from tests.harness.setup import ROOT
from tests.model.scenarios import SCENARIOS

AT_LEAST = 12
UNDISTURBED = "good:0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,0,0"
HANGS = 600


@pytest.mark.timeout(2 * HANGS)
def test_random_schedules_end_on_a_real_api_server_as_oracles_want_it(
    seed: int, request: pytest.FixtureRequest
) -> None:
    """One of each scenario by the seed, each with up to four disturbances; more in a full run."""
    most = 400 if request.config.getoption("--full") else len(SCENARIOS)
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.schedules", f"--seed={seed}", f"--most={most}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=HANGS,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    (came,) = re.findall(r"(\d+) of \d+ disturbances came to pass, 0 with", done.stdout)
    assert int(came) >= AT_LEAST


@pytest.mark.parametrize(
    ("plan", "moment"),
    [
        ("good:0,crash", "crash after 0 statuses"),
        ("good:0,0,conflict", "conflict after 0 statuses, at workflows/status"),
        ("good:0,0,0,0,unanswered", "unanswered after 1 statuses, at configmaps"),
        ("good:0,0,0,0,0,denied", "denied after 1 statuses, at deployments"),
    ],
)
def test_a_moment_knows_how_far_the_run_is_and_what_call_comes_next(plan: str, moment: str) -> None:
    assert [str(m) for m in read(plan).moments] == [moment]


def test_a_status_whose_answer_is_lost_is_written_all_the_same() -> None:
    told = read("good:0,0,unanswered,0,crash")
    assert [m.statuses for m in told.moments] == [0, 1]


class Acts:
    """What a stage had people and the machine do."""

    def __init__(self, *moments: Moment) -> None:
        self.done: list[str] = []
        self.acted = asyncio.Event()
        self.stage = Stage(moments, self._act, self._kill)

    def _kill(self, number: int) -> None:
        self.done.append(f"signal {number}")
        self.acted.set()

    async def _act(self, what: str) -> None:
        self.done.append(what)

    async def meets(self, what: str, *, writes: bool = True) -> Fault | None:
        return await self.stage.meets(what, writes=writes)

    async def written(self) -> None:
        await self.stage.heard(STATUS, b"")


def test_a_fault_meets_the_call_that_it_met_in_the_model() -> None:
    async def run() -> list[Fault | None]:
        acts = Acts(Moment("crash", 1, "deployments"))
        met = [await acts.meets("PATCH deployments")]
        await acts.written()
        met.append(await acts.meets("GET deployments", writes=False))
        met.append(await acts.meets("PATCH configmaps"))
        met.append(await acts.meets("PATCH deployments"))
        met.append(await acts.meets("PATCH deployments"))
        return met

    assert asyncio.run(run()) == [None, None, None, Fault.KILL_BEFORE, None]


def test_what_people_do_is_done_before_the_call_goes_on() -> None:
    async def run() -> tuple[Fault | None, list[str]]:
        acts = Acts(
            Moment("wish v3", 0, "configmaps"),
            Moment("abort", 0, "configmaps"),
            Moment("unanswered", 0, "configmaps"),
        )
        return await acts.meets("PATCH configmaps"), acts.done

    assert asyncio.run(run()) == (Fault.UNANSWERED, ["wish v3", "abort"])


@pytest.mark.parametrize(
    ("what", "call", "meets", "fault"),
    [
        ("unanswered", "configmaps", "PATCH deployments", Fault.UNANSWERED),
        ("conflict", "workflows/status", "PATCH deployments", None),
        ("conflict", "workflows/status", STATUS, Fault.CONFLICT),
        ("denied", "jobs", "PATCH cronjobs", Fault.FORBIDDEN),
        ("denied", "jobs", "PATCH pods", None),
        ("stale read", "", "GET deployments", Fault.STALE),
        ("wish v3", "", "PATCH deployments", None),
    ],
)
def test_a_call_that_never_comes_is_made_good_by_another_where_any_will_do(
    what: str, call: str, meets: str, fault: Fault | None
) -> None:
    async def run() -> Fault | None:
        acts = Acts(Moment(what, 0, call))
        await acts.written()
        return await acts.meets(meets, writes=not meets.startswith("GET"))

    assert asyncio.run(run()) is fault


def test_what_needs_no_call_comes_as_soon_as_it_can_and_the_rest_when_all_rests() -> None:
    async def run() -> list[str]:
        acts = Acts(Moment("crash", 1), Moment("conflict", 2, STATUS), Moment("retry", 9, "pods"))
        running = asyncio.create_task(acts.stage.run())
        await acts.written()
        await acts.acted.wait()
        assert await acts.stage.at_rest()
        assert not await acts.stage.at_rest()
        running.cancel()
        return acts.done

    assert asyncio.run(run()) == ["signal 9", "retry"]


@pytest.mark.parametrize(
    ("what", "fault"), [("lost wake-up", Fault.DROPPED), ("repeated wake-up", Fault.REPEATED)]
)
def test_an_event_meets_what_a_wake_up_met(what: str, fault: Fault) -> None:
    acts = Acts(Moment(what, 0))
    assert [acts.stage.event(), acts.stage.event()] == [fault, None]


# The judge


ENDED = Ending(
    phase="Promoted",
    active="v2",
    stable="v2",
    conditions=(("Ready", "True", "Promoted"),),
    quarantined=(),
    history=(("v2", "Promoted", None), ("v1", "Promoted", None)),
    runs="v2",
    previews=(),
    contents=(),
    suspended=(),
)
NONE: frozenset[str] = frozenset()


def found(told: tuple[str, ...] = ("2-1.Promoted",), **more: Any) -> Found:
    messages, late = more.pop("messages", ()), more.pop("late", ())
    end = replace(ENDED, **more)
    return Found(end, Counter(told), frozenset(), messages, Counter(), 1, writes_at_rest=late)


@pytest.mark.parametrize(
    ("end", "had", "wish", "words"),
    [
        (found(), NONE, "v2", ""),
        (found(late=("PATCH pods",)), NONE, "v2", "writes at rest: PATCH pods"),
        (found(phase="Observing"), {"abort"}, "v2", "ends Observing"),
        (found(previews=("p",)), NONE, "v2", "preview pods are left: p"),
        (found(previews=("p",)), {"status lost"}, "v2", ""),
        (found(conditions=(), messages=("",)), NONE, "v2", "nothing says why"),
        (found(("a", "a")), NONE, "v2", "events told twice: a"),
        (found(runs="v1"), NONE, "v2", "v1 runs, v2 is active"),
        (found(runs="v1"), {"taken out"}, "v2", ""),
        (found(active="v4", runs="v4"), {"abort"}, "v4", "v4 runs at Promoted, and is bad"),
        (found(active="v7", runs="v7", phase="Held"), NONE, "v7", ""),
        (found(active="v7", runs="v7"), NONE, "v7", "v7 runs at Promoted, and is bad"),
        (found(active="v10", runs="v10", stable="v10"), NONE, "v10", ""),
        (found(phase="Held", active="", runs="v4"), {"abort"}, "v4", ""),
        (found(), NONE, "v3", "v3 is wanted and good, v2 is stable"),
        (found(), {"denied"}, "v3", ""),
        (found(active="v1.again", runs="v1", stable="v1.again"), NONE, "v1.again", ""),
    ],
)
def test_an_end_is_judged_by_what_the_model_wants_of_it(
    end: Found, had: set[str], wish: str, words: str
) -> None:
    told = list(schedules.judged(end, frozenset(had), wish))
    assert (words in told[0]) if words else told == []


def test_after_what_leaves_no_trace_the_end_is_the_models() -> None:
    good = read(UNDISTURBED)
    assert list(schedules.same(good, ENDED)) == []
    for other in ({"quarantined": ("v2",)}, {"stable": "v1"}, {"history": ENDED.history[1:]}):
        assert len(list(schedules.same(good, replace(ENDED, **other)))) == 1
    wrong = replace(good, scenario="wrong")
    assert list(schedules.same(wrong, ENDED))
