"""How new a list has to be: at least as new as what was heard of its kind a moment ago."""

import time
from collections.abc import Callable
from typing import Final

from belay.shell.resources import Resource

MOMENT: Final = 10.0
"""Seconds for which a version that was heard of bounds the age of a list."""

_Place = tuple[Resource, str | None]


class Recent:
    """The newest versions that lists and watches told of, each for a moment.

    For the newest state of a kind of which nothing changes, the API server asks etcd every 100 ms
    at most, and lets lists wait for it (KEP-2340). One that is not older than a version which it
    has told already it answers at once, from the same cache. Versions are compared as numbers
    (KEP-5504).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._heard: dict[_Place, tuple[int, float]] = {}
        """In the order in which they were heard."""

    def note(self, resource: Resource, namespace: str | None, version: str) -> None:
        """A list or a watch has told this version."""
        if not version.isdecimal():
            return
        place = resource, namespace
        newest = max(int(version), self._heard.pop(place, (0, 0.0))[0])
        self._heard[place] = newest, self._clock()
        self._drop()

    def version(self, resource: Resource, namespace: str | None) -> str | None:
        """What a list has to be as new as; None where it has to be of the newest state."""
        self._drop()
        found = self._heard.get((resource, namespace))
        return str(found[0]) if found is not None else None

    def _drop(self) -> None:
        """Forget what was heard more than a moment ago."""
        while self._heard:
            place, (_, at) = next(iter(self._heard.items()))
            if self._clock() - at < MOMENT:
                return
            del self._heard[place]
