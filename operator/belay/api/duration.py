"""Durations as Kubernetes users write them: `90s`, `1m30s`, `500ms`."""

import re
from datetime import timedelta
from functools import lru_cache
from typing import Annotated, Any, Final

from pydantic import Field

from belay.api.model import cel, validations

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
# At most six digits: a longer number overflows CEL's duration, which would then name no remedy.
DURATION_PATTERN: Final = r"^([0-9]{1,6}(\.[0-9]{1,6})?(ms|s|m|h))+$"


def bounds(least: str, most: str) -> dict[str, Any]:
    """A CEL rule that keeps a duration between two bounds."""
    return validations(
        cel(
            f"self.matches(r'{DURATION_PATTERN}') && "
            f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
            f"write a duration from {least} to {most}, such as 30s, 1m30s or 500ms",
        )
    )


Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=DURATION_PATTERN)]


@lru_cache(maxsize=256)
def seconds(text: str) -> float:
    """Seconds of a duration such as `1m30s`: what the CRD admits of Go's time.ParseDuration.

    Raises ValueError where the text is no duration.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration; write it like 30s, 1m30s or 500ms")
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def delta(text: str) -> timedelta:
    return timedelta(seconds=seconds(text))


def spoken(duration: timedelta | float) -> str:
    """A duration for people: `2.1 s`, `40 s`, `5 min`."""
    value = duration.total_seconds() if isinstance(duration, timedelta) else duration
    if value < 10:
        return f"{value:.1f} s"
    if value < 120:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min"
