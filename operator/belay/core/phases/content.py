"""The delivered content: there before anything mounts it."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Reason
from belay.core import ending, moves
from belay.core.decision import Decision, EnsureConfigMap
from belay.core.delivery import Delivery, config_map
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed, Refusal, RevisionView


def missing_content(
    seen: Observed, now: datetime, rollout: Rollout, delivery: Delivery
) -> Decision | None:
    """The step that puts the ConfigMap in place for all targets; None when it is there."""
    step = ensured(seen, delivery)
    if step is None:
        return None
    if isinstance(step, Refusal):
        return ending.unproven(seen, now, rollout, refused(step))
    return moves.stay(seen, now, rollout, step, until=rollout.deadline, again=True)


def ensured(seen: Observed, delivery: Delivery) -> EnsureConfigMap | Refusal | None:
    """What it takes to have the ConfigMap, owned by every target; None when all is there."""
    there = seen.config_maps.get(delivery.config_map)
    if there is None:
        source = _source(seen, delivery)
        if source is None:
            message = (
                f"WorkflowRevision {seen.key.name}-{delivery.ref.revision} with the content "
                f"{delivery.ref.content_digest[:15]} is gone, and its ConfigMap too"
            )
            return Refusal(Reason.REVISION_NOT_FOUND, message)
        return EnsureConfigMap(config_map(delivery, source.content, list(seen.workloads)))
    if there.content is None:
        message = (
            f"ConfigMap {delivery.config_map} holds other content than its name says; "
            "somebody made or changed it: delete it and try again"
        )
        return Refusal(Reason.ENVIRONMENT_CONFIGURATION, message)
    if {w.uid for w in seen.workloads if w.found} <= there.owners:
        return None
    body = config_map(delivery, there.content, list(seen.workloads))
    body["metadata"]["uid"] = there.uid
    return EnsureConfigMap(body)


def refused(failure: Refusal) -> Why:
    """What the server, or an engine, said to an action, as a reason to give up."""
    mine = failure.reason is Reason.REVISION_REJECTED
    fault = Fault.REVISION if mine else Fault.ENVIRONMENT
    return Why(fault, failure.reason, failure.message)


def is_passing(failure: Refusal) -> bool:
    """Whether it is tried again, within the deadline of the phase."""
    return failure.passing or failure.reason is Reason.ENGINE_UNREACHABLE


def _source(seen: Observed, delivery: Delivery) -> RevisionView | None:
    """A revision that was read and has exactly these bytes."""
    for view in (seen.revision, seen.fallback):
        if (
            isinstance(view, RevisionView)
            and view.spec.content_digest == delivery.ref.content_digest
        ):
            return view
    return None
