"""What kube-controller-manager does for StatefulSets and DaemonSets: revisions, pods, status."""

from collections.abc import Iterable
from dataclasses import dataclass

from tests.scenario.ownership import Entry
from tests.scenario.records import Write
from tests.scenario.shapes import Object, Objects, copied
from tests.scenario.store import Server
from tests.scenario.world.owned import controller, dying, owned, ready

from belay.core.workloads.history import REVISION_HASH
from belay.shell.resources import (
    CONTROLLER_REVISIONS,
    CORE_EVENTS,
    DAEMON_SETS,
    PODS,
    STATEFUL_SETS,
    Resource,
)

NODES = 2
"""Pods of a DaemonSet."""
_WRITE = Write(Entry("kube-controller-manager", "Update", ""))
_STATUS = Write(Entry("kube-controller-manager", "Update", "status"))


@dataclass(slots=True)
class Revisioned:
    """One `step` brings everything nearer to what the StatefulSets and DaemonSets ask for."""

    server: Server
    quota: str = ""
    """Why no pod may be made at present."""
    _made: int = 0

    def step(self) -> None:
        for stateful_set in self.server.list(STATEFUL_SETS):
            self._order(stateful_set)
        for daemon_set in self.server.list(DAEMON_SETS):
            self._spread(daemon_set)

    def _order(self, own: Object) -> None:
        """One pod after the other, and no step while one that should be ready is not."""
        update = self._revision(STATEFUL_SETS, own)
        name, desired = own["metadata"]["name"], int(own["spec"]["replicas"])
        pods = {int(p["metadata"]["name"].rpartition("-")[2]): p for p in self._pods(own)}
        self._report_order(own, update["metadata"]["name"], list(pods.values()))
        waits = own["spec"].get("podManagementPolicy") != "Parallel"
        for ordinal in range(desired):
            if ordinal not in pods:
                self._make(STATEFUL_SETS, own, f"{name}-{ordinal}", update)
            if waits and (ordinal not in pods or not ready(pods[ordinal]) or dying(pods[ordinal])):
                return
        for ordinal in sorted(pods, reverse=True):
            pod = pods[ordinal]
            if ordinal >= desired or not _is_of(pod, update):
                self._delete(pod)
                return
            if not ready(pod) or dying(pod):
                return

    def _report_order(self, own: Object, update: str, pods: Objects) -> None:
        before = own.get("status") or {}
        counts = self._counts(own, pods, update)
        desired = int(own["spec"]["replicas"])
        complete = counts["updatedReplicas"] == counts["readyReplicas"] == desired
        current = update if complete else before.get("currentRevision", update)
        revisions = {"currentRevision": current, "updateRevision": update}
        self._report(STATEFUL_SETS, own, {**counts, **revisions})

    def _spread(self, own: Object) -> None:
        """Broken pods of another revision go at once, and of the ready ones one at a time."""
        update = self._revision(DAEMON_SETS, own)
        pods = self._pods(own)
        old = [p for p in pods if not _is_of(p, update)]
        if all(map(ready, pods)) and not any(map(dying, pods)) and len(pods) == NODES:
            goes = old[:1]
        else:
            goes = [p for p in old if not ready(p)]
        for pod in goes:
            self._delete(pod)
        for _ in range(NODES - len(pods)):
            self._made += 1
            name = f"{update['metadata']['name']}-{self._made}"
            self._make(DAEMON_SETS, own, name, update)
        counts = self._counts(own, self._pods(own), _hash(update))
        self._report(
            DAEMON_SETS,
            own,
            {
                "observedGeneration": counts["observedGeneration"],
                "desiredNumberScheduled": NODES,
                "updatedNumberScheduled": counts["updatedReplicas"],
                "numberAvailable": counts["availableReplicas"],
            },
        )

    def _revision(self, resource: Resource, own: Object) -> Object:
        """What keeps the present template; made, or brought to the front."""
        kept = owned(self.server, CONTROLLER_REVISIONS, own)
        last = max((r["revision"] for r in kept), default=0)
        data = {"spec": {"template": {**own["spec"]["template"], "$patch": "replace"}}}
        found = next((r for r in kept if r["data"] == data), None)
        namespace = own["metadata"]["namespace"]
        if found is None:
            labels = {**own["spec"]["selector"]["matchLabels"], REVISION_HASH: f"r{last + 1}"}
            metadata = {
                "name": f"{own['metadata']['name']}-r{last + 1}",
                "labels": labels,
                "ownerReferences": [controller(resource, own)],
            }
            body = {"metadata": metadata, "revision": last + 1, "data": copied(data)}
            return self.server.create(CONTROLLER_REVISIONS, namespace, body, _WRITE)
        if found["revision"] < last:
            found["revision"] = last + 1
            found = self.server.replace(CONTROLLER_REVISIONS, namespace, found, _WRITE)
        return found

    def _make(self, resource: Resource, own: Object, name: str, revision: Object) -> None:
        template = copied(revision["data"]["spec"]["template"])
        mark = revision["metadata"]["name"] if resource == STATEFUL_SETS else _hash(revision)
        labels = {**template["metadata"]["labels"], REVISION_HASH: mark}
        metadata = {
            **template["metadata"],
            "name": name,
            "labels": labels,
            "ownerReferences": [controller(resource, own)],
        }
        body = {"metadata": metadata, "spec": template["spec"]}
        namespace = own["metadata"]["namespace"]
        if not self.quota:
            self.server.create(PODS, namespace, body, _WRITE)
        elif not self.server.view(CORE_EVENTS, namespace):
            self.server.create(CORE_EVENTS, namespace, _failed(own, name, self.quota), _WRITE)

    def _pods(self, own: Object) -> Objects:
        return owned(self.server, PODS, own)

    def _delete(self, pod: Object) -> None:
        if not dying(pod):
            self.server.delete(PODS, pod["metadata"]["namespace"], pod["metadata"]["name"])

    def _counts(self, own: Object, pods: Iterable[Object], update: str) -> dict[str, int]:
        alive = [p for p in pods if not dying(p)]
        return {
            "observedGeneration": own["metadata"]["generation"],
            "replicas": len(alive),
            "updatedReplicas": sum(_mark(p) == update for p in alive),
            "readyReplicas": sum(map(ready, alive)),
            "availableReplicas": sum(map(ready, alive)),
        }

    def _report(self, resource: Resource, own: Object, status: Object) -> None:
        if own.get("status") != status:
            body = {**own, "status": status}
            self.server.replace(resource, own["metadata"]["namespace"], body, _STATUS)


def _failed(own: Object, name: str, why: str) -> Object:
    return {
        "metadata": {"name": f"{own['metadata']['name']}.failed"},
        "involvedObject": {"uid": own["metadata"]["uid"]},
        "type": "Warning",
        "reason": "FailedCreate",
        "message": f"create Pod {name} failed: {why}",
    }


def _mark(pod: Object) -> str:
    return str(pod["metadata"]["labels"][REVISION_HASH])


def _hash(revision: Object) -> str:
    return str(revision["metadata"]["labels"][REVISION_HASH])


def _is_of(pod: Object, revision: Object) -> bool:
    return _mark(pod) in (revision["metadata"]["name"], _hash(revision))
