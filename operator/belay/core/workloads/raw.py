"""What is the same in every raw API object of a workload."""

from collections.abc import Iterable, Mapping
from typing import Any

from belay.api.names import MANAGER_DELIVERY, MANAGER_PAUSE

Raw = Mapping[str, Any]


def controller_of(raw: Raw) -> str | None:
    """UID of the object that made this one and cares for it."""
    owners = raw["metadata"].get("ownerReferences") or []
    return next((str(o["uid"]) for o in owners if o.get("controller")), None)


def template(raw: Raw) -> Raw:
    """The pod template of a workload that has it where all built-in kinds have it."""
    found: Raw = raw["spec"]["template"]
    return found


def foreign_entries(raw: Raw) -> list[Raw]:
    """What metadata.managedFields tells of managers other than our delivery."""
    entries = raw["metadata"].get("managedFields") or []
    return [e for e in entries if e.get("manager") != MANAGER_DELIVERY]


def last_manager(entries: Iterable[Raw]) -> str:
    """The manager of the newest of these entries; empty where there is none."""
    newest = max(entries, key=lambda e: str(e.get("time") or ""), default=None)
    return str(newest["manager"]) if newest else ""


def count(status: Raw, field: str) -> int:
    return int(status.get(field) or 0)


def replicas(raw: Raw) -> int:
    wanted = raw["spec"].get("replicas")
    return 1 if wanted is None else int(wanted)


def is_seen(raw: Raw) -> bool:
    """Whether the workload's own controller has looked at its present spec."""
    return count(raw.get("status") or {}, "observedGeneration") >= int(
        raw["metadata"]["generation"]
    )


def is_paused_by_us(raw: Raw) -> bool:
    """Whether we put the label of a pause there, and not somebody who copied an object."""
    entries = raw["metadata"].get("managedFields") or []
    return any(e.get("manager") == MANAGER_PAUSE for e in entries)
