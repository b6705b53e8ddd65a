"""Endless metadata-only watches that outlive disconnects."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from belay.core.keys import Key
from belay.shell.cluster import Cluster
from belay.shell.errors import Unavailable
from belay.shell.resources import Object, Resource

ANY_VERSION: Final = "0"
"""Watch from whatever the API server's cache holds; what exists comes first, as ADDED."""
COMPLAIN_EVERY: Final = 10.0
_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0


class Complaints:
    """Says why something does not work yet, at most every ten seconds."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._said_at = float("-inf")

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        if now - self._said_at >= COMPLAIN_EVERY:
            self._said_at = now
            self._log.warning("%s; still trying", words)


class BackOff:
    """Pauses between tries, longer each time up to five seconds, with jitter."""

    def __init__(self) -> None:
        self._seconds = _FIRST_PAUSE

    def reset(self) -> None:
        self._seconds = _FIRST_PAUSE

    async def pause(self, at_least: float = 0.0) -> None:
        seconds, self._seconds = self._seconds, min(self._seconds * 2, _LONGEST_PAUSE)
        await asyncio.sleep(max(at_least, seconds * random.uniform(0.5, 1.0)))  # noqa: S311


async def metadata_events(
    cluster: Cluster, resource: Resource, namespace: str | None, since: str
) -> AsyncIterator[tuple[str, Object]]:
    """Types (ADDED, MODIFIED, DELETED) and metadata of all that happens after `since`, for ever.

    Raises `Gone` when `since` is too old, and any other `ApiError` but `Unavailable`.
    """
    back_off = BackOff()
    version = since
    while True:
        began = time.monotonic()
        wait = 0.0
        watch = cluster.watch(resource, namespace, version, metadata_only=True)
        try:
            async with aclosing(watch) as events:  # type: ignore[type-var]
                async for kind, body in events:
                    metadata = body["metadata"]
                    version = metadata["resourceVersion"]
                    if kind != "BOOKMARK":
                        yield kind, metadata
        except Unavailable as error:
            wait = error.retry_after
        if time.monotonic() - began > _LONGEST_PAUSE:
            back_off.reset()
        await back_off.pause(wait)


def key_of(metadata: Object) -> Key:
    return Key(str(metadata.get("namespace") or ""), str(metadata["name"]))
