"""How a content reaches the workloads: the one place that chooses the kind of write."""

from collections.abc import Sequence

from belay.core.decision import Action, DeleteConfigMap, WritePointer, WriteTemplate
from belay.core.delivery import Delivery, pointer_map
from belay.core.observed import Observed
from belay.core.template_write import deliver, withdraw
from belay.core.workloads import WorkloadView


def deliveries(
    seen: Observed, delivery: Delivery, workloads: Sequence[WorkloadView], content: str
) -> list[WriteTemplate | WritePointer]:
    """What brings a content to these workloads: each template, and one pointer for all others."""
    rolling = [w for w in workloads if not w.in_place]
    writes: list[WriteTemplate | WritePointer] = [deliver(w, delivery) for w in rolling]
    if len(rolling) < len(workloads):
        watching = [w for w in seen.workloads if w.in_place]
        there = next((w.pointer for w in watching if w.pointer is not None), None)
        body = pointer_map(delivery, content, watching, there)
        writes.append(WritePointer(body, force=there is not None and there.edited))
    return writes


def withdrawals(seen: Observed) -> list[Action]:
    """What gives the workloads back what they had: their own templates, and no pointer."""
    rolling = [w for w in seen.workloads if w.carried is not None and not w.in_place]
    pointers = {w.pointer.name: w.pointer for w in seen.workloads if w.pointer and w.pointer.ours}
    return [
        *(withdraw(w, seen.key.namespace) for w in rolling),
        *(DeleteConfigMap(p.name, p.uid) for p in pointers.values()),
    ]
