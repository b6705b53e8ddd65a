"""The resources that Belay talks to: where they are in the API."""

from dataclasses import dataclass
from typing import Any, Final

from belay.api.names import GROUP, VERSION

Object = dict[str, Any]
"""One object as it is in the API."""
Objects = list[Object]


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object in the API."""

    group: str
    version: str
    plural: str
    kind: str

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None, name: str | None = None, sub: str | None = None) -> str:
        """URL path; `namespace` is None for all namespaces or a cluster-scoped kind."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        scope = f"/namespaces/{namespace}" if namespace else ""
        tail = "".join(f"/{part}" for part in (name, sub) if part)
        return f"{root}{scope}/{self.plural}{tail}"


WORKFLOWS: Final = Resource(GROUP, VERSION, "workflows", "Workflow")
REVISIONS: Final = Resource(GROUP, VERSION, "workflowrevisions", "WorkflowRevision")
DEPLOYMENTS: Final = Resource("apps", "v1", "deployments", "Deployment")
STATEFUL_SETS: Final = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SETS: Final = Resource("apps", "v1", "daemonsets", "DaemonSet")
ARGO_ROLLOUTS: Final = Resource("argoproj.io", "v1alpha1", "rollouts", "Rollout")
REPLICA_SETS: Final = Resource("apps", "v1", "replicasets", "ReplicaSet")
CONTROLLER_REVISIONS: Final = Resource("apps", "v1", "controllerrevisions", "ControllerRevision")
JOBS: Final = Resource("batch", "v1", "jobs", "Job")
PODS: Final = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
SECRETS: Final = Resource("", "v1", "secrets", "Secret")
SERVICES: Final = Resource("", "v1", "services", "Service")
CORE_EVENTS: Final = Resource("", "v1", "events", "Event")
EVENTS: Final = Resource("events.k8s.io", "v1", "events", "Event")
ENDPOINT_SLICES: Final = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
NODES: Final = Resource("", "v1", "nodes", "Node")
CRON_JOBS: Final = Resource("batch", "v1", "cronjobs", "CronJob")
ACCESS_REVIEWS: Final = Resource(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview"
)
LEASES: Final = Resource("coordination.k8s.io", "v1", "leases", "Lease")

WORKLOADS: Final = {
    (resource.api_version, resource.kind): resource
    for resource in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS, ARGO_ROLLOUTS)
}
"""Resource of each kind that a revision can be delivered to."""
HISTORIES: Final = {resource.kind: resource for resource in (REPLICA_SETS, CONTROLLER_REVISIONS)}
"""Resource of each kind that keeps templates of workloads."""
