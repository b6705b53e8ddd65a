"""Probes: one check asked of one pod, and what the answers add up to."""

import shlex
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from belay.api.check import Check
from belay.api.words import Stage, Verdict


class Answer(StrEnum):
    """What came of one request."""

    RIGHT = "Right"
    WRONG = "Wrong"
    NONE = "None"
    """No answer: refused, timed out, broken off."""
    UNASKED = "Unasked"
    """Could not be asked: no address, no such port, credentials missing, egress refused."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One request and what came of it."""

    answer: Answer
    got: str
    """For people: `500 instead of 200`, `no answer within 1 s`. Nothing of the body."""
    at: datetime


BASELINE: Final = "baseline"
"""Session of what the live pods are asked before anything is touched."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a pod has to say of the content that it runs."""

    pointer: str
    """Where in the answer, as a JSON pointer."""
    wanted: str
    """The contentDigest that is right."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a pod runs that is asked, as a Job is told it."""

    workflow: str
    uid: str
    """Of the Workflow."""
    rollout: str
    revision: str
    content_digest: str


@dataclass(frozen=True, slots=True)
class Probe:
    """One check, asked of one pod again and again."""

    check: Check
    stage: Stage
    namespace: str
    pod: str
    pod_uid: str
    address: str
    """IP address of the pod; empty until it has one."""
    hosts: tuple[str, ...]
    """IP addresses of its node."""
    host_network: bool
    port: int | None
    """Number of the container port to dial; None when the check's port is not declared there."""
    ready: bool
    """kubelet's view of the pod."""
    report: Report | None = None
    """The pod is asked what it runs; the answer is right where it is this content."""
    since: str = ""
    """What makes the pod's earlier answers count no more, such as its restarts."""
    reported: bool = False
    """Asked only while the latest report of the pod is right; what came before is dropped."""
    eager: bool = False
    """Asked at once again after a wrong answer; the pauses grow to the check's period."""
    container: str = ""
    """Container that a command runs in."""
    tried: Tried | None = None

    @property
    def type(self) -> str:
        """What is asked, as metrics tell it."""
        return "report" if self.report is not None else self.check.type

    @property
    def dialled(self) -> bool:
        """Our own network is used, so that what comes of it speaks of that, too."""
        return self.check.port is not None

    @property
    def asked(self) -> str:
        """For people: `POST :8080/run`."""
        http, grpc = self.check.http, self.check.grpc
        if http is not None:
            return f"{http.method} :{self.port or http.port}{http.path}"
        if grpc is not None:
            of = f' "{grpc.service}"' if grpc.service else ""
            return f"gRPC :{self.port or grpc.port} health{of}"
        return asked_inside(self.check, self.container)


def asked_inside(check: Check, container: str) -> str:
    """For people: `exec in app: /bin/check`, `Job from CronJob probe`."""
    if check.exec is not None:
        command = shlex.join(check.exec.command)
        shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in command)
        return f"exec in {container}: {shown[:100]}" + ("…" if len(shown) > 100 else "")
    if check.job is not None:
        return f"Job from CronJob {check.job.from_}"
    return ""


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """All that is to be asked in one phase; a new `session` starts fresh counters."""

    session: str
    """Rollout id, phase and evidence generation, such as `12-1/Verifying/0`."""
    probes: tuple[Probe, ...]
    heard: bool = False
    """By the record its pods answered before: silence from the start is contact that was lost."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What one probe saw so far.

    Counters are of answers in a row; Inconclusive neither counts nor resets.
    """

    check: str
    stage: Stage
    pod: str
    pod_uid: str
    asked: str
    passes: int = 0
    fails: int = 0
    tries: int = 0
    passed_ever: bool = False
    last: Sample | None = None
    last_verdict: Verdict | None = None
    first_at: datetime | None = None
    failing_since: datetime | None = None
    passing_since: datetime | None = None

    def anew(self) -> "Tally":
        """The tally of the same probe without what it saw."""
        return Tally(self.check, self.stage, self.pod, self.pod_uid, self.asked)

    def count(self, sample: Sample, verdict: Verdict) -> "Tally":
        """This tally after one more sample."""
        seen = replace(
            self,
            tries=self.tries + 1,
            last=sample,
            last_verdict=verdict,
            first_at=self.first_at or sample.at,
        )
        match verdict:
            case Verdict.PASS:
                return replace(
                    seen,
                    passes=self.passes + 1,
                    fails=0,
                    passed_ever=True,
                    failing_since=None,
                    passing_since=self.passing_since or sample.at,
                )
            case Verdict.FAIL:
                since = self.failing_since or sample.at
                return replace(
                    seen, passes=0, fails=self.fails + 1, failing_since=since, passing_since=None
                )
            case Verdict.INCONCLUSIVE:
                return seen
            case _:
                assert_never(verdict)


def judge(sample: Sample, *, ready: bool, another_answered: bool) -> Verdict:
    """The verdict on one sample (rule 6).

    A wrong answer is Fail. No answer is Fail only where kubelet calls the pod not ready too, or
    another probe of ours has just succeeded; else our own network may be down.
    """
    match sample.answer:
        case Answer.RIGHT:
            return Verdict.PASS
        case Answer.WRONG:
            return Verdict.FAIL
        case Answer.NONE:
            return Verdict.FAIL if another_answered or not ready else Verdict.INCONCLUSIVE
        case Answer.UNASKED:
            return Verdict.INCONCLUSIVE
        case _:
            assert_never(sample.answer)
