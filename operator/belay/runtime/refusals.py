"""Refused wishes: an event that changes nothing of the cause has the server asked again only later.

Else whoever keeps annotating a refused Workflow makes a dry run of each annotation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from belay.core.keys import Key

PATIENCE: Final = timedelta(seconds=5)

Cause = tuple[object, ...]
"""All that was refused: the wish, the tokens, the revision and the targets as they were."""


@dataclass(frozen=True, slots=True)
class _Refused:
    cause: Cause
    at: datetime


class Refusals:
    """What was refused lately, by Workflow."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._known: dict[Key, _Refused] = {}

    def __contains__(self, key: Key) -> bool:
        return key in self._known

    def note(self, key: Key, cause: Cause) -> None:
        """This was refused just now."""
        self._known[key] = _Refused(cause, self._now())

    def forget(self, key: Key) -> None:
        self._known.pop(key, None)

    def wait(self, key: Key, cause: Cause) -> float | None:
        """Seconds until it is worth another look; None where it is now."""
        refused = self._known.get(key)
        if refused is None or refused.cause != cause:
            return None
        left = (refused.at + PATIENCE - self._now()).total_seconds()
        return left if left > 0 else None
