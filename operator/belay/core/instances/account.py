"""What became of instances: counts for the status."""

from collections import Counter

from belay.api.instances import AfterRevert, Afterwards, InstanceCounts
from belay.api.status import Rollout
from belay.api.words import Outcome
from belay.core.instances.record import fate
from belay.core.instances.view import Instances, InstanceView
from belay.core.observed import Observed

_FATES = ("resumed", "restarted", "cancelled", "contested", "not_resumed")


def before(instances: Instances | None) -> InstanceCounts | None:
    """The counts of a rollout that begins."""
    return None if instances is None else InstanceCounts(found=len(instances.running))


def paused(seen: Instances, known: InstanceCounts | None) -> InstanceCounts:
    """The counts at the end of Pausing; what was let go in the same rollout before stays."""
    update = {
        "found": len(seen.running),
        "pinned": len(seen.pinned),
        "already_suspended": len(seen.already_suspended),
        "paused": len(seen.paused),
        "contested": len(seen.contested),
        "not_paused": len(seen.pending) + len(seen.to_pause),
    }
    return (known or InstanceCounts()).model_copy(update=update)


def untold(known: InstanceCounts | None) -> InstanceCounts | None:
    """The counts when a resuming begins: what becomes of instances is told anew."""
    if known is None:
        return None
    return known.model_copy(update=dict.fromkeys(_FATES, 0))


def is_told(known: InstanceCounts | None) -> bool:
    """Whether the account of this resuming is written already."""
    return known is not None and any(getattr(known, fate) for fate in _FATES)


def let_go(
    held: tuple[InstanceView, ...],
    cancelled: frozenset[str],
    known: InstanceCounts | None,
    *,
    hidden: bool,
) -> InstanceCounts:
    """The counts as they are once all of these are let go; `hidden` where others may be held."""
    known = known or InstanceCounts()
    update = dict(Counter(fate(i, i.uid in cancelled) for i in held))
    if hidden:
        update["not_resumed"] = max(0, known.paused - len(held))
    return known.model_copy(update=update)


def left(
    held: tuple[InstanceView, ...], known: InstanceCounts | None, *, hidden: bool
) -> InstanceCounts | None:
    """The counts where these could not be let go in time; `hidden` as for `let_go`."""
    if known is None or (hidden and is_told(known)):
        return known
    if hidden:
        return known.model_copy(update={"not_resumed": max(known.paused, len(held))})
    if not held:
        late = {"resumed": known.resumed + known.not_resumed, "not_resumed": 0}
        return known.model_copy(update=late)
    held = tuple(i for i in held if i.suspended)
    anew = min(known.restarted, sum(i.kind.restarts for i in held))
    others = min(known.resumed, len(held) - anew)
    update = {
        "not_resumed": len(held),
        "restarted": known.restarted - anew,
        "resumed": known.resumed - others,
    }
    return known.model_copy(update=update)


def to_cancel(seen: Observed, rollout: Rollout, held: tuple[InstanceView, ...]) -> frozenset[str]:
    """UIDs of those to be ended: by `afterwards` of a good revision, or by `afterRevert`."""
    spec = seen.spec.instances
    if spec is None:
        return frozenset()
    if rollout.ending is None and rollout.activated_at is not None:
        chosen = [i for i in held if i.afterwards is Afterwards.CANCEL]
    elif rollout.activated_at is not None and rollout.ending is not Outcome.PROMOTED:
        chosen = list(held) if spec.after_revert is AfterRevert.CANCEL else []
    else:
        chosen = []
    return frozenset(i.uid for i in chosen if i.kind.cancel is not None)
