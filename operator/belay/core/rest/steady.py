"""Steady: at rest the checks of the observation go on, and only tell."""

from dataclasses import replace
from datetime import datetime

from belay.api.status import Condition, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Reason, Stage
from belay.core import conditions
from belay.core.evidence import proof
from belay.core.evidence.probe import ProbePlan
from belay.core.observed import Observed


def steady(seen: Observed) -> bool:
    """Whether what was promoted goes on being checked; asked only at rest."""
    return (
        seen.spec.verification.steady is not None
        and seen.status.phase == Outcome.PROMOTED
        and bool(proof.checks_at(seen, Stage.OBSERVATION))
    )


def probes(seen: Observed) -> ProbePlan | None:
    """What is asked at rest, at its own pace; None for all who did not wish for it."""
    how = seen.spec.verification.steady
    if how is None or not steady(seen):
        return None
    plan = proof.plan(seen, Stage.OBSERVATION, _session(seen))
    paced = [
        replace(one, check=one.check.model_copy(update={"period": how.period}))
        for one in plan.probes
    ]
    return replace(plan, probes=tuple(paced))


def noted(seen: Observed, now: datetime) -> WorkflowStatus:
    """The status with the verdict of these checks; the same one unless the verdict is another."""
    serving = conditions.find(seen.status.conditions, ConditionType.SERVING)
    if serving is None or seen.status.phase != Outcome.PROMOTED or seen.status.active is None:
        return seen.status
    name, failed = seen.status.active.revision, serving.reason == Reason.CHECK_FAILED
    if not steady(seen):
        message = f"{name} was proven, and is not checked any more"
        return _told(seen, serving, "True", message, now) if failed else seen.status
    pods = [pod for workload in seen.workloads for pod in workload.pods]
    why = proof.wrong_answers(seen, Stage.OBSERVATION, _session(seen), pods)
    if why is not None and not failed:
        message = (
            f"{name} runs and is active, but {why.message}. Nothing is done about it: to go to "
            "another revision, patch spec.activeRevision"
        )
        return _told(seen, serving, "False", message, now)
    if failed and proof.passed(seen, Stage.OBSERVATION, _session(seen)):
        message = f"{name} passes its checks again since {now:%H:%M:%S}"
        return _told(seen, serving, "True", message, now)
    return seen.status


def _session(seen: Observed) -> str:
    active = seen.status.active
    return f"steady/{active.content_digest if active else ''}"


def _told(
    seen: Observed, serving: Condition, verdict: str, message: str, now: datetime
) -> WorkflowStatus:
    reason = Reason.CHECK_PASSED if verdict == "True" else Reason.CHECK_FAILED
    told = serving.model_copy(
        update={
            "status": verdict,
            "reason": reason,
            "message": message[: conditions.MOST_WORDS],
            "last_transition_time": now.replace(microsecond=0),
        }
    )
    kept = [told if c is serving else c for c in seen.status.conditions]
    return seen.status.model_copy(update={"conditions": kept})
