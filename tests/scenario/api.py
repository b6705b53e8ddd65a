"""The API server model behind the interface of `belay.shell.cluster.Cluster`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.scenario.ownership import Entry
from tests.scenario.records import Event, Id, Write
from tests.scenario.refusals import refused
from tests.scenario.selectors import selects_fields
from tests.scenario.shapes import Object, Objects, copied, received
from tests.scenario.store import Server

from belay.shell.errors import ApiError, Unavailable
from belay.shell.resources import Resource

WATCH_SECONDS: Final = 300.0


@dataclass(slots=True)
class Call:
    """One call on its way; a hook may look at it, delay it, or raise instead of it."""

    verb: str
    resource: Resource
    namespace: str | None
    name: str | None = None
    subresource: str | None = None
    manager: str | None = None
    dry_run: bool = False
    body: Object | None = None
    answer: Object | None = None
    """What the server answered, once it did."""
    error: ApiError | None = None

    @property
    def writes(self) -> bool:
        return self.verb in ("create", "update", "patch", "delete") and not self.dry_run


async def _nothing(_: Call) -> None:
    """The hook that does nothing."""


async def _no_delay(_: Event) -> None:
    await asyncio.sleep(0)


@dataclass(slots=True)
class FakeCluster:
    """One client of the server.

    `before` is awaited before a call reaches the server and `after` when it was carried out and
    before the caller hears of it: to count, to delay, to refuse, to lose an answer, to crash.
    `on_event` is awaited before a watch hands on what happened.
    """

    server: Server
    agent: str = "belay"
    namespace: str = "default"
    before: Callable[[Call], Awaitable[None]] = _nothing
    after: Callable[[Call], Awaitable[None]] = _nothing
    on_event: Callable[[Event], Awaitable[None]] = _no_delay
    may_write: Callable[[], bool] = lambda: True
    watch_seconds: float = WATCH_SECONDS
    _closed: asyncio.Event = field(default_factory=asyncio.Event)

    async def close(self) -> None:
        self._closed.set()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        call = Call("get", resource, namespace, name)
        return await self._call(call, lambda: self.server.get(resource, namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        recent: bool = False,
    ) -> Objects:
        page = await self._call(
            Call("list", resource, namespace),
            lambda: {"items": self.server.list(resource, namespace, labels)},
        )
        return [o for o in page["items"] if selects_fields(fields, o)]

    async def list_metadata(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None
    ) -> tuple[Objects, str]:
        page = await self._call(
            Call("list", resource, namespace),
            lambda: {
                "items": [_metadata(o) for o in self.server.list(resource, namespace, labels)],
                "version": str(self.server.version),
            },
        )
        return list(page["items"]), str(page["version"])

    async def metadata_pages(
        self, resource: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        yield await self.list_metadata(resource, namespace)

    metadata_stream = metadata_pages

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        write = Write(Entry(self.agent, "Update", ""))
        call = Call("create", resource, namespace, body["metadata"]["name"], body=body)
        return await self._call(
            call, lambda: self.server.create(resource, namespace, received(body), write)
        )

    async def replace(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        write = Write(Entry(self.agent, "Update", ""))
        call = Call("update", resource, namespace, body["metadata"]["name"], body=body)
        return await self._call(
            call, lambda: self.server.replace(resource, namespace, received(body), write)
        )

    async def apply(
        self,
        resource: Resource,
        body: Object,
        *,
        manager: str,
        subresource: str | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        metadata = body["metadata"]
        call = Call(
            "patch", resource, metadata["namespace"], metadata["name"], subresource, manager,
            dry_run, body,
        )  # fmt: skip
        write = Write(Entry(manager, "Apply", subresource or ""), force, dry_run)
        return await self._call(call, lambda: self.server.apply(resource, received(body), write))

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
    ) -> None:
        def do() -> Object:
            self.server.delete(resource, namespace, name, uid=uid, grace=grace)
            return {}

        await self._call(Call("delete", resource, namespace, name), do)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        since: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Events after `since`; a bookmark before the server ends the watch."""
        assert labels is None, "no selector of a watch is modelled"
        assert fields is None, "no selector of a watch is modelled"
        await self._call(Call("watch", resource, namespace), dict)
        told = _metadata if metadata_only else copied
        clock = asyncio.get_running_loop().time
        until = clock() + self.watch_seconds
        at = int(since)
        if at == 0:
            at = self.server.version
            for body in self.server.list(resource, namespace):
                await self.on_event(Event(at, "ADDED", _id(resource, body), body))
                yield "ADDED", told(body)
        elif at < self.server.oldest:
            raise refused(410, "Expired", f"too old resource version: {at}")
        while True:
            newest = self.server.version
            for event in list(self.server.events(resource, namespace, at)):
                await self.on_event(event)
                yield event.kind, told(event.body)
            at = max(at, newest)
            if clock() >= until:
                break
            await self._news(until - clock(), at)
        yield "BOOKMARK", {"kind": resource.kind, "metadata": {"resourceVersion": str(at)}}

    async def _news(self, seconds: float, at: int) -> None:
        """Wait until something happens that a watch at this version has not seen."""
        with contextlib.suppress(TimeoutError):
            if self.server.version <= at:
                await asyncio.wait_for(self.server.news(), seconds)

    async def _call(self, call: Call, do: Callable[[], Object]) -> Object:
        await self.before(call)
        if call.writes and not self.may_write():
            raise Unavailable(0, "NotLeading", f"{call.verb}: this process does not lead any more")
        answer: Object = {}
        try:
            answer = call.answer = do()
        except ApiError as error:
            call.error = error
        await self.after(call)
        if call.error is not None:
            raise call.error
        return answer


def _id(resource: Resource, body: Object) -> Id:
    return resource, str(body["metadata"].get("namespace") or ""), str(body["metadata"]["name"])


def _metadata(body: Object) -> Object:
    return {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": copied(body["metadata"]),
    }
