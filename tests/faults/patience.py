"""How long to wait for what has to come, on a machine that may be starved."""

import time
from pathlib import Path

_SCHEDSTAT = Path("/proc/self/schedstat")
_MOST = 20.0


class Patience:
    """Seconds that are longer the longer this process had to wait for a core meanwhile."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._began = time.monotonic()
        self._ran, self._waited = _scheduled()

    @property
    def left(self) -> float:
        """Not above 0 when it is over."""
        return self._began + self._seconds * self._stretch() - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    def _stretch(self) -> float:
        """By how much longer everything took than on an idle machine."""
        ran, waited = _scheduled()
        ran, waited = ran - self._ran, waited - self._waited
        return min(1 + waited / ran, _MOST) if ran else 1.0


def _scheduled() -> tuple[int, int]:
    """Nanoseconds that this process ran, and that it waited for a core; nothing elsewhere."""
    try:
        ran, waited, _ = _SCHEDSTAT.read_text().split()
    except OSError:
        return 0, 0
    return int(ran), int(waited)
