"""What checks and kubelet say of a set of pods: the verdict on one stage."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from belay.api.check import Check
from belay.api.duration import spoken
from belay.api.status import Evidence, Rollout
from belay.api.words import ConditionType, Phase, Reason, Stage, Verdict
from belay.core import conditions
from belay.core.evidence import asking, reports
from belay.core.evidence.probe import BASELINE, Answer, Probe, ProbePlan, Tally, Tried
from belay.core.evidence.reports import REPORT
from belay.core.observed import Observed
from belay.core.pods import CRASH_LOOP_RESTARTS, Pod
from belay.core.workloads import WorkloadView

MOST_EVIDENCE: Final = 32
MOST_TEXT: Final = 256
"""Characters of what was asked and of what came; paths may be longer."""
_LEAST_EVIDENCE_SECONDS: Final = 5.0
_SETTLING: Final = timedelta(seconds=10)
"""How long a Secret or an image may take to appear after the pod that names it."""
_WATCHED_FROM_THE_START: Final = timedelta(seconds=2)


class Fault(StrEnum):
    """Whose fault a failure is."""

    REVISION = "Revision"
    ENVIRONMENT = "Environment"
    UNKNOWN = "Unknown"
    """No verdict: Inconclusive."""
    PERSON = "Person"
    """Somebody asked to stop."""


@dataclass(frozen=True, slots=True)
class Why:
    """Why a revision is not proven."""

    fault: Fault
    reason: Reason
    message: str
    """One clause for people, without the revision's name and without a full stop."""
    check: str = ""


def checks_at(seen: Observed, stage: Stage) -> list[Check]:
    return [c for c in seen.spec.verification.checks if stage in c.stages()]


def unheard(seen: Observed, stage: Stage) -> bool:
    """Whether checks or reports are to decide, and probing is suspended."""
    asked = bool(checks_at(seen, stage)) or any(w.in_place for w in seen.workloads)
    return seen.lost_contact is not None and asked


def answering_pods(seen: Observed, check: Check, workloads: Iterable[WorkloadView]) -> list[Pod]:
    """New pods that a check is asked of: those that declare its port, or are behind its Service."""
    pods = (p for w in workloads for p in w.pods)
    return [p for p in pods if asking.is_asked_of(seen, check, p)]


def plan(
    seen: Observed, stage: Stage, session: str, pods: Sequence[Pod] | None = None
) -> ProbePlan:
    """All probes of a stage: of the given pods, or of each check's own.

    A pod that was never ready is not asked yet; its start is judged by kubelet's view. One that
    has to report the wanted content is asked for that first, and the rest only while it does.
    """
    known = {t.pod_uid for t in seen.tallies if seen.session == session and t.check != REPORT}
    asked = reports.plan(seen, stage, session) if pods is None else []
    reporting = {p.uid for p in reports.pods(seen)} if session != BASELINE else set()
    tried = _tried(seen)
    probes = [
        _probe(seen, check, stage, pod, tried=tried, reported=pod.uid in reporting)
        for check in checks_at(seen, stage)
        for pod in (answering_pods(seen, check, seen.workloads) if pods is None else pods)
        if pod.ready or pod.uid in known
    ]
    ready = conditions.find(seen.status.conditions, ConditionType.READY)
    held = ready is not None and ready.reason == Reason.PROBING_SUSPENDED
    heard = held or stage is Stage.OBSERVATION
    return ProbePlan(session, (*asked, *probes), heard=heard)


def failing(seen: Observed, stage: Stage, session: str, pods: Sequence[Pod]) -> Why | None:
    """A failure that is certain already: a streak of wrong answers, or a crash loop."""
    return crash_loop(_suspects(seen, pods)) or wrong_answers(seen, stage, session, pods)


def crash_loop(pods: Iterable[Pod]) -> Why | None:
    for pod in pods:
        looping = pod.crash_looping()
        if looping is not None:
            return Why(
                Fault.REVISION,
                Reason.CRASH_LOOP,
                f"container {looping} of pod {pod.name} restarted {pod.restarts[looping]} times"
                + (f", last with {pod.last_exit}" if pod.last_exit else ""),
            )
    return None


def _suspects(seen: Observed, pods: Sequence[Pod]) -> list[Pod]:
    """Pods whose restarts are this rollout's: those that were there before may have old ones."""
    rollout = seen.status.rollout
    before = {(t.kind, t.name): t.restarts for t in rollout.targets} if rollout else {}
    cleared: set[str] = set()
    for workload in (w for w in seen.workloads if w.in_place):
        restarts = sum(p.total_restarts for p in workload.pods)
        since = restarts - before.get((workload.kind.kind, workload.name), 0)
        cleared |= {p.uid for p in workload.pods if p.ready or since < CRASH_LOOP_RESTARTS}
    return [p for p in pods if p.uid not in cleared]


def wrong_answers(seen: Observed, stage: Stage, session: str, pods: Sequence[Pod]) -> Why | None:
    """A streak of wrong answers that reached its check's threshold."""
    if seen.lost_contact is not None:
        return None
    for check in checks_at(seen, stage):
        for tally in _tallies(seen, check, session, pods):
            if tally.fails >= check.failure_threshold:
                where = "in its preview pod" if stage is Stage.PREVIEW else f"in pod {tally.pod}"
                return Why(
                    Fault.REVISION, Reason.CHECK_FAILED, f"{_told(tally)}, {where}", check.name
                )
    return None


def passed(seen: Observed, stage: Stage, session: str, pods: Sequence[Pod] | None = None) -> bool:
    """Whether every check of the stage passed often enough on every pod that it is asked of."""
    if unheard(seen, stage):
        return False
    for check in checks_at(seen, stage):
        asked = answering_pods(seen, check, seen.workloads) if pods is None else pods
        by_pod = {t.pod_uid: t for t in _tallies(seen, check, session, asked)}
        if not asked or any(
            p.uid not in by_pod or by_pod[p.uid].passes < check.success_threshold for p in asked
        ):
            return False
    return True


def passed_over_time(seen: Observed, session: str) -> bool:
    """End of the window: a Pass for each check, and no streak of wrong answers going on."""
    if unheard(seen, Stage.OBSERVATION):
        return False
    pods = [p for w in seen.workloads for p in w.pods]
    for check in checks_at(seen, Stage.OBSERVATION):
        tallies = _tallies(seen, check, session, pods)
        if not any(t.passed_ever for t in tallies) or any(t.fails for t in tallies):
            return False
    return True


def undecided(seen: Observed, stage: Stage, session: str, pods: Sequence[Pod], took: float) -> Why:
    """What to say when a deadline passed without a verdict; `took` is in seconds."""
    if not pods:
        message = f"there is no pod of it to ask after {spoken(took)}: the target has no replicas"
        return Why(Fault.UNKNOWN, Reason.NO_PODS, message)
    unready = [p for p in pods if not p.ready]
    tallies = [t for c in checks_at(seen, stage) for t in _tallies(seen, c, session, pods)]
    dialled = {c.name for c in checks_at(seen, stage) if c.port is not None}
    silent = next(
        (t for t in tallies if t.check in dialled and t.last and t.last.answer is Answer.NONE), None
    )
    if silent is not None:
        answered = silent.passed_ever or silent.fails > 0
        counted = "the last" if answered else f"{silent.tries} of {silent.tries}"
        tries = "try" if answered else "tries"
        message = (
            f"no verdict within {spoken(took)}: {counted} {tries} of "
            f'check "{silent.check}" to reach {silent.asked} found no answer'
        )
        if not unready:
            message += ", while kubelet calls the pods ready; a NetworkPolicy or mTLS between"
            message += " Belay and this namespace may be in the way"
        return Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, message, silent.check)
    stuck = next((t for t in tallies if t.last_verdict is Verdict.INCONCLUSIVE), None)
    problem = next((s.problem for s in seen.services.values() if s.problem), None)
    if stuck is not None and stuck.last is not None:
        detail = f'check "{stuck.check}": {stuck.last.got}'
    elif problem is not None:
        detail = problem
    else:
        detail = f"{len(pods) - len(unready)} of {len(pods)} pods ready"
    return Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, f"no verdict within {spoken(took)}: {detail}")


def late(pods: Sequence[Pod], trouble: Why | None, took: float) -> Why:
    """What to say of pods that are not ready at the deadline; `took` is in seconds."""
    if trouble is not None:
        return trouble
    for pod in pods:
        if pod.trouble is not None:
            return Why(
                Fault.ENVIRONMENT, pod.trouble.reason, f"pod {pod.name}: {pod.trouble.message}"
            )
    unready = [p for p in pods if not p.ready]
    if unready and all(p.running for p in unready):
        names = unready[0].name + (f" and {len(unready) - 1} more" if len(unready) > 1 else "")
        return Why(
            Fault.REVISION,
            Reason.NOT_READY,
            f"pod {names} runs but is not ready after {spoken(took)}",
        )
    if unready:
        message = f"pod {unready[0].name} did not start within {spoken(took)}"
        return Why(Fault.ENVIRONMENT, Reason.ENVIRONMENT_SCHEDULING, message)
    return Why(
        Fault.UNKNOWN, Reason.INCONCLUSIVE, f"the update was not complete after {spoken(took)}"
    )


def hopeless(pods: Sequence[Pod], now: datetime) -> Why | None:
    """Environment trouble that patience does not heal; what a pod needs may come with it."""
    for pod in pods:
        trouble = pod.trouble
        if trouble is not None and trouble.hopeless and now - pod.created > _SETTLING:
            return Why(Fault.ENVIRONMENT, trouble.reason, f"pod {pod.name}: {trouble.message}")
    return None


def evidence(seen: Observed, session: str) -> list[Evidence]:
    """The tallies of a session, for the record; failures first."""
    if seen.session != session:
        return []
    order = sorted(seen.tallies, key=lambda t: (t.fails == 0, t.check, t.pod))
    return [_evidence(t) for t in order[:MOST_EVIDENCE]]


def evidence_period(seen: Observed, stage: Stage) -> timedelta:
    """How long it takes the checks of a stage to come to a verdict from nothing."""
    needed = [
        max(c.failure_threshold, c.success_threshold) * c.every + c.limit
        for c in checks_at(seen, stage)
    ]
    return timedelta(seconds=max([_LEAST_EVIDENCE_SECONDS, *needed]))


def deadline(
    seen: Observed, rollout: Rollout, stage: Stage, start_seconds: float = 0.0
) -> datetime | None:
    """When a phase is over; None while it may not end for want of contact.

    A deadline that passed unwatched grants one fresh evidence period.

    `start_seconds` more are granted where pods have to start first.
    """
    hangs = {Phase.PREVIEWING, Phase.VERIFYING}
    if any(w.in_place for w in seen.workloads):
        hangs.add(Phase.DELIVERING)
    if unheard(seen, stage) and rollout.phase in hangs:
        return None
    if rollout.deadline is None or seen.looking_since is None:
        return rollout.deadline
    if seen.looking_since <= rollout.phase_started_at + _WATCHED_FROM_THE_START:
        return rollout.deadline
    grace = evidence_period(seen, stage) + timedelta(seconds=start_seconds)
    return max(rollout.deadline, seen.looking_since + grace)


def _probe(seen: Observed, check: Check, stage: Stage, pod: Pod, **more: Any) -> Probe:
    return Probe(
        check=check,
        stage=stage,
        namespace=seen.key.namespace,
        pod=pod.name,
        pod_uid=pod.uid,
        address=pod.address,
        hosts=pod.hosts,
        host_network=pod.host_network,
        port=asking.port_of(seen, check, pod),
        ready=pod.ready,
        container=asking.container_of(check, pod),
        **more,
    )


def _tried(seen: Observed) -> Tried | None:
    """What the pods run that are asked just now."""
    rollout, ref = seen.status.rollout, reports.wanted(seen)
    if rollout is None or ref is None:
        return None
    return Tried(seen.key.name, seen.uid, rollout.id, ref.revision, ref.content_digest)


def _tallies(seen: Observed, check: Check, session: str, pods: Iterable[Pod]) -> list[Tally]:
    if seen.session != session:
        return []
    uids = {p.uid for p in pods} - {p.uid for p in reports.missing(seen, session)}
    return [t for t in seen.tallies if t.check == check.name and t.pod_uid in uids]


def _told(tally: Tally) -> str:
    got = tally.last.got if tally.last else "nothing"
    took = 0.0
    if tally.last and tally.failing_since:
        took = (tally.last.at - tally.failing_since).total_seconds()
    return (
        f'check "{tally.check}" got {got} from {tally.asked} '
        f"on {tally.fails} of {tally.fails} tries in {spoken(took)}"
    )


def _evidence(tally: Tally) -> Evidence:
    failed = tally.fails > 0
    return Evidence(
        check=tally.check,
        stage=tally.stage,
        pod=tally.pod,
        verdict=Verdict.FAIL if failed else Verdict.PASS if tally.passes else Verdict.INCONCLUSIVE,
        asked=tally.asked[:MOST_TEXT],
        got=tally.last.got[:MOST_TEXT] if tally.last else "",
        passes=tally.passes,
        fails=tally.fails,
        tries=tally.tries,
        first_at=tally.first_at,
        last_at=tally.last.at if tally.last else None,
    )
