"""What kube-controller-manager does for a Deployment: ReplicaSets, pods, status, garbage."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.scenario.ownership import Entry
from tests.scenario.records import Event, Write
from tests.scenario.shapes import Object, Objects, copied
from tests.scenario.store import Server
from tests.scenario.world.owned import controller, dying, owned, ready
from tests.scenario.world.revisioned import Revisioned

from belay.core.workloads.deployment import REVISION_ANNOTATION
from belay.shell.errors import NotFound
from belay.shell.resources import (
    CONFIG_MAPS,
    CONTROLLER_REVISIONS,
    DEPLOYMENTS,
    PODS,
    REPLICA_SETS,
    WORKFLOWS,
    WORKLOADS,
    Resource,
)

_WRITE = Write(Entry("kube-controller-manager", "Update", ""))
_STATUS = Write(Entry("kube-controller-manager", "Update", "status"))
_HASH = "pod-template-hash"
_OWNERS = (WORKFLOWS, *WORKLOADS.values(), REPLICA_SETS)
_SHARE = 0.25
"""maxSurge and maxUnavailable, as a Deployment has them by default."""


@dataclass(slots=True)
class Controllers:
    """One `step` brings everything nearer to what the Deployments ask for."""

    server: Server
    delay: Callable[[], float]
    revisioned: Revisioned = field(init=False)
    _stepping: bool = False
    _made: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.revisioned = Revisioned(self.server)
        self.server.listeners.append(self._happened)

    def step(self) -> None:
        self._stepping = False
        for deployment in self.server.list(DEPLOYMENTS):
            self._roll(deployment)
        for replica_set in self.server.list(REPLICA_SETS):
            self._fill(replica_set)
        for deployment in self.server.list(DEPLOYMENTS):
            self._report(deployment)
            self._prune(deployment)
        self.revisioned.step()

    def _happened(self, event: Event) -> None:
        resource = event.id[0]
        loop = asyncio.get_running_loop()
        if event.kind == "DELETED" and resource in _OWNERS:
            loop.call_later(self.delay(), self._collect)
        if resource in (*_OWNERS, PODS) and resource != WORKFLOWS and not self._stepping:
            self._stepping = True
            loop.call_later(self.delay(), self.step)

    def _roll(self, deployment: Object) -> None:
        """Scale ReplicaSets as the RollingUpdate strategy does."""
        if deployment["spec"].get("paused"):
            return
        new = self._newest(deployment)
        old = [r for r in owned(self.server, REPLICA_SETS, deployment) if not _same(r, new)]
        desired = int(deployment["spec"]["replicas"])
        surge, missing = math.ceil(desired * _SHARE), math.floor(desired * _SHARE)
        total = sum(_replicas(r) for r in (new, *old))
        room = max(0, desired + surge - total)
        self._scale(new, min(desired, _replicas(new) + room))
        least = desired - missing
        waiting = max(0, _replicas(new) - self._available(new))
        spare = max(0, sum(_replicas(r) for r in (new, *old)) - least - waiting)
        for replica_set in old:
            sick = min(spare, _replicas(replica_set) - self._available(replica_set))
            self._scale(replica_set, _replicas(replica_set) - sick)
            spare -= sick
        healthy = sum(self._available(r) for r in (new, *old))
        spare = max(0, min(spare, healthy - least))
        for replica_set in old:
            cut = min(spare, _replicas(replica_set))
            self._scale(replica_set, _replicas(replica_set) - cut)
            spare -= cut

    def _newest(self, deployment: Object) -> Object:
        """The ReplicaSet of the present template; made, or brought to the front."""
        kept = owned(self.server, REPLICA_SETS, deployment)
        template = deployment["spec"]["template"]
        last = max((_revision(r) for r in kept), default=0)
        found = next((r for r in kept if _without_hash(r["spec"]["template"]) == template), None)
        if found is None:
            return self._make_replica_set(deployment, last + 1)
        if _revision(found) < last:
            found["metadata"]["annotations"][REVISION_ANNOTATION] = str(last + 1)
            found = self._write(REPLICA_SETS, found)
        return found

    def _make_replica_set(self, deployment: Object, revision: int) -> Object:
        name = f"{deployment['metadata']['name']}-r{revision}"
        template = copied(deployment["spec"]["template"])
        template["metadata"]["labels"][_HASH] = f"r{revision}"
        body = {
            "metadata": {
                "name": name,
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION_ANNOTATION: str(revision)},
                "ownerReferences": [controller(DEPLOYMENTS, deployment)],
            },
            "spec": {
                "replicas": 0,
                "selector": deployment["spec"]["selector"],
                "template": template,
            },
        }
        namespace = deployment["metadata"]["namespace"]
        return self.server.create(REPLICA_SETS, namespace, body, _WRITE)

    def _fill(self, replica_set: Object) -> None:
        """As many pods as the ReplicaSet wants; those that are not ready go first."""
        pods = [p for p in owned(self.server, PODS, replica_set) if not dying(p)]
        namespace, name = (replica_set["metadata"][k] for k in ("namespace", "name"))
        for _ in range(_replicas(replica_set) - len(pods)):
            number = self._made[name] = self._made.get(name, 0) + 1
            template = copied(replica_set["spec"]["template"])
            metadata = {
                **template["metadata"],
                "name": f"{name}-{number}",
                "ownerReferences": [controller(REPLICA_SETS, replica_set)],
            }
            body = {"metadata": metadata, "spec": template["spec"]}
            self.server.create(PODS, namespace, body, _WRITE)
        surplus = max(0, len(pods) - _replicas(replica_set))
        for pod in sorted(pods, key=lambda p: (ready(p), -int(p["metadata"]["uid"][4:])))[:surplus]:
            self.server.delete(PODS, namespace, pod["metadata"]["name"])

    def _report(self, deployment: Object) -> None:
        kept = owned(self.server, REPLICA_SETS, deployment)
        new = max(kept, key=_revision, default=None)
        pods = {r["metadata"]["name"]: self._alive(r) for r in kept}
        everyone = [p for of_one in pods.values() for p in of_one]
        updated = pods[new["metadata"]["name"]] if new else []
        available = sum(map(ready, everyone))
        status: Object = {
            "observedGeneration": deployment["metadata"]["generation"],
            "replicas": len(everyone),
            "updatedReplicas": len(updated),
            "readyReplicas": available,
            "availableReplicas": available,
        }
        if deployment.get("status") != status:
            self.server.replace(
                DEPLOYMENTS,
                deployment["metadata"]["namespace"],
                {**deployment, "status": status},
                _STATUS,
            )

    def _prune(self, deployment: Object) -> None:
        """ReplicaSets beyond revisionHistoryLimit go, oldest first, once they have no pods."""
        limit = int(deployment["spec"].get("revisionHistoryLimit", 10))
        kept = sorted(owned(self.server, REPLICA_SETS, deployment), key=_revision)
        for old in kept[: max(0, len(kept) - 1 - limit)]:
            if not _replicas(old) and not owned(self.server, PODS, old):
                self._delete(REPLICA_SETS, old)

    def _collect(self) -> None:
        """Delete what none of its owners is left of."""
        alive = {o["metadata"]["uid"] for r in _OWNERS for o in self.server.view(r)}
        for resource in (REPLICA_SETS, CONTROLLER_REVISIONS, PODS, CONFIG_MAPS):
            for body in self.server.view(resource):
                owners = body["metadata"].get("ownerReferences") or []
                if owners and not any(o["uid"] in alive for o in owners):
                    self._delete(resource, body)

    def _delete(self, resource: Resource, body: Object) -> None:
        try:
            self.server.delete(resource, body["metadata"]["namespace"], body["metadata"]["name"])
        except NotFound:
            return

    def _alive(self, replica_set: Object) -> Objects:
        return [p for p in owned(self.server, PODS, replica_set) if not dying(p)]

    def _available(self, replica_set: Object) -> int:
        return sum(map(ready, self._alive(replica_set)))

    def _scale(self, replica_set: Object, replicas: int) -> None:
        if replicas != _replicas(replica_set):
            replica_set["spec"]["replicas"] = replicas
            replica_set.update(self._write(REPLICA_SETS, replica_set))

    def _write(self, resource: Resource, body: Object) -> Object:
        return self.server.replace(resource, body["metadata"]["namespace"], body, _WRITE)


def _replicas(replica_set: Object) -> int:
    return int(replica_set["spec"]["replicas"])


def _revision(replica_set: Object) -> int:
    return int(replica_set["metadata"]["annotations"][REVISION_ANNOTATION])


def _same(one: Object, other: Object) -> bool:
    return bool(one["metadata"]["uid"] == other["metadata"]["uid"])


def _without_hash(template: Object) -> Object:
    labels = {k: v for k, v in template["metadata"]["labels"].items() if k != _HASH}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}
