"""What the event source has delivered, to be compared with what is really there."""

from collections.abc import Mapping
from dataclasses import dataclass

from belay.core.keys import Key


@dataclass(frozen=True, slots=True)
class _Delivered:
    version: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """How far the source is behind one list. All keys are those of Workflows."""

    behind: Mapping[Key, int]
    """Listed versions of which no event came yet."""
    gone: frozenset[Key]
    """Delivered once, and not there any more."""


class Deliveries:
    """Newest resourceVersion that an event brought, for each Workflow.

    Versions of one kind are integers that grow (KEP-5504), so newer than the list is not behind.
    """

    def __init__(self) -> None:
        self._delivered: dict[Key, _Delivered] = {}

    def record(self, key: Key, version: str, *, deleted: bool) -> None:
        self._delivered[key] = _Delivered(int(version), deleted)

    def compare(self, listed: Mapping[Key, int], at: int) -> Comparison:
        """Compare with a list that was read at version `at`; forget what is gone by then."""
        behind = {key: version for key, version in listed.items() if self._lacks(key, version)}
        left = [
            key
            for key, delivered in self._delivered.items()
            if key not in listed and delivered.version <= at
        ]
        gone = frozenset(key for key in left if not self._delivered[key].deleted)
        for key in left:
            del self._delivered[key]
        return Comparison(behind, gone)

    def still_behind(self, behind: Mapping[Key, int]) -> dict[Key, int]:
        return {key: version for key, version in behind.items() if self._lacks(key, version)}

    def _lacks(self, key: Key, version: int) -> bool:
        delivered = self._delivered.get(key)
        return delivered is None or delivered.version < version
