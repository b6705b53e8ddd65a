"""Drift of single pods: one that was told to use another content by somebody else.

The ConfigMap that new pods read is right; so it is set right in the pod, without a rollout.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from belay.api.status import WorkflowStatus
from belay.api.words import ConditionType, Outcome, Reason
from belay.core import conditions
from belay.core.conditions import Say
from belay.core.decision import Decision
from belay.core.engine.view import EnginePod
from belay.core.milestones import Milestone
from belay.core.observed import Observed
from belay.core.phases import pushing

LOOK: Final = timedelta(seconds=15)
"""Between two looks at what each pod of an engine uses."""


def looked_at(seen: Observed) -> bool:
    """Whether pods are asked at rest."""
    promoted = seen.status.phase in (Outcome.PROMOTED, Outcome.REVERTED)
    return promoted and seen.spec.reloads and seen.status.active is not None


def at_rest(seen: Observed, now: datetime) -> Decision | None:
    """First it is told, then set right; None where every pod uses what it should."""
    active = seen.status.active
    if active is None or not looked_at(seen):
        return None
    strays = pushing.behind(seen, active)
    if not strays:
        return None
    status = _told(seen, now, strays)
    if status != seen.status:
        message = next(c.message for c in status.conditions if c.type is ConditionType.DRIFTED)
        occasion = f"d{now:%Y%m%d%H%M%S}"
        milestone = Milestone(occasion, Reason.DRIFTED, message, now, True, "Drift")
        return Decision(milestones=(milestone,), status=status, again=True)
    told = pushing.validation(seen, active) or pushing.activation(seen, active)
    if seen.failure is not None or told is None:
        return Decision(requeue=LOOK)
    return Decision((told,), again=True)


def _told(seen: Observed, now: datetime, strays: tuple[EnginePod, ...]) -> WorkflowStatus:
    active = seen.status.active
    assert active is not None  # noqa: S101
    names = ", ".join(p.name for p in strays[:3])
    other = (strays[0].active or "nothing")[:15]
    message = (
        f"{len(strays)} of {len(seen.engine.heard if seen.engine else ())} pods use another "
        f"content for new runs ({names}: {other}), and {active.revision} should run. It is set "
        "right there; find out who calls the engine's admin port"
    )
    told = Say("True", Reason.DRIFTED, message)
    before = seen.status.conditions
    says: dict[ConditionType, Say | None] = {
        ConditionType.DRIFTED: told,
        ConditionType.SERVING: replace(told, status="False"),
    }
    if seen.status.phase == Outcome.PROMOTED:
        says |= {
            ConditionType.READY: replace(told, status="Unknown"),
            ConditionType.ACTIVE: replace(told, status="False"),
            ConditionType.RECONCILING: told,
        }
    amended = conditions.amended(before, says, now, seen.generation)
    return seen.status.model_copy(update={"conditions": amended})
