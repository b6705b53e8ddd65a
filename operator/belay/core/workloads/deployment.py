"""Deployment (apps/v1).

Completion as `kubectl rollout status` tells it: kubectl pkg/polymorphichelpers/rollout_status.go.
"""

from typing import Final

from belay.api.words import Reason
from belay.core.pods import Trouble
from belay.core.workloads.base import Completion, Kind, Raw

REVISION_ANNOTATION: Final = "deployment.kubernetes.io/revision"


def template(raw: Raw) -> Raw:
    found: Raw = raw["spec"]["template"]
    return found


def completion(raw: Raw) -> Completion:
    status = raw.get("status") or {}
    replicas = raw["spec"].get("replicas")
    desired = 1 if replicas is None else int(replicas)
    updated = int(status.get("updatedReplicas") or 0)
    available = int(status.get("availableReplicas") or 0)
    seen = int(status.get("observedGeneration") or 0) >= int(raw["metadata"]["generation"])
    total = int(status.get("replicas") or 0)
    done = seen and updated >= desired and total <= updated and available >= updated
    new = max(available - (total - updated), 0)
    return Completion(done, desired, updated, new, _trouble(raw) if seen else None)


def unsupported(raw: Raw) -> str | None:
    if raw["spec"].get("paused"):
        command = f"kubectl rollout resume deployment {raw['metadata']['name']}"
        return f"is paused; its owner runs: {command}"
    return None


def owner_of_new_pods(raw: Raw, replica_sets: list[Raw]) -> str | None:
    """The ReplicaSet with the highest revision number."""
    del raw
    newest = max(replica_sets, key=_revision, default=None)
    return str(newest["metadata"]["uid"]) if newest else None


def _revision(replica_set: Raw) -> int:
    return int((replica_set["metadata"].get("annotations") or {}).get(REVISION_ANNOTATION) or 0)


def _trouble(raw: Raw) -> Trouble | None:
    for condition in (raw.get("status") or {}).get("conditions") or []:
        if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
            message = str(condition.get("message") or condition.get("reason") or "no pods are made")
            quota = "quota" in message
            reason = Reason.ENVIRONMENT_QUOTA if quota else Reason.ENVIRONMENT_FORBIDDEN
            return Trouble(reason, message, hopeless=False)
    return None


DEPLOYMENT: Final = Kind(
    api_version="apps/v1",
    kind="Deployment",
    template=template,
    completion=completion,
    unsupported=unsupported,
    owner_of_new_pods=owner_of_new_pods,
)
