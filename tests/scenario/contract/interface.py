"""The interface under test: that of the cluster adapter, in a namespace of the test's own."""

import json
from dataclasses import dataclass
from typing import Any

from tests.scenario.api import FakeCluster

from belay.shell.cluster import Cluster
from belay.shell.resources import Resource

Object = dict[str, Any]
ANOTHER_UID = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True, slots=True)
class Api:
    """The interface under test, in a namespace of the test's own."""

    cluster: Cluster | FakeCluster
    namespace: str

    async def create(self, resource: Resource, body: Object) -> Object:
        typed = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self.cluster.create(resource, self.namespace, typed)

    async def get(self, resource: Resource, name: str) -> Object:
        return await self.cluster.get(resource, self.namespace, name)

    async def apply(
        self, resource: Resource, body: Object, manager: str = "one", **how: Any
    ) -> Object:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        body["metadata"] = {"namespace": self.namespace, **body["metadata"]}
        return await self.cluster.apply(resource, body, manager=manager, **how)

    async def delete(self, resource: Resource, name: str, **how: Any) -> None:
        await self.cluster.delete(resource, self.namespace, name, **how)


def owned(body: Object, manager: str) -> Object | None:
    """What a manager owns of an object."""
    entries = body["metadata"]["managedFields"]
    found = [e["fieldsV1"] for e in entries if e["manager"] == manager]
    return json.loads(json.dumps(found[0])) if found else None
