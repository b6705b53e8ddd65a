"""DaemonSet (apps/v1).

Completion as `kubectl rollout status` tells it: kubectl pkg/polymorphichelpers/rollout_status.go.
"""

from typing import Final

from belay.core.workloads.base import Completion, Kind
from belay.core.workloads.history import CONTROLLER_REVISIONS
from belay.core.workloads.raw import Raw, count, is_seen, template


def completion(raw: Raw) -> Completion:
    status = raw.get("status") or {}
    desired = count(status, "desiredNumberScheduled")
    updated = count(status, "updatedNumberScheduled")
    available = count(status, "numberAvailable")
    done = is_seen(raw) and updated >= desired and available >= desired
    new = max(available - (desired - updated), 0)
    return Completion(done, desired, updated, new)


def unsupported(raw: Raw) -> str | None:
    if (raw["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return (
            "has the update strategy OnDelete, where nothing happens until somebody deletes pods: "
            "set spec.updateStrategy.type: RollingUpdate"
        )
    return None


DAEMON_SET: Final = Kind(
    api_version="apps/v1",
    kind="DaemonSet",
    template=template,
    history=CONTROLLER_REVISIONS,
    completion=completion,
    unsupported=unsupported,
    tells_why=False,
)
