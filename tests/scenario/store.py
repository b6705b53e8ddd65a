"""An API server in memory: versions, guards, ownership, and the news for watches.

It models only what Belay and a cluster's own controllers use, and what it models is proved against
a real API server by the contract tests beside it.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from tests.scenario import ownership
from tests.scenario.bookkeeping import identity, managed, wish
from tests.scenario.ownership import Entry, Path
from tests.scenario.records import Event, Id, Stored, Write
from tests.scenario.refusals import conflict, invalid, not_found, refused, told
from tests.scenario.selectors import selects
from tests.scenario.shapes import Object, Objects, copied, defaulted, objections, shape_of

from belay.shell.resources import PODS, Resource


@dataclass(slots=True)
class Server:
    """All objects. Bodies that come in or go out are copies."""

    now: Callable[[], datetime]
    version: int = 100
    oldest: int = 0
    """Newest version whose events are forgotten."""
    listeners: list[Callable[[Event], None]] = field(default_factory=list)
    """Called with each change, at once."""
    _objects: dict[Id, Stored] = field(default_factory=dict)
    _events: list[Event] = field(default_factory=list)
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _uids: int = 0

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return copied(self._stored((resource, namespace or "", name)).body)

    def view(self, resource: Resource, namespace: str | None = None) -> Objects:
        """Objects in the order of their names, as they are: to be looked at, never changed."""
        found = [
            (id_[1:], stored.body)
            for id_, stored in self._objects.items()
            if id_[0] == resource and namespace in (None, id_[1])
        ]
        return [body for _, body in sorted(found, key=lambda pair: pair[0])]

    def list(
        self, resource: Resource, namespace: str | None = None, labels: str | None = None
    ) -> Objects:
        """Objects in the order of their names."""
        found = self.view(resource, namespace)
        return [copied(b) for b in found if selects(labels, b["metadata"].get("labels") or {})]

    def create(
        self, resource: Resource, namespace: str | None, body: Object, write: Write
    ) -> Object:
        id_ = (resource, namespace or "", body["metadata"]["name"])
        if id_ in self._objects:
            raise refused(409, "AlreadyExists", f"{told(id_)} already exists")
        if body["metadata"].get("resourceVersion"):
            message = "resourceVersion should not be set on objects to be created"
            raise refused(500, "InternalError", message)
        body = self._born(id_, body)
        owners = {write.entry: ownership.fields(shape_of(resource), body)}
        return self._put(id_, body, owners, write)

    def replace(
        self, resource: Resource, namespace: str | None, body: Object, write: Write
    ) -> Object:
        """PUT: the whole object, or its status."""
        id_ = (resource, namespace or "", body["metadata"]["name"])
        stored = self._stored(id_)
        self._guard(id_, stored, body)
        shape = shape_of(resource)
        new = self._part(resource, write, stored.body, {**stored.body, **body})
        changed = ownership.differing(shape, stored.body, new)
        there = ownership.fields(shape, new)
        owners = {e: (paths - changed) & there for e, paths in stored.owners.items()}
        owners[write.entry] = owners.get(write.entry, frozenset()) | changed
        return self._put(id_, new, owners, write)

    def apply(self, resource: Resource, body: Object, write: Write) -> Object:
        """Server-side apply."""
        metadata = body["metadata"]
        id_ = (resource, str(metadata["namespace"]), str(metadata["name"]))
        if id_ not in self._objects:
            return self._apply_new(id_, body, write)
        stored = self._objects[id_]
        self._guard(id_, stored, body)
        shape = shape_of(resource)
        config = self._part(resource, write, {}, ownership.without_identity(copied(body)))
        mine = ownership.fields(shape, config)
        new = ownership.merged(shape, copied(stored.body), config)
        new["metadata"] = {**new["metadata"], **identity(stored.body)}
        changed = ownership.differing(shape, stored.body, new)
        owners = dict(stored.owners)
        lost = ownership.conflicts(changed & mine, owners, write.entry)
        if lost and not write.force:
            raise conflict(lost)
        for entry, path in lost:
            owners[entry] -= {path}
        dropped = owners.get(write.entry, frozenset()) - mine
        owners[write.entry] = mine
        kept = [p for e, paths in owners.items() for p in paths]
        gone = frozenset(d for d in dropped if not any(p[: len(d)] == d for p in kept))
        ownership.released(new, gone)
        owners = {e: ownership.present(new, paths) for e, paths in owners.items()}
        return self._put(id_, new, owners, write)

    def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
    ) -> None:
        """Delete. A pod that is bound to a node stays, terminating, until kubelet ends it."""
        id_ = (resource, namespace or "", name)
        stored = self._stored(id_)
        found = stored.body["metadata"]["uid"]
        if uid not in (None, found):
            message = (
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
            )
            raise refused(409, "Conflict", f"Operation cannot be fulfilled on {name}: {message}")
        if resource == PODS and stored.body["spec"].get("nodeName") and grace != 0:
            if "deletionTimestamp" not in stored.body["metadata"]:
                patience = 30 if grace is None else grace
                dying = copied(stored.body)
                dying["metadata"]["deletionTimestamp"] = self._time()
                dying["metadata"]["deletionGracePeriodSeconds"] = patience
                self._store(id_, dying, stored.owners, stored.times)
            return
        del self._objects[id_]
        self.version += 1
        last = copied(stored.body)
        last["metadata"]["resourceVersion"] = str(self.version)
        self._tell(Event(self.version, "DELETED", id_, last))

    def events(self, resource: Resource, namespace: str | None, since: int) -> Iterator[Event]:
        """Changes after a version."""
        for event in self._events:
            wanted = event.id[0] == resource and namespace in (None, event.id[1])
            if wanted and event.version > since:
                yield event

    def states(self, resource: Resource) -> Objects:
        """What the objects of a kind have looked like, as far as events are remembered."""
        return [e.body for e in self._events if e.id[0] == resource and e.kind != "DELETED"]

    def forget_events(self) -> None:
        """Compact: watches from before now are told 410."""
        self.oldest = self.version
        self._events.clear()

    async def news(self) -> None:
        """Wait for the next change."""
        await self._news.wait()

    def _apply_new(self, id_: Id, body: Object, write: Write) -> Object:
        uid = body["metadata"].get("uid")
        if write.entry.subresource:
            raise not_found(id_)
        if uid is not None:
            message = f"uid mismatch: the provided object specified uid {uid}, and no existing"
            raise refused(409, "Conflict", f"{message} object was found")
        body = self._born(id_, body)
        owners = {write.entry: ownership.fields(shape_of(id_[0]), body)}
        return self._put(id_, body, owners, write)

    def _born(self, id_: Id, body: Object) -> Object:
        resource, namespace, name = id_
        self._uids += 1
        new = copied(body)
        if shape_of(resource).has_status:
            new.pop("status", None)
        new["apiVersion"], new["kind"] = resource.api_version, resource.kind
        new["metadata"] |= {"name": name, "uid": f"uid-{self._uids:04}"}
        new["metadata"] |= {"namespace": namespace} if namespace else {}
        new["metadata"]["creationTimestamp"] = self._time()
        if shape_of(resource).counts:
            new["metadata"]["generation"] = 1
        return new

    def _part(self, resource: Resource, write: Write, before: Object, new: Object) -> Object:
        """What of a write counts: its status, or all but its status."""
        if not shape_of(resource).has_status:
            return new
        if write.entry.subresource == "status":
            kept = {k: v for k, v in before.items() if k != "status"}
            return {**kept, **({"status": new["status"]} if "status" in new else {})}
        kept = {"status": before["status"]} if "status" in before else {}
        return {**{k: v for k, v in new.items() if k != "status"}, **kept}

    def _guard(self, id_: Id, stored: Stored, body: Object) -> None:
        metadata, found = body["metadata"], stored.body["metadata"]
        version, uid = metadata.get("resourceVersion"), metadata.get("uid")
        if version is not None and version != found["resourceVersion"]:
            message = (
                f"Operation cannot be fulfilled on {told(id_)}: the object has been modified; "
                "please apply your changes to the latest version and try again"
            )
            raise refused(409, "Conflict", message)
        if uid is not None and uid != found["uid"]:
            message = f'Invalid value: "{found["uid"]}": field is immutable'
            raise invalid(id_, [("metadata.uid", message)])

    def _put(
        self, id_: Id, body: Object, owners: dict[Entry, frozenset[Path]], write: Write
    ) -> Object:
        """Validate, count, store; a write that changes nothing makes no new version."""
        resource, before = id_[0], self._objects.get(id_)
        new = defaulted(resource, copied(body))
        wrong = list(objections(resource, new, before.body if before else None))
        if wrong:
            raise invalid(id_, wrong)
        if before is not None:
            new["metadata"] = {**new["metadata"], **identity(before.body)}
            if shape_of(resource).counts and wish(resource, new) != wish(resource, before.body):
                new["metadata"]["generation"] += 1
        owners = {entry: paths for entry, paths in owners.items() if paths}
        if before is not None and new == before.body and owners == before.owners:
            return copied(before.body)
        if write.dry_run:
            return new
        times = dict(before.times) if before else {}
        if before is None or before.owners.get(write.entry) != owners.get(write.entry):
            times[write.entry] = self._time()
        return copied(self._store(id_, new, owners, times))

    def _store(
        self,
        id_: Id,
        body: Object,
        owners: dict[Entry, frozenset[Path]],
        times: dict[Entry, str],
    ) -> Object:
        self.version += 1
        body["metadata"]["resourceVersion"] = str(self.version)
        body["metadata"]["managedFields"] = [
            managed(id_[0], entry, owners[entry], times.get(entry, self._time()))
            for entry in sorted(owners)
        ]
        kind = "MODIFIED" if id_ in self._objects else "ADDED"
        self._objects[id_] = Stored(body, owners, times)
        self._tell(Event(self.version, kind, id_, body))
        return body

    def _tell(self, event: Event) -> None:
        self._events.append(event)
        self._news.set()
        self._news = asyncio.Event()
        for listener in self.listeners:
            listener(event)

    def _stored(self, id_: Id) -> Stored:
        if id_ not in self._objects:
            raise not_found(id_)
        return self._objects[id_]

    def _time(self) -> str:
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")
