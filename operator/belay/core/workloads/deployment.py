"""Deployment (apps/v1).

Completion as `kubectl rollout status` tells it: kubectl pkg/polymorphichelpers/rollout_status.go.
"""

from typing import Final

from belay.core.pods import Trouble, no_pods_made
from belay.core.workloads.base import Completion, Kind
from belay.core.workloads.history import replica_sets
from belay.core.workloads.raw import Raw, count, is_seen, replicas, template

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"


def completion(raw: Raw) -> Completion:
    status = raw.get("status") or {}
    desired, seen = replicas(raw), is_seen(raw)
    updated = count(status, "updatedReplicas")
    available = count(status, "availableReplicas")
    total = count(status, "replicas")
    done = seen and updated >= desired and total <= updated and available >= updated
    new = max(available - (total - updated), 0)
    return Completion(done, desired, updated, new, _trouble(raw) if seen else None)


def unsupported(raw: Raw) -> str | None:
    if raw["spec"].get("paused"):
        command = f"kubectl rollout resume deployment {raw['metadata']['name']}"
        return f"is paused; its owner runs: {command}"
    return None


def _trouble(raw: Raw) -> Trouble | None:
    for condition in (raw.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            message = condition.get("message") or condition.get("reason") or "no pods are made"
            return no_pods_made(str(message))
    return None


DEPLOYMENT: Final = Kind(
    api_version="apps/v1",
    kind="Deployment",
    template=template,
    history=replica_sets(REVISION_ANNOTATION),
    completion=completion,
    unsupported=unsupported,
)
