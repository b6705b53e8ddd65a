"""Which WorkflowRevisions exist: an index of names, kept by a metadata-only watch."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from belay.api.names import LABEL_MANAGED
from belay.core.keys import Key
from belay.runtime.stream import BackOff, Complaints, metadata_events
from belay.shell.cluster import Cluster
from belay.shell.errors import ApiError, Gone, Invalid, Unavailable
from belay.shell.resources import REVISIONS, Object, Objects

log = logging.getLogger(__name__)

_NONE: Final[Mapping[str, "RevisionMeta"]] = MappingProxyType({})


class RevisionMeta(NamedTuple):
    """What is known of a WorkflowRevision without its body."""

    uid: str
    resource_version: str
    managed: bool
    """It carries the label of our own importer, and may be pruned."""
    created: str
    """creationTimestamp, as the API server writes it; sorts by time."""


Wake = Callable[[Key], None]
Pages = AsyncIterator[tuple[Objects, str]]


class Revisions:
    """Index from Workflow to its revisions, by their computed names `<workflow>-<revision>`."""

    def __init__(
        self, cluster: Cluster, namespaces: Sequence[str | None], wake: Wake = lambda _: None
    ) -> None:
        """`wake` is called for a Workflow when one of its revisions comes, changes or goes.

        Not for what was there at the start: until `listed` nothing is decided anyway.
        """
        self._cluster = cluster
        self._namespaces = namespaces
        self._wake = wake
        self._known: dict[Key, dict[str, RevisionMeta]] = {}
        self._unlisted = set(namespaces)
        self.listed = asyncio.Event()
        """Set when all that existed at the start is known."""

    def known(self, key: Key) -> Mapping[str, RevisionMeta]:
        """Revisions of one Workflow by their names; a live view."""
        return self._known.get(key, _NONE)

    async def run(self) -> None:
        """Keep the index until cancelled."""
        async with asyncio.TaskGroup() as followers:
            for namespace in self._namespaces:
                followers.create_task(self._follow(namespace), name=f"revisions-{namespace}")

    async def _follow(self, namespace: str | None) -> None:
        back_off, complain = BackOff(), Complaints(log)
        while True:
            try:
                version = await self._list(namespace)
                back_off.reset()
                self._unlisted.discard(namespace)
                if not self._unlisted:
                    self.listed.set()
                async for kind, metadata in metadata_events(
                    self._cluster, REVISIONS, namespace, version
                ):
                    self._changed(kind, metadata)
            except Gone:
                await back_off.pause()
            except ApiError as error:
                complain(f"revisions cannot be followed: {error}")
                await back_off.pause()

    async def _list(self, namespace: str | None) -> str:
        """Bring the index up to date by a list; wakes only those whose revisions differ."""
        try:
            pages = self._cluster.metadata_stream(REVISIONS, namespace)
            version, seen = await self._take(pages)
        except (Invalid, Unavailable):
            pages = self._cluster.metadata_pages(REVISIONS, namespace)
            version, seen = await self._take(pages)
        for key in [key for key in self._known if namespace in (None, key.namespace)]:
            for revision in self._known[key].keys() - seen.get(key, set()):
                self._drop(key, revision)
        return version

    async def _take(self, pages: Pages) -> tuple[str, dict[Key, set[str]]]:
        """All that is listed, and at which version."""
        version = ""
        seen: dict[Key, set[str]] = {}
        async for page, version in pages:  # noqa: B007
            for item in page:
                key, revision = _split(item["metadata"])
                seen.setdefault(key, set()).add(revision)
                self._put(key, revision, item["metadata"])
        return version, seen

    def _changed(self, kind: str, metadata: Object) -> None:
        key, revision = _split(metadata)
        if kind == "DELETED":
            self._drop(key, revision)
        else:
            self._put(key, revision, metadata)

    def _put(self, key: Key, revision: str, metadata: Object) -> None:
        labels = metadata.get("labels") or {}
        meta = RevisionMeta(
            uid=metadata["uid"],
            resource_version=metadata["resourceVersion"],
            managed=labels.get(LABEL_MANAGED) == "true",
            created=sys.intern(metadata["creationTimestamp"]),
        )
        revisions = self._known.setdefault(key, {})
        if revisions.get(revision) != meta:
            revisions[revision] = meta
            if self.listed.is_set():
                self._wake(key)

    def _drop(self, key: Key, revision: str) -> None:
        revisions = self._known.get(key, {})
        if revisions.pop(revision, None) is not None:
            self._wake(key)
        if not revisions:
            self._known.pop(key, None)


def _split(metadata: Object) -> tuple[Key, str]:
    """The Workflow and the revision's name; the last hyphen splits."""
    workflow, _, revision = metadata["name"].rpartition("-")
    return Key(sys.intern(metadata["namespace"]), sys.intern(workflow)), sys.intern(revision)
