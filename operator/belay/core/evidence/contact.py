"""Contact: when so many Workflows fall silent together that the fault is none of theirs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

LEAST_PROBED: Final = 5
"""Fewer Workflows say nothing of what they have in common."""
TOGETHER: Final = 30.0
"""Seconds in which contact is lost together."""


@dataclass(frozen=True, slots=True)
class LostContact:
    """Probing is suspended: what checks say, and what they do not hear, decides nothing."""

    since: datetime
    lost: int
    """Workflows that had fallen silent by then."""
    probed: int
    """Workflows that had answered before, the silent ones included."""

    @property
    def told(self) -> str:
        """For people, with the remedy."""
        return (
            f"no verdict is taken: {self.lost} of {self.probed} Workflows that are probed fell "
            f"silent together at {self.since:%H:%M:%S}. Mend the network between Belay and the "
            "pods; it goes on by itself"
        )


def is_lost(*, lost_lately: int, probed: int) -> bool:
    """Whether probing is to be suspended; `lost_lately` is of the last `TOGETHER` seconds."""
    return probed >= LEAST_PROBED and 2 * lost_lately >= probed


def is_back(*, lost: int, probed: int) -> bool:
    """Whether a suspension is over: most of those that are probed answer, or too few are left."""
    return probed < LEAST_PROBED or 2 * lost < probed
