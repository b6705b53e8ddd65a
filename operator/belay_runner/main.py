"""The process: which Pythons it runs on, its two ports, its start and its end."""

import gc
import sys
from collections.abc import Sequence
from typing import Final

_LEAKING: Final = ((3, 13, 0), (3, 13, 3))
"""A cache of these keeps every engine alive, about 40 KB a run (python/cpython#127750)."""


def refusal(version: tuple[int, int, int]) -> str | None:
    """Why the runner does not start on this Python, or None."""
    told = ".".join(map(str, version))
    if version < (3, 12, 0):
        return f"Python {told} is too old for the engine: take 3.12, or 3.13.3 and newer"
    if _LEAKING[0] <= version < _LEAKING[1]:
        return f"Python {told} leaks memory with every run: take 3.12, or 3.13.3 and newer"
    return None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run until SIGTERM. Nothing heavy is imported before the Python is known to fit.

    What is imported stays, so nothing of it is worth a look of the garbage collector.
    """
    reason = refusal(sys.version_info[:3])
    if reason:
        sys.exit(f"belay-runner: {reason}")
    gc.disable()
    from belay_runner import process, settings

    gc.freeze()
    gc.enable()
    process.run(settings.read(arguments))


if __name__ == "__main__":
    main()
