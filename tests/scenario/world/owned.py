"""Who made which object, and how its pods are: what all controllers ask."""

from tests.scenario.shapes import Object, Objects
from tests.scenario.store import Server

from belay.shell.resources import PODS, Resource


def owned(server: Server, resource: Resource, owner: Object) -> Objects:
    """Objects of the owner, oldest first; pods are for reading only."""
    uid, namespace = owner["metadata"]["uid"], owner["metadata"]["namespace"]
    read = server.view if resource == PODS else server.list
    found = [
        o
        for o in read(resource, namespace)
        if any(r["uid"] == uid for r in o["metadata"].get("ownerReferences") or [])
    ]
    return sorted(found, key=lambda o: str(o["metadata"]["uid"]))


def controller(resource: Resource, owner: Object) -> Object:
    """An ownerReference."""
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }


def ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def dying(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]
