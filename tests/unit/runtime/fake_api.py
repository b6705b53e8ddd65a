"""Lists and watches of one kind in memory, with what goes wrong with them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from belay.shell.errors import ApiError, Gone, Invalid
from belay.shell.resources import Object, Objects, Resource


async def until(true: Callable[[], object]) -> None:
    """Let other tasks run until something is true; five seconds at most."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class FakeApi:
    """Stands in for `Cluster` where a list, a watch, a 410 or a broken stream is needed."""

    def __init__(self) -> None:
        self.version = 10
        self.objects: dict[tuple[str, str], Object] = {}
        self.refusals: list[ApiError] = []
        self.lists = 0
        self.streams = True
        self.watches = 0
        self._events: list[tuple[int, str, Object]] = []
        self._oldest = 0
        self._news = asyncio.Event()
        self._broken = 0

    def put(self, namespace: str, name: str, **metadata: Any) -> None:
        kind = "MODIFIED" if (namespace, name) in self.objects else "ADDED"
        body = {
            "namespace": namespace,
            "name": name,
            "uid": f"uid-{name}",
            "creationTimestamp": "2026-03-01T12:00:00Z",
            **metadata,
        }
        self._happen(kind, body)
        self.objects[namespace, name] = body

    def delete(self, namespace: str, name: str) -> None:
        self._happen("DELETED", {**self.objects.pop((namespace, name))})

    def break_watches(self, *, forget: bool = False) -> None:
        """End all watches; with `forget`, what happened so far can be had from a list only."""
        self._broken += 1
        if forget:
            self._oldest = self.version
        self._tell()

    async def metadata_stream(
        self, resource: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        if not self.streams:
            raise Invalid(422, "Invalid", "sendInitialEvents: Forbidden")
        async for page in self.metadata_pages(resource, namespace):
            yield page

    async def metadata_pages(
        self, _: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        self.lists += 1
        if self.refusals:
            raise self.refusals.pop(0)
        found = [
            {"metadata": dict(body)}
            for body in self.objects.values()
            if namespace in (None, body["namespace"])
        ]
        version = str(self.version)
        for start in range(0, len(found) or 1, 2):
            yield found[start : start + 2], version

    async def watch(
        self, _: Resource, __: str | None, since: str, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Object]]:
        assert metadata_only
        self.watches += 1
        age, seen = self._broken, int(since)
        while age == self._broken:
            if seen < self._oldest and seen:
                raise Gone(410, "Expired", "too old resource version")
            for version, kind, body in list(self._events):
                if version > seen:
                    seen = version
                    yield kind, {"metadata": body}
            await self._news.wait()

    def _happen(self, kind: str, body: Object) -> None:
        self.version += 1
        body["resourceVersion"] = str(self.version)
        self._events.append((self.version, kind, dict(body)))
        self._tell()

    def _tell(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
