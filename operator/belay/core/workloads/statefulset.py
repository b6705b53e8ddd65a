"""StatefulSet (apps/v1).

Completion as `kubectl rollout status` tells it (kubectl pkg/polymorphichelpers/rollout_status.go),
but counting updated pods: on the way back to the current revision kubectl calls it complete while
pods of the other revision are ready.
"""

from typing import Final

from belay.core.workloads.base import Completion, Kind
from belay.core.workloads.history import CONTROLLER_REVISIONS
from belay.core.workloads.raw import Raw, count, is_seen, replicas, template


def completion(raw: Raw) -> Completion:
    status = raw.get("status") or {}
    desired, seen = replicas(raw), is_seen(raw)
    updated = count(status, "updatedReplicas")
    available = count(status, "availableReplicas")
    total = count(status, "replicas")
    one_revision = status.get("currentRevision") == status.get("updateRevision")
    counted = updated >= desired and total <= updated and available >= updated
    new = max(available - (total - updated), 0)
    return Completion(seen and one_revision and counted, desired, updated, new)


def unsupported(raw: Raw) -> str | None:
    strategy = raw["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return (
            "has the update strategy OnDelete, where nothing happens until somebody deletes pods: "
            "set spec.updateStrategy.type: RollingUpdate"
        )
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    if partition > 0:
        return (
            f"keeps the pods below ordinal {partition} from every update: "
            "set spec.updateStrategy.rollingUpdate.partition: 0"
        )
    return None


def no_preview(raw: Raw) -> str | None:
    claimed = {c["metadata"]["name"] for c in raw["spec"].get("volumeClaimTemplates") or []}
    spec = template(raw)["spec"]
    for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
        for mount in container.get("volumeMounts") or []:
            if mount["name"] in claimed:
                return (
                    f"each of its pods mounts a claim of its own, of the volumeClaimTemplate "
                    f"{mount['name']}, and a preview pod has none"
                )
    return None


def waits(raw: Raw) -> bool:
    """OrderedReady, the default: one pod after the other (kubernetes/kubernetes#67250)."""
    return bool(raw["spec"].get("podManagementPolicy") != "Parallel")


STATEFUL_SET: Final = Kind(
    api_version="apps/v1",
    kind="StatefulSet",
    template=template,
    history=CONTROLLER_REVISIONS,
    completion=completion,
    unsupported=unsupported,
    tells_why=False,
    no_preview=no_preview,
    waits=waits,
)
