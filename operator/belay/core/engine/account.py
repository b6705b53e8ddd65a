"""What became of runs: counts for the status, added to those of other instances."""

from collections import Counter

from belay.api.instances import InstanceCounts
from belay.core.engine.view import EngineView, Fate

_NAMED = 16


def paused(engine: EngineView | None, counts: InstanceCounts) -> InstanceCounts:
    """At the end of Pausing."""
    if engine is None:
        return counts
    moving = len(engine.moving)
    still = len(engine.held) + len(engine.carried)
    update = {
        "found": counts.found + moving + still,
        "paused": counts.paused + still,
        "pinned": counts.pinned + (moving if engine.pins else 0),
        "not_paused": counts.not_paused + (0 if engine.pins else moving),
    }
    return counts.model_copy(update=update)


def settled(engine: EngineView | None, counts: InstanceCounts | None) -> InstanceCounts | None:
    """At the end of Resuming."""
    if engine is None or engine.record is None:
        return counts
    counts = counts or InstanceCounts()
    fates = Counter(entry.fate for entry in engine.record.values())
    lost = sorted(run for run, entry in engine.record.items() if entry.fate is Fate.LOST)
    update = {
        "resumed": counts.resumed + fates[Fate.RESUMED],
        "restarted": counts.restarted + fates[Fate.RESTARTED],
        "cancelled": counts.cancelled + fates[Fate.CANCELLED],
        "lost": counts.lost + len(lost),
        "lost_runs": [*counts.lost_runs, *lost][:_NAMED],
        "not_resumed": counts.not_resumed + fates[Fate.FOUND] + fates[Fate.CLAIMED],
    }
    return counts.model_copy(update=update)
