"""How tools other than Belay read conditions, by the rules of those tools.

`compute` follows sigs.k8s.io/cli-utils/pkg/kstatus for a kind that it has no rules of its own for:
Flux, kpt and Helm wait by it. `awaited` follows `kubectl wait --for=condition=...`.
"""

from enum import StrEnum
from typing import Any

Object = dict[str, Any]


class Kstatus(StrEnum):
    """What kstatus says of an object."""

    IN_PROGRESS = "InProgress"
    FAILED = "Failed"
    CURRENT = "Current"
    TERMINATING = "Terminating"


def compute(obj: Object) -> Kstatus:
    """The first rule that decides; an object that no rule speaks of is Current."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    if metadata.get("deletionTimestamp"):
        return Kstatus.TERMINATING
    generation, observed = metadata.get("generation"), status.get("observedGeneration")
    if None not in (generation, observed) and observed != generation:
        return Kstatus.IN_PROGRESS
    conditions = status.get("conditions") or []
    for condition in conditions:
        match condition["type"], condition["status"]:
            case "Reconciling", "True":
                return Kstatus.IN_PROGRESS
            case "Stalled", "True":
                return Kstatus.FAILED
            case _:
                pass
    ready = next((c["status"] for c in conditions if c["type"] == "Ready"), "True")
    return Kstatus.CURRENT if ready == "True" else Kstatus.IN_PROGRESS


def awaited(obj: Object, kind: str, status: str = "True") -> bool:
    """Whether `kubectl wait` ends: the condition is so, and not that of an older generation."""
    for condition in (obj.get("status") or {}).get("conditions") or []:
        if condition["type"].lower() == kind.lower():
            observed = condition.get("observedGeneration")
            if observed is not None and observed < obj["metadata"]["generation"]:
                return False
            return bool(condition["status"].lower() == status.lower())
    return False
