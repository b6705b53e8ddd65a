"""One turn of one Workflow: what was read and answered in it, so that nothing is read twice."""

from dataclasses import dataclass, field

from belay.api.names import ANNOTATION_ABORT, ANNOTATION_RESTORE, ANNOTATION_RETRY
from belay.core.keys import Key
from belay.core.observed import DryRun, Refusal
from belay.shell.cluster import Cluster
from belay.shell.errors import Conflict, NotFound
from belay.shell.resources import CONFIG_MAPS, REVISIONS, WORKFLOWS, Object, Resource


@dataclass(slots=True)
class Turn:
    """Objects read in this turn; the answer of a write is the next observation of its object."""

    cluster: Cluster
    key: Key
    dry_run: DryRun | None = None
    failure: Refusal | None = None
    _objects: dict[tuple[str, str, str], Object | None] = field(default_factory=dict)
    _lists: dict[tuple[str, str], list[Object]] = field(default_factory=dict)

    async def get(self, resource: Resource, name: str) -> Object | None:
        """The object, or None where there is none."""
        at = (resource.group, resource.plural, name)
        if at not in self._objects:
            try:
                self._objects[at] = await self.cluster.get(resource, self.key.namespace, name)
            except NotFound:
                self._objects[at] = None
        return self._objects[at]

    async def listed(self, resource: Resource, labels: str) -> list[Object]:
        """All objects with these labels, as they were when this turn first asked or just before."""
        at = (resource.plural, labels)
        if at not in self._lists:
            self._lists[at] = await self.cluster.list(
                resource, self.key.namespace, labels=labels, recent=True
            )
        return self._lists[at]

    async def heed(self) -> None:
        """Look at the Workflow again. Raises `Conflict` where it is wished otherwise by now."""
        known = await self.get(WORKFLOWS, self.key.name)
        self.forget(WORKFLOWS, self.key.name)
        found = await self.get(WORKFLOWS, self.key.name)
        if known is None or found is None or wish_of(found) != wish_of(known):
            raise Conflict(409, "Conflict", "the Workflow has changed since this turn began")

    async def version(self) -> str:
        """The Workflow's resourceVersion that this turn ends on; empty when it is gone."""
        found = await self.get(WORKFLOWS, self.key.name)
        return str(found["metadata"]["resourceVersion"]) if found is not None else ""

    def put(self, resource: Resource, found: Object) -> None:
        """Go on with what a write answered."""
        self._outdate(resource)
        self._objects[resource.group, resource.plural, found["metadata"]["name"]] = found

    def forget(self, resource: Resource, name: str) -> None:
        """Read this object anew when it is needed next."""
        self._outdate(resource)
        self._objects.pop((resource.group, resource.plural, name), None)

    def _outdate(self, resource: Resource) -> None:
        """A write to one of these three changes no pod, nor what keeps templates."""
        if resource not in (WORKFLOWS, REVISIONS, CONFIG_MAPS):
            self._lists.clear()


def wish_of(workflow: Object) -> tuple[object, ...]:
    """All of a Workflow that a decision rests on."""
    metadata = workflow["metadata"]
    annotations = metadata.get("annotations") or {}
    asked = (ANNOTATION_RETRY, ANNOTATION_ABORT, ANNOTATION_RESTORE)
    tokens = [annotations.get(name) for name in asked]
    going = metadata.get("deletionTimestamp")
    return metadata["uid"], metadata["generation"], going, tokens, workflow.get("status")
