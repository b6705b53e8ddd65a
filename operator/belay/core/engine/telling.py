"""Runs in words, for conditions and events."""

from collections.abc import Sequence

from belay.core.engine.view import EngineView

_SHOWN = 3


def named(some: Sequence[str]) -> str:
    """The first few: `a, b and 7 more`."""
    shown = ", ".join(some[:_SHOWN])
    return shown + (f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else "")


def unpaused(engine: EngineView | None) -> list[str]:
    """Whom the pause of an engine waits for."""
    if engine is None:
        return []
    if engine.problem:
        return [engine.problem]
    if engine.foreign:
        whose = f"{named(engine.foreign)} is still paused for a Workflow that is gone"
        return [f"{whose}; Belay lets its runs go on first, or tells in its log what keeps it"]
    told = []
    if engine.moving and not engine.pins:
        told.append(f"{len(engine.moving)} runs are not at a safe point ({named(engine.moving)})")
    told += [f"pod {p.name}: {p.problem}" for p in engine.unheard[:_SHOWN]]
    return told
