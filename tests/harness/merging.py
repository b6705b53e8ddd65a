"""Merge patches, as people send them and the product never does."""

from typing import Final

from belay.shell.cluster import Cluster
from belay.shell.resources import Object, Resource
from belay.shell.transport import Request

MERGE: Final = "application/merge-patch+json"


async def merge(
    api: Cluster,
    resource: Resource,
    namespace: str,
    name: str,
    body: Object,
    subresource: str | None = None,
) -> Object:
    """Patch one object as `kubectl patch --type merge` does; gives what it is then."""
    path = resource.path(namespace, name, subresource)
    return await api.transport.send(Request("patch", resource, path, None, body, MERGE))
