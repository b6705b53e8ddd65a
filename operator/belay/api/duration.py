"""Durations as Kubernetes users write them: `90s`, `1m30s`, `500ms`."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import Field

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PART: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|h|m|s)")
DURATION_PATTERN: Final = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"


def bounds(least: str, most: str) -> dict[str, Any]:
    """CEL rules that keep a duration between two bounds."""
    return {
        "x-kubernetes-validations": [
            {
                "rule": f"duration(self) >= duration('{least}') && duration(self) <= duration('{most}')",
                "message": f"must be between {least} and {most}, such as 30s or 1m30s",
            }
        ]
    }


Duration = Annotated[str, Field(min_length=2, max_length=16, pattern=DURATION_PATTERN)]


def seconds(text: str) -> float:
    """Seconds of a duration such as `1m30s` (the subset of Go's time.ParseDuration that the CRD admits).

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
