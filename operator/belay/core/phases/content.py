"""The delivered content: there before anything mounts it."""

from datetime import datetime

from belay.api.status import Rollout
from belay.api.words import Reason
from belay.core import ending, moves
from belay.core.decision import Decision, EnsureConfigMap
from belay.core.delivery import Delivery, config_map
from belay.core.observed import Observed, Refusal, RevisionView
from belay.core.proof import Fault, Why


def missing_content(
    seen: Observed, now: datetime, rollout: Rollout, delivery: Delivery
) -> Decision | None:
    """The step that puts the ConfigMap in place for all targets; None when it is there."""
    there = seen.config_maps.get(delivery.config_map)
    if there is not None and not there.intact:
        message = (
            f"ConfigMap {delivery.config_map} holds other content than its name says; "
            "somebody made or changed it: delete it and try again"
        )
        why = Why(Fault.ENVIRONMENT, Reason.ENVIRONMENT_CONFIGURATION, message)
        return ending.unproven(seen, now, rollout, why)
    owners = {w.uid for w in seen.workloads if w.found}
    if there is not None and owners <= there.owners:
        return None
    if there is not None:
        body = config_map(delivery, None, list(seen.workloads))
        body["metadata"]["uid"] = there.uid
        action = EnsureConfigMap(body)
        return moves.stay(seen, now, rollout, action, until=rollout.deadline, again=True)
    source = source_of(seen, delivery)
    if source is None:
        message = (
            f"WorkflowRevision {seen.key.name}-{delivery.ref.revision} with the content "
            f"{delivery.ref.content_digest[:15]} is gone, and its ConfigMap too"
        )
        why = Why(Fault.ENVIRONMENT, Reason.REVISION_NOT_FOUND, message)
        return ending.unproven(seen, now, rollout, why)
    body = config_map(delivery, source.content, list(seen.workloads))
    return moves.stay(seen, now, rollout, EnsureConfigMap(body), until=rollout.deadline, again=True)


def source_of(seen: Observed, delivery: Delivery) -> RevisionView | None:
    """A revision that was read and has exactly these bytes."""
    for view in (seen.revision, seen.fallback):
        if (
            isinstance(view, RevisionView)
            and view.spec.content_digest == delivery.ref.content_digest
        ):
            return view
    return None


def refused(failure: Refusal) -> Why:
    """What the server said to an action, as a reason to give up."""
    return Why(Fault.ENVIRONMENT, failure.reason, failure.message)
