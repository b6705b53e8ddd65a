"""When many objects come to a state, seen by one watch."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.harness.setup import say

from belay.shell.cluster import Cluster as Api
from belay.shell.errors import ApiError
from belay.shell.resources import Resource

Object = dict[str, Any]
Key = tuple[str, str]
Good = Callable[[Object], bool]
"""Whether an object, with its status, is as awaited."""


@dataclass(slots=True)
class News:
    """The latest state of each object of one kind, in all namespaces."""

    api: Api
    resource: Resource
    states: dict[Key, Object] = field(default_factory=dict)
    _awaited: dict[Key, Good] = field(default_factory=dict)
    _came: dict[Key, float] = field(default_factory=dict)
    _all: asyncio.Event = field(default_factory=asyncio.Event)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["News"]:
        task = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def expect(self, keys: Sequence[Key], good: Good) -> None:
        """Look from now on when each of these becomes `good`."""
        self._came, self._all = {}, asyncio.Event()
        self._awaited = dict.fromkeys(keys, good)
        for key in keys:
            self._look(key)

    async def came(self, seconds: float) -> dict[Key, float]:
        """When each of the expected did, on the monotonic clock; in their order of time."""
        try:
            async with asyncio.timeout(seconds):
                await self._all.wait()
        except TimeoutError:
            key = next(iter(self._awaited))
            last = self.states.get(key)
            raise AssertionError(f"{len(self._awaited)} are not as awaited: {key} {last}") from None
        return self._came

    async def _follow(self) -> None:
        while True:
            try:
                async for kind, body in self.api.watch(self.resource, None, "0"):
                    if kind != "BOOKMARK":
                        metadata = body["metadata"]
                        key = metadata["namespace"], metadata["name"]
                        self.states[key] = body
                        self._look(key)
            except ApiError as error:
                say(f"bench: the watch of {self.resource.plural} begins anew: {error}")
            await asyncio.sleep(0.1)

    def _look(self, key: Key) -> None:
        good = self._awaited.get(key)
        if good is not None and key in self.states and good(self.states[key]):
            del self._awaited[key]
            self._came[key] = time.monotonic()
        if not self._awaited:
            self._all.set()


def at_generation(found: Object) -> bool:
    """Whether the status speaks of the newest spec."""
    status = found.get("status") or {}
    return bool(status.get("observedGeneration") == found["metadata"]["generation"])
