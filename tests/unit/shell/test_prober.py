"""The prober in virtual time: what is asked when, what is counted, and who is woken."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from tests.unit.shell.pods import check, probe
from tests.unit.shell.virtual_time import START, clock, in_virtual_time, now

from belay.api.check import Check
from belay.api.words import Verdict
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Report, Sample, Tally
from belay.core.keys import Key
from belay.shell.checks.prober import Prober
from belay.shell.checks.turns import FOR_ONE

ONE, OTHER = Key("shop", "wf-1"), Key("shop", "wf-2")
SPELLED = {"R": Answer.RIGHT, "W": Answer.WRONG, "N": Answer.NONE, "U": Answer.UNASKED}


class Stage:
    """A prober whose pods answer from a script: letters of `SPELLED`, the last one for ever."""

    def __init__(self) -> None:
        self.scripts: dict[str, str] = {}
        self.takes: dict[str, float] = {}
        self.asked: list[tuple[str, float]] = []
        self.in_flight: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.woken: list[tuple[Key, float]] = []
        self.verdicts: list[tuple[str, Verdict]] = []
        self.prober = Prober(
            self.ask,
            lambda key: self.woken.append((key, clock() - 1000)),
            now=now,
            clock=clock,
            on_sample=lambda kind, verdict: self.verdicts.append((kind, verdict)),
        )

    async def ask(self, asked: Probe) -> Sample:
        pod = asked.pod
        self.asked.append((pod, clock() - 1000))
        self.in_flight[pod] += 1
        self.most[pod] = max(self.most[pod], self.in_flight[pod])
        self.most["all"] = max(self.most["all"], self.in_flight.total())
        try:
            await asyncio.sleep(self.takes.get(pod, 0))
        finally:
            self.in_flight[pod] -= 1
        script = self.scripts.get(pod, "R")
        if not script:
            raise RuntimeError("a bug")
        if len(script) > 1:
            self.scripts[pod] = script[1:]
        return Sample(SPELLED[script[0]], script[0], now())

    def times(self, pod: str = "triage-1") -> list[float]:
        return [round(at, 6) for name, at in self.asked if name == pod]

    def tally(self, key: Key = ONE) -> Tally:
        (only,) = self.prober.tallies(key)
        return only


def plan(*probes: Probe, session: str = "1-1/Verifying/0") -> ProbePlan:
    return ProbePlan(session, probes)


def pods(names: Iterable[str], **fields: Any) -> list[Probe]:
    of = check(**fields)
    return [probe(of, 8080, pod=name) for name in names]


def by_job(pod: str) -> Probe:
    told = {"name": "beside", "job": {"from": "probe"}}
    return probe(Check.model_validate(told), pod=pod)


def staged(story: Callable[[Stage], Awaitable[None]]) -> None:
    """Tell a story in virtual time; whatever it was, the prober leaves no task behind."""

    async def main() -> None:
        stage = Stage()
        await story(stage)
        await stage.prober.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not stage.in_flight.total()
        seen = len(stage.asked), len(stage.woken)
        await asyncio.sleep(3600)
        assert (len(stage.asked), len(stage.woken)) == seen

    in_virtual_time(main())


def test_a_probe_is_asked_at_once_and_then_every_period_without_drift() -> None:
    async def story(stage: Stage) -> None:
        stage.takes["triage-1"] = 0.3
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(100.5)
        assert stage.times() == [float(n) for n in range(101)]
        assert stage.tally().tries == 101
        assert stage.tally().passes == 101

    staged(story)


def test_a_late_answer_is_followed_by_the_next_request_at_once_and_never_by_two() -> None:
    async def story(stage: Stage) -> None:
        stage.takes["triage-1"] = 1.5
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(4.6)
        assert stage.times() == [0.0, 1.5, 3.0, 4.5]
        assert stage.most["triage-1"] == 1

    staged(story)


def test_an_eager_probe_asks_soon_after_a_wrong_answer_and_then_every_period() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "WWWWWWWR"
        eager = replace(probe(check(period="100ms")), eager=True)
        stage.prober.pursue(ONE, plan(eager))
        await asyncio.sleep(0.6)
        pauses = [b - a for a, b in pairwise(stage.times())]
        assert [round(p * 1000) for p in pauses] == [5, 10, 20, 40, 80, 100, 100, 100, 100]

    staged(story)


def reporting(pod: str = "triage-1") -> tuple[Probe, Probe]:
    """The report of a pod, asked as `<pod>`, and a check of it, asked as `<pod>-check`."""
    of = check(name="report", period="1s", failureThreshold=100)
    report = replace(probe(of, pod=pod), report=Report("", "sha256:"))
    held = replace(probe(check(period="1s"), pod=f"{pod}-check"), reported=True)
    return report, replace(held, pod_uid=report.pod_uid)


def test_a_pass_wakes_nobody_while_others_are_undecided_and_a_failure_does() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts = {"triage-2": "WR", "triage-3": "RRRWWWR"}
        stage.prober.pursue(ONE, plan(*pods(["triage-1", "triage-2", "triage-3"], period="1s")))
        await asyncio.sleep(10)
        # 1: all have passed; 3: one passes no more; 5: it fails; 6: it passes again.
        assert [int(at) for _, at in stage.woken] == [1, 3, 5, 6]

    staged(story)


def test_a_check_starts_by_itself_when_its_pod_reports_and_that_alone_wakes_nobody() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "WWR"
        stage.takes["triage-1-check"] = 0.1
        stage.prober.pursue(ONE, plan(*reporting()))
        await asyncio.sleep(1.5)
        assert stage.times("triage-1-check") == []
        assert [t.check for t in stage.prober.tallies(ONE)] == ["report"]
        await asyncio.sleep(1.0)
        assert stage.times("triage-1-check") == [2.0]
        assert [round(at, 3) for _, at in stage.woken] == [2.101]

    staged(story)


def test_what_a_pod_answered_before_it_reported_other_content_counts_no_more() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "RRWR"
        stage.prober.pursue(ONE, plan(*reporting()))
        await asyncio.sleep(1.5)
        assert [t.tries for t in stage.prober.tallies(ONE)] == [2, 2]
        await asyncio.sleep(1.0)
        assert [t.tries for t in stage.prober.tallies(ONE)] == [3]
        await asyncio.sleep(1.0)
        assert [t.tries for t in stage.prober.tallies(ONE)] == [4, 1]

    staged(story)


def test_an_answer_on_its_way_when_its_pod_reports_other_content_is_never_heard() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "RWR"
        stage.takes["triage-1-check"] = 1.5
        stage.prober.pursue(ONE, plan(*reporting()))
        await asyncio.sleep(3.0)
        assert stage.times("triage-1-check") == [0.0, 2.0]
        assert [t.tries for t in stage.prober.tallies(ONE)] == [3, 0]

    staged(story)


def test_a_pod_that_was_restarted_begins_with_nothing() -> None:
    async def story(stage: Stage) -> None:
        one = replace(probe(), since="0")
        stage.prober.pursue(ONE, plan(one))
        await asyncio.sleep(2.5)
        assert stage.tally().passes == 3
        stage.prober.pursue(ONE, plan(one))
        assert stage.tally().passes == 3
        stage.prober.pursue(ONE, plan(replace(one, since="1")))
        assert stage.tally().passes == 0

    staged(story)


@pytest.mark.parametrize(
    ("script", "thresholds", "expected"),
    [
        ("R", (3, 1), [0]),
        ("R", (3, 5), [4]),
        ("W", (3, 1), [2]),
        ("W", (1, 1), [0]),
        ("WWR", (3, 1), [2]),
        ("WWWR", (3, 1), [2, 3]),
        ("WWWWWR", (3, 3), [2, 5, 7]),
        ("RWR", (3, 1), [0, 1, 2]),
        ("RWWWR", (3, 1), [0, 1, 3, 4]),
        ("RWRWRWR", (3, 3), [8]),
        ("N", (1, 1), []),
        ("U", (1, 1), []),
        ("WNWUWN", (3, 1), [4]),
        ("WWNR", (3, 1), [3]),
        ("RNR", (3, 2), [2]),
    ],
)
def test_a_workflow_is_woken_when_something_decisive_changes_and_only_then(
    script: str, thresholds: tuple[int, int], expected: list[int]
) -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = script
        failures, successes = thresholds
        of = check(period="1s", failureThreshold=failures, successThreshold=successes)
        stage.prober.pursue(ONE, plan(probe(of)))
        await asyncio.sleep(50)
        assert [(key, int(at)) for key, at in stage.woken] == [(ONE, at) for at in expected]

    staged(story)


def test_what_changes_together_is_one_wake_up() -> None:
    async def story(stage: Stage) -> None:
        names = [f"pod-{n}" for n in range(16)]
        stage.scripts = dict.fromkeys(names, "W")
        stage.prober.pursue(ONE, plan(*pods(names, failureThreshold=3)))
        stage.prober.pursue(OTHER, plan(probe()))
        await asyncio.sleep(2.5)
        assert [(key, round(at)) for key, at in stage.woken] == [(OTHER, 0), (ONE, 2)]
        assert [t.fails for t in stage.prober.tallies(ONE)] == [3] * 16

    staged(story)


def test_a_workflow_finds_the_tally_that_woke_it() -> None:
    async def story(stage: Stage) -> None:
        found: list[int] = []
        stage.scripts["triage-1"] = "W"
        stage.prober = Prober(
            stage.ask, lambda _: found.append(stage.tally().fails), now=now, clock=clock
        )
        stage.prober.pursue(ONE, plan(probe(check(failureThreshold=4))))
        await asyncio.sleep(9)
        assert found == [4]

    staged(story)


def test_silence_of_a_ready_pod_is_inconclusive_until_it_is_not_ready() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "WN"
        asked = probe(check(failureThreshold=3))
        stage.prober.pursue(ONE, plan(asked))
        await asyncio.sleep(4.5)
        assert (stage.tally().fails, stage.tally().tries) == (1, 5)
        assert stage.tally().last_verdict is Verdict.INCONCLUSIVE
        stage.prober.pursue(ONE, plan(replace(asked, ready=False)))
        await asyncio.sleep(2)
        assert (stage.tally().fails, stage.tally().tries) == (3, 7)
        assert [(key, round(at)) for key, at in stage.woken] == [(ONE, 6)]
        stage.prober.pursue(ONE, plan(asked))
        await asyncio.sleep(2)
        assert (stage.tally().fails, stage.tally().tries) == (3, 9)
        assert stage.times() == [float(n) for n in range(9)]

    staged(story)


def test_readiness_counts_as_it_is_when_the_answer_comes() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "N"
        stage.takes["triage-1"] = 0.5
        asked = probe(check())
        stage.prober.pursue(ONE, plan(asked))
        await asyncio.sleep(0.2)
        stage.prober.pursue(ONE, plan(replace(asked, ready=False)))
        await asyncio.sleep(0.4)
        assert stage.tally().last_verdict is Verdict.FAIL

    staged(story)


@pytest.mark.parametrize(
    "helper",
    [
        pytest.param((OTHER, probe(pod="other-1")), id="another pod of another Workflow"),
        pytest.param((OTHER, probe(check("deep"))), id="another check of the same pod"),
    ],
)
def test_silence_is_a_failure_while_another_probe_has_just_been_answered(
    helper: tuple[Key, Probe],
) -> None:
    async def story(stage: Stage) -> None:
        key, other = helper
        silent = probe(check(period="1s"), pod="silent-1")
        stage.scripts["silent-1"] = "N"
        stage.prober.pursue(ONE, plan(silent))
        await asyncio.sleep(2.5)
        assert (stage.tally().fails, stage.tally().tries) == (0, 3)
        stage.prober.pursue(key, plan(other))
        await asyncio.sleep(0.2)
        stage.prober.pursue(key, None)
        await asyncio.sleep(9.9)
        assert (stage.tally().fails, stage.tally().tries) == (10, 13)
        await asyncio.sleep(5)
        assert (stage.tally().fails, stage.tally().tries) == (10, 18)

    staged(story)


def test_a_probe_does_not_vouch_for_itself() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "RN"
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(5.5)
        assert stage.tally().tries == 6
        assert stage.tally().fails == 0

    staged(story)


def test_an_answer_that_another_got_before_the_silence_says_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.prober.pursue(OTHER, plan(probe(pod="other-1")))
        await asyncio.sleep(0.5)
        stage.prober.pursue(OTHER, None)
        stage.scripts["triage-1"] = "RRN"
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(2.5)
        assert (stage.tally().fails, stage.tally().tries) == (0, 3)

    staged(story)


def test_a_baseline_answer_vouches_too() -> None:
    async def story(stage: Stage) -> None:
        await stage.prober.ask_once(plan(probe(pod="other-1")))
        stage.scripts["triage-1"] = "N"
        stage.prober.pursue(ONE, plan(probe()))
        await asyncio.sleep(0.5)
        assert stage.tally().fails == 1

    staged(story)


def test_the_same_session_keeps_tallies_and_asks_no_more_often() -> None:
    async def story(stage: Stage) -> None:
        for _ in range(80):
            stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
            await asyncio.sleep(0.123)
        assert stage.times() == [float(n) for n in range(10)]
        assert stage.prober.started_at(ONE) == START
        assert len(stage.woken) == 1

    staged(story)


def test_a_new_session_starts_from_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.prober.pursue(ONE, plan(probe()))
        await asyncio.sleep(5.5)
        assert stage.tally().passes == 6
        stage.prober.pursue(ONE, plan(probe(), session="1-1/Observing/0"))
        assert stage.prober.session(ONE) == "1-1/Observing/0"
        assert stage.prober.started_at(ONE) == START + timedelta(seconds=5.5)
        assert stage.tally() == Tally(
            "answers", probe().stage, "triage-1", "uid-of-triage-1", "GET :8080/"
        )
        await asyncio.sleep(0.5)
        assert stage.tally().passes == 1
        assert [round(at, 1) for _, at in stage.woken] == [0.0, 5.5]

    staged(story)


def test_pods_come_and_go_within_a_session() -> None:
    async def story(stage: Stage) -> None:
        a, b, c = pods(["a", "b", "c"], period="1s")
        stage.prober.pursue(ONE, plan(a, b))
        await asyncio.sleep(2.5)
        stage.prober.pursue(ONE, plan(c, b))
        await asyncio.sleep(2)
        assert stage.times("a") == [0.0, 1.0, 2.0]
        assert stage.times("b") == [0.0, 1.0, 2.0, 3.0, 4.0]
        assert stage.times("c") == [2.5, 3.5]
        assert [t.pod for t in stage.prober.tallies(ONE)] == ["c", "b"]

    staged(story)


def test_a_pod_that_gets_its_address_is_asked_at_once_with_the_tally_that_it_has() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = "UR"
        asked = probe(check(period="10s"), address="")
        stage.prober.pursue(ONE, plan(asked))
        await asyncio.sleep(2)
        stage.prober.pursue(ONE, plan(replace(asked, address="10.0.0.7", port=8081)))
        await asyncio.sleep(11)
        assert stage.times() == [0.0, 2.0, 12.0]
        assert (stage.tally().tries, stage.tally().passes) == (3, 2)
        assert stage.tally().asked == "GET :8081/"

    staged(story)


def test_a_check_that_changed_starts_from_nothing() -> None:
    async def story(stage: Stage) -> None:
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(2.5)
        stage.prober.pursue(ONE, plan(probe(check(period="1s", path="/deep"))))
        await asyncio.sleep(1.1)
        assert stage.tally().passes == 2
        assert stage.times() == [0.0, 1.0, 2.0, 2.5, 3.5]

    staged(story)


def test_a_probe_that_is_planned_twice_is_asked_once() -> None:
    async def story(stage: Stage) -> None:
        stage.prober.pursue(ONE, plan(probe(), probe()))
        await asyncio.sleep(1.5)
        assert stage.times() == [0.0, 1.0]

    staged(story)


@pytest.mark.parametrize("how", ["forget", "pursue None", "close"])
def test_a_workflow_that_is_forgotten_has_nothing_and_hears_nothing(how: str) -> None:
    async def story(stage: Stage) -> None:
        stage.takes["slow"] = 30
        stage.prober.pursue(ONE, plan(probe(pod="slow"), probe(pod="fast")))
        await asyncio.sleep(0.0005)
        assert [t.tries for t in stage.prober.tallies(ONE)] == [0, 1]
        match how:
            case "forget":
                stage.prober.forget(ONE)
            case "pursue None":
                stage.prober.pursue(ONE, None)
            case _:
                await stage.prober.close()
        await asyncio.sleep(100)
        assert stage.prober.tallies(ONE) == ()
        assert stage.prober.session(ONE) is None
        assert stage.prober.started_at(ONE) is None
        assert stage.woken == []
        assert stage.verdicts == [("http", Verdict.PASS)]
        stage.prober.forget(ONE)

    staged(story)


def test_a_bug_in_a_check_is_inconclusive_and_ends_no_probing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story(stage: Stage) -> None:
        stage.scripts["triage-1"] = ""
        stage.prober.pursue(ONE, plan(probe()))
        await asyncio.sleep(1.5)
        last = stage.tally().last
        assert last is not None
        assert last.got == "could not be asked: internal error RuntimeError"
        stage.scripts["triage-1"] = "R"
        await asyncio.sleep(1)
        assert (stage.tally().tries, stage.tally().passes, stage.tally().fails) == (3, 1, 0)

    with caplog.at_level(logging.ERROR):
        staged(story)
    assert "check answers could not be asked" in caplog.text


def test_hanging_pods_of_others_delay_nobody() -> None:
    async def story(stage: Stage) -> None:
        hanging = [f"hanging-{n}" for n in range(20)]
        stage.takes = dict.fromkeys(hanging, 60.0)
        for n in range(300):
            stage.prober.pursue(Key("noisy", f"wf-{n}"), plan(*pods(hanging)))
        await asyncio.sleep(0.5)
        stage.prober.pursue(ONE, plan(probe(check(period="1s"))))
        await asyncio.sleep(30)
        assert stage.times() == [n + 0.5 for n in range(30)]
        assert stage.most["all"] <= 316

    staged(story)


def test_two_thousand_probes_are_asked_on_time() -> None:
    async def story(stage: Stage) -> None:
        for n in range(1000):
            names = [f"pod-{n}-{m}" for m in range(2)]
            stage.takes |= dict.fromkeys(names, 0.01)
            stage.prober.pursue(Key("many", f"wf-{n}"), plan(*pods(names, period="1s")))
        await asyncio.sleep(10.5)
        tallies = [
            tally for n in range(1000) for tally in stage.prober.tallies(Key("many", f"wf-{n}"))
        ]
        assert len(tallies) == 2000
        assert {tally.passes for tally in tallies} == {11}
        assert len(stage.woken) <= 2000

    staged(story)


def test_a_baseline_asks_everything_once_side_by_side_and_keeps_no_tally() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts |= {"a": "R", "b": "W", "c": "N", "d": ""}
        stage.takes |= {"a": 2.0, "b": 1.0, "c": 3.0}
        asked = plan(*pods("abcd"))
        found = await stage.prober.ask_once(asked)
        assert clock() == pytest.approx(1003.0)
        assert [one for one, _ in found] == list(asked.probes)
        assert [sample.answer for _, sample in found] == [
            Answer.RIGHT,
            Answer.WRONG,
            Answer.NONE,
            Answer.UNASKED,
        ]
        assert stage.prober.tallies(ONE) == ()
        assert stage.woken == []
        assert await stage.prober.ask_once(plan()) == ()

    staged(story)


def test_a_baseline_that_is_given_up_leaves_nothing_behind() -> None:
    async def story(stage: Stage) -> None:
        names = [f"pod-{n}" for n in range(40)]
        stage.takes = dict.fromkeys(names, 60.0)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await stage.prober.ask_once(plan(*pods(names)))
        assert stage.most["all"] == 16

    staged(story)


def test_jobs_that_take_long_hold_no_other_check_up() -> None:
    async def story(stage: Stage) -> None:
        names = [f"j{number}" for number in range(40)]
        stage.takes = dict.fromkeys(names, 60)
        stage.prober.pursue(ONE, plan(*map(by_job, names), *pods(["triage-1"], period="1s")))
        await asyncio.sleep(9.5)
        assert stage.times() == [float(second) for second in range(10)]
        assert len(stage.asked) - 10 == FOR_ONE

    staged(story)


def test_what_runs_inside_or_beside_a_pod_says_nothing_of_our_network() -> None:
    async def story(stage: Stage) -> None:
        stage.scripts = {"silent": "N", "j1": "R"}
        stage.prober.pursue(ONE, plan(by_job("j1"), *pods(["silent"], period="1s")))
        await asyncio.sleep(3.5)
        assert dict(stage.verdicts) == {"http": Verdict.INCONCLUSIVE, "job": Verdict.PASS}

    staged(story)
