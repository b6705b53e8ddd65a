"""Verdicts: of one sample, of one stage, and what is said without one."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.toy import promoted
from tests.unit.core.world import NOW, check, observed, pod, seconds, spec, tally, view

from belay.api.check import Check
from belay.api.words import Reason, Stage, Verdict
from belay.api.workflow import OnFailure, OnInconclusive, Preview, WorkflowSpec
from belay.core.attempt import attempt_digest
from belay.core.evidence import asking, proof
from belay.core.evidence.probe import Answer, Sample, Tally, judge
from belay.core.evidence.proof import Fault
from belay.core.fingerprint import fingerprint
from belay.core.observed import Observed, ServiceView
from belay.core.pods import Pod, read_pod

SESSION = "1-1/Verifying/0"
PASS, FAIL, NOTHING = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("answer", "ready", "another", "verdict"),
    [
        (Answer.RIGHT, True, False, PASS),
        (Answer.RIGHT, False, True, PASS),
        (Answer.WRONG, True, False, FAIL),
        (Answer.WRONG, False, True, FAIL),
        (Answer.NONE, True, False, NOTHING),
        (Answer.NONE, True, True, FAIL),
        (Answer.NONE, False, False, FAIL),
        (Answer.NONE, False, True, FAIL),
        (Answer.UNASKED, True, True, NOTHING),
        (Answer.UNASKED, False, False, NOTHING),
    ],
)
def test_one_sample_is_judged_by_rule_six(
    answer: Answer, ready: bool, another: bool, verdict: Verdict
) -> None:
    sample = Sample(answer, "", NOW)
    assert judge(sample, ready=ready, another_answered=another) is verdict


@pytest.mark.parametrize(
    ("verdicts", "passes", "fails"),
    [
        ((PASS, PASS), 2, 0),
        ((FAIL, FAIL, PASS), 1, 0),
        ((PASS, FAIL), 0, 1),
        ((FAIL, NOTHING, FAIL), 0, 2),
        ((PASS, NOTHING, NOTHING), 1, 0),
        ((NOTHING,), 0, 0),
    ],
)
def test_answers_count_in_a_row_and_no_answer_neither_counts_nor_resets(
    verdicts: tuple[Verdict, ...], passes: int, fails: int
) -> None:
    counted = tally("p", *verdicts)
    assert (counted.passes, counted.fails, counted.tries) == (passes, fails, len(verdicts))
    assert counted.first_at == NOW
    assert counted.passed_ever is (PASS in verdicts)
    assert counted.last_verdict is verdicts[-1]


def test_a_streak_knows_its_beginning_until_it_ends() -> None:
    assert tally("p", PASS, FAIL, FAIL).failing_since == NOW + seconds(1)
    assert tally("p", FAIL, PASS).failing_since is None


def test_what_is_asked_is_told_with_the_port_that_is_dialled() -> None:
    named = check(http={"port": "http", "path": "/run", "method": "POST"})
    (probe,) = proof.plan(seen_with(spec=spec(checks=[named])), Stage.GATE, SESSION).probes[:1]
    assert probe.asked == "POST :8080/run"
    assert replace(probe, port=None).asked == "POST :http/run"
    assert replace(probe, check=named.model_copy(update={"http": None})).asked == ""


def other(**way: Any) -> Check:
    """A check that asks in another way than HTTP."""
    return Check.model_validate({"name": "answers", **way})


COMMAND = other(exec={"command": ["/bin/check"]})
BY_JOB = other(job={"from": "probe"})


def test_what_runs_inside_or_beside_a_pod_needs_no_port() -> None:
    elsewhere = other(exec={"command": ["x"], "container": "side"})
    seen = seen_with(spec=spec(checks=[COMMAND, BY_JOB, elsewhere]))
    asked = [
        len(proof.answering_pods(seen, c, seen.workloads)) for c in (COMMAND, BY_JOB, elsewhere)
    ]
    assert asked == [2, 2, 0]
    told = [probe.asked for probe in proof.plan(seen, Stage.GATE, SESSION).probes]
    assert told == ["exec in app: /bin/check"] * 2 + ["Job from CronJob probe"] * 2
    assert [asking.declares(view(), c) for c in (COMMAND, BY_JOB, elsewhere)] == [True, True, False]
    assert list(asking.objections(seen, elsewhere)) == [
        "Deployment triage has no container side: correct exec.container"
    ]
    assert list(asking.objections(seen, BY_JOB)) == []


@pytest.mark.parametrize(
    ("of", "asked", "dialled"),
    [
        (check(), "GET :8080/run", True),
        (other(grpc={"port": 9090}), "gRPC :9090 health", True),
        (other(grpc={"port": 9090, "service": "crm"}), 'gRPC :9090 health "crm"', True),
        (COMMAND, "exec in app: /bin/check", False),
    ],
)
def test_a_probe_tells_what_it_asks_and_whether_by_our_own_network(
    of: Check, asked: str, dialled: bool
) -> None:
    seen = seen_with(spec=spec(checks=[check()]))
    probe = proof.plan(seen, Stage.GATE, SESSION).probes[0]
    port = of.port if isinstance(of.port, int) else None
    probe = replace(probe, check=of, port=port, container="app")
    assert (probe.asked, probe.dialled) == (asked, dialled)


def test_no_network_is_blamed_for_the_silence_of_a_command() -> None:
    silent = tally("a", NOTHING, got="no exit within 5 s")
    seen = seen_with(silent, spec=spec(checks=[COMMAND]), names=("a",))
    why = proof.undecided(seen, Stage.GATE, SESSION, pods("a"), 60.0)
    assert why.message == 'no verdict within 60 s: check "answers": no exit within 5 s'


@pytest.mark.parametrize(
    ("of", "every", "limit"),
    [
        (check(), 1.0, 1.0),
        (COMMAND, 5.0, 5.0),
        (BY_JOB, 10.0, 120.0),
        (check(period="2s", timeout="3s"), 2.0, 3.0),
    ],
)
def test_each_type_of_check_has_its_own_pace(of: Check, every: float, limit: float) -> None:
    assert (of.every, of.limit) == (every, limit)


# One stage


def pods(*names: str, **more: Any) -> list[Pod]:
    return [read_pod(pod(n, **more), "app") for n in names]


def seen_with(*tallies: Tally, names: tuple[str, ...] = ("a", "b"), **more: Any) -> Observed:
    workload = replace(view(), pods=tuple(pods(*names)))
    defaults = {"spec": spec(), "workloads": (workload,), "session": SESSION, "tallies": tallies}
    return observed(**{**defaults, **more})


def test_the_gate_wants_every_check_on_every_pod() -> None:
    seen = seen_with(tally("a", PASS), tally("b", PASS))
    assert proof.passed(seen, Stage.GATE, SESSION)
    assert not proof.passed(seen_with(tally("a", PASS)), Stage.GATE, SESSION)
    assert not proof.passed(seen_with(tally("a", PASS), tally("b", FAIL)), Stage.GATE, SESSION)
    assert not proof.passed(seen_with(names=()), Stage.GATE, SESSION)


def test_answers_of_another_session_prove_nothing() -> None:
    seen = seen_with(tally("a", PASS), tally("b", PASS), session="1-1/Delivering/0")
    assert not proof.passed(seen, Stage.GATE, SESSION)
    assert proof.evidence(seen, SESSION) == []


def test_success_and_failure_thresholds_are_counted_per_pod() -> None:
    twice = spec(checks=[check(success_threshold=2, failure_threshold=2)])
    seen = seen_with(tally("a", PASS, PASS), tally("b", PASS), spec=twice)
    assert not proof.passed(seen, Stage.GATE, SESSION)
    seen = seen_with(tally("a", FAIL), tally("b", FAIL), spec=twice)
    assert proof.failing(seen, Stage.GATE, SESSION, seen.workloads[0].pods) is None
    seen = seen_with(tally("a", PASS), tally("b", FAIL, FAIL), spec=twice)
    why = proof.failing(seen, Stage.GATE, SESSION, seen.workloads[0].pods)
    assert why is not None
    assert (why.fault, why.reason, why.check) == (Fault.REVISION, Reason.CHECK_FAILED, "answers")
    assert why.message == (
        'check "answers" got 500 instead of 200 from GET :8080/run on 2 of 2 tries in 1.0 s, '
        "in pod b"
    )


def test_a_failure_in_the_preview_says_where() -> None:
    seen = seen_with(tally("a", FAIL, FAIL, FAIL))
    why = proof.failing(seen, Stage.PREVIEW, SESSION, pods("a"))
    assert why is not None
    assert why.message.endswith("in its preview pod")


def test_a_tally_without_samples_still_tells() -> None:
    bare = replace(tally("a"), fails=3)
    why = proof.failing(seen_with(bare), Stage.GATE, SESSION, pods("a"))
    assert why is not None
    assert 'check "answers" got nothing' in why.message
    (told,) = proof.evidence(seen_with(bare), SESSION)
    assert (told.got, told.last_at) == ("", None)


def test_the_end_of_a_window_wants_a_pass_for_each_check_and_no_streak() -> None:
    assert proof.passed_over_time(seen_with(tally("a", PASS), tally("b")), SESSION)
    assert not proof.passed_over_time(seen_with(tally("a"), tally("b")), SESSION)
    assert not proof.passed_over_time(seen_with(tally("a", PASS), tally("b", FAIL)), SESSION)
    two = spec(checks=[check("one"), check("two")])
    only_one = seen_with(tally("a", PASS, check_name="one"), spec=two)
    assert not proof.passed_over_time(only_one, SESSION)


def test_checks_run_at_the_stages_that_they_name() -> None:
    checks = [
        check("always"),
        check("first", at=[Stage.PREVIEW]),
        check("behind", http={"port": 80, "service": "triage"}),
    ]
    seen = observed(spec=spec(checks=checks))
    assert [c.name for c in proof.checks_at(seen, Stage.PREVIEW)] == ["always", "first"]
    assert [c.name for c in proof.checks_at(seen, Stage.GATE)] == ["always", "behind"]
    assert [c.name for c in proof.checks_at(seen, Stage.OBSERVATION)] == ["always", "behind"]


def test_a_check_behind_a_service_asks_the_new_pods_behind_it_at_their_port() -> None:
    behind = check("behind", http={"port": 80, "service": "triage"})
    ports = {"uid-of-b": 9000, "uid-of-old": 9000}
    services = {"behind": ServiceView(ports, target_port=9000)}
    seen = seen_with(spec=spec(checks=[behind]), services=services)
    (probe,) = proof.plan(seen, Stage.GATE, SESSION).probes
    assert (probe.pod, probe.port) == ("b", 9000)
    assert proof.plan(replace(seen, services={}), Stage.GATE, SESSION).probes == ()


def test_a_pod_is_asked_once_it_was_ready_and_from_then_on() -> None:
    workload = replace(view(), pods=tuple(pods("a", ready=False)))
    seen = seen_with(workloads=(workload,))
    assert proof.plan(seen, Stage.GATE, SESSION).probes == ()
    known = replace(seen, tallies=(tally("a", PASS),))
    (probe,) = proof.plan(known, Stage.GATE, SESSION).probes
    assert (probe.ready, probe.port, probe.address) == (False, 8080, "10.0.0.7")
    assert proof.plan(replace(known, session="other"), Stage.GATE, SESSION).probes == ()


def test_pods_that_do_not_declare_the_port_are_not_asked() -> None:
    seen = seen_with(spec=spec(checks=[check(http={"port": 9090})]))
    assert proof.plan(seen, Stage.GATE, SESSION).probes == ()


# Without a verdict


def undecided(seen: Observed, some: list[Pod]) -> str:
    why = proof.undecided(seen, Stage.GATE, SESSION, some, 60)
    assert why.fault is Fault.UNKNOWN
    return why.message


def test_no_pods_are_no_verdict() -> None:
    why = proof.undecided(seen_with(), Stage.GATE, SESSION, [], 60)
    assert why.reason is Reason.NO_PODS
    assert why.message == "there is no pod of it to ask after 60 s: the target has no replicas"


def test_silence_of_ready_pods_asks_for_the_network() -> None:
    said = undecided(seen_with(tally("a", NOTHING, NOTHING)), pods("a"))
    assert said == (
        'no verdict within 60 s: 2 of 2 tries of check "answers" to reach GET :8080/run found no '
        "answer, while kubelet calls the pods ready; a NetworkPolicy or mTLS between Belay and "
        "this namespace may be in the way"
    )
    later = undecided(seen_with(tally("a", PASS, NOTHING)), pods("a"))
    assert 'the last try of check "answers"' in later
    assert "NetworkPolicy" not in undecided(seen_with(tally("a", NOTHING)), pods("a", ready=False))


def test_what_could_not_be_asked_is_told() -> None:
    sample = Sample(Answer.UNASKED, "Secret tokens is missing", NOW)
    stuck = tally("a").count(sample, NOTHING)
    said = undecided(seen_with(stuck), pods("a"))
    assert said == 'no verdict within 60 s: check "answers": Secret tokens is missing'


def test_a_service_that_cannot_be_asked_is_told() -> None:
    seen = seen_with(services={"behind": ServiceView({}, "there is no Service triage")})
    assert undecided(seen, pods("a")) == "no verdict within 60 s: there is no Service triage"


def test_else_the_ready_pods_are_counted() -> None:
    some = [*pods("a"), *pods("b", ready=False)]
    assert undecided(seen_with(), some) == "no verdict within 60 s: 1 of 2 pods ready"


WAITING = {"waiting": {"reason": "ErrImagePull"}}


@pytest.mark.parametrize(
    ("some", "fault", "reason", "words"),
    [
        (pods("a", ready=False), Fault.REVISION, Reason.NOT_READY, "pod a runs but is not ready"),
        (
            pods("a", "b", "c", ready=False),
            Fault.REVISION,
            Reason.NOT_READY,
            "pod a and 2 more runs but is not ready after 5 min",
        ),
        (
            pods("a", ready=False, state=WAITING),
            Fault.ENVIRONMENT,
            Reason.ENVIRONMENT_IMAGE,
            "pod a: ErrImagePull",
        ),
        (
            pods("a", ready=False, containerStatuses=[]),
            Fault.ENVIRONMENT,
            Reason.ENVIRONMENT_SCHEDULING,
            "pod a did not start within 5 min",
        ),
        (pods("a"), Fault.UNKNOWN, Reason.INCONCLUSIVE, "the update was not complete after 5 min"),
        ([], Fault.UNKNOWN, Reason.INCONCLUSIVE, "the update was not complete after 5 min"),
    ],
)
def test_what_is_late_is_blamed_on_whom_it_may_concern(
    some: list[Pod], fault: Fault, reason: Reason, words: str
) -> None:
    why = proof.late(some, None, 300)
    assert (why.fault, why.reason) == (fault, reason)
    assert words in why.message


def test_hopeless_trouble_waits_ten_seconds_for_what_comes_with_the_pod() -> None:
    stuck = pods("a", ready=False, state={"waiting": {"reason": "CreateContainerConfigError"}})
    assert proof.hopeless(stuck, NOW + seconds(10)) is None
    why = proof.hopeless(stuck, NOW + seconds(10.1))
    assert why is not None
    assert (why.fault, why.reason) == (Fault.ENVIRONMENT, Reason.ENVIRONMENT_CONFIGURATION)
    assert proof.hopeless(pods("a", ready=False, state=WAITING), NOW + seconds(999)) is None


def test_evidence_shows_failures_first_and_fits_the_crd() -> None:
    asked = "GET :8080/" + "x" * 2000
    many = [replace(tally(f"p{n:02}", PASS), asked=asked) for n in range(40)]
    seen = seen_with(*many, tally("z", FAIL, got="y" * 900), tally("q", NOTHING))
    told = proof.evidence(seen, SESSION)
    assert len(told) == 32
    assert (told[0].pod, told[0].verdict, len(told[0].got)) == ("z", FAIL, 256)
    assert len(told[1].asked) == 256
    assert proof.evidence(seen_with(tally("q", NOTHING)), SESSION)[0].verdict is NOTHING


@pytest.mark.parametrize(
    ("checks", "expected"),
    [
        ([], 5),
        ([check()], 5),
        ([check(failure_threshold=10)], 11),
        ([check(success_threshold=20, period="500ms", timeout="2s")], 12),
    ],
)
def test_an_evidence_period_is_what_a_verdict_takes(checks: list[Any], expected: float) -> None:
    seen = observed(spec=spec(checks=checks))
    assert proof.evidence_period(seen, Stage.GATE) == seconds(expected)


def test_a_deadline_counts_as_it_is_where_it_was_watched() -> None:
    toy = promoted("v1", preview=Preview.NONE).wish("v2").run("Verifying")
    rollout, seen = toy.status.rollout, toy.observe()
    for since in (None, rollout.phase_started_at, rollout.phase_started_at + seconds(2)):
        watched = replace(seen, looking_since=since)
        assert proof.deadline(watched, rollout, Stage.GATE) == rollout.deadline
    late = replace(seen, looking_since=rollout.deadline + seconds(100))
    assert proof.deadline(late, rollout, Stage.GATE) == rollout.deadline + seconds(105)
    assert proof.deadline(late, rollout, Stage.GATE, 30) == rollout.deadline + seconds(135)
    endless = rollout.model_copy(update={"deadline": None})
    assert proof.deadline(late, endless, Stage.GATE) is None


# What was tried


def test_neither_name_nor_bookkeeping_makes_another_attempt() -> None:
    tried = attempt_digest(spec("v1"), world.digest("x"))
    same = [
        spec("v9"),
        spec(revision_history_limit=3),
        spec(suspend=True),
        spec(checks=[check(timeout="1s", period="1s")]),
    ]
    assert {attempt_digest(s, world.digest("x")) for s in same} == {tried}


def test_a_changed_copy_is_another_attempt_than_what_was_told_before() -> None:
    before = spec("v1")
    tried = attempt_digest(before, world.digest("x"))
    changed = before.model_copy(update={"on_failure": OnFailure.HOLD})
    assert attempt_digest(changed, world.digest("x")) != tried
    assert attempt_digest(changed.model_copy(), world.digest("x")) != tried
    assert attempt_digest(before, world.digest("x")) == tried


def test_an_attempt_keeps_the_digest_that_is_in_the_quarantine_of_former_versions() -> None:
    tried = {
        "v": 1,
        "digest": "sha256:00",
        "onFailure": "Revert",
        "target": {"workloads": [{"kind": "Deployment", "name": "triage"}]},
        "verification": {
            "checks": [{"name": "answers", "http": {"port": 8080, "path": "/run"}}],
            "window": "10s",
        },
    }
    assert attempt_digest(spec("v1"), "sha256:00") == fingerprint(tried)


@pytest.mark.parametrize(
    "other",
    [
        spec(checks=[]),
        spec(checks=[check(failure_threshold=4)]),
        spec(checks=[check(http={"port": 8080, "path": "/other"})]),
        spec(window="5m"),
        spec(preview=Preview.NONE),
        spec(on_inconclusive=OnInconclusive.REVERT),
        spec(on_failure=OnFailure.HOLD),
        spec(mount_path="/etc/belay/there"),
        spec(workloads=("other",)),
    ],
)
def test_whatever_bears_on_the_proof_makes_another_attempt(other: WorkflowSpec) -> None:
    assert attempt_digest(other, world.digest("x")) != attempt_digest(spec(), world.digest("x"))


def test_other_content_is_another_attempt() -> None:
    assert attempt_digest(spec(), world.digest("x")) != attempt_digest(spec(), world.digest("y"))


def test_a_command_runs_in_the_container_that_it_names() -> None:
    there = read_pod(pod("a"), "app")
    aside = other(exec={"command": ["x"], "container": "side"})
    asked = [asking.container_of(c, there) for c in (aside, COMMAND, BY_JOB, check())]
    assert asked == ["side", "app", "app", "app"]
