"""Runs of a backup that somebody wants back: which are given to pods once more."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from belay.core.engine import plan
from belay.core.engine.plan import Settlement
from belay.core.engine.view import EngineView, Entry, Fate, Kept, RunState


@dataclass(frozen=True, slots=True)
class Wish:
    """What is wanted back."""

    at: str
    """When it was asked for: an entry that carries it was chosen by this wish, and no run is
    chosen twice by one.
    """
    resumed_too: bool = False
    """Also runs that had been resumed before."""


class Standing(Enum):
    """How a run of a backup stands, before anybody is told of it."""

    THERE = auto()
    """A pod of the engine has it."""
    CHOSEN = auto()
    """It is given to a pod by this wish already."""
    WANTED = auto()
    """It is to be given to a pod."""
    RESUMED = auto()
    """It had gone on in a pod that is gone, or nothing tells: it may have come to its end there."""
    OVER = auto()
    """It was ended or left alone by policy, or its pod lives and has forgotten it."""


def standings(engine: EngineView, wish: Wish) -> dict[str, Standing]:
    """Of all runs of the backup; all pods have to be heard."""
    if engine.backup is None:
        return {}
    living = {p.at for p in engine.heard}
    record, there = engine.record or {}, present(engine)
    return {
        run: Standing.THERE if run in there else _standing(record.get(run), living, wish)
        for run in sorted(engine.backup.runs)
    }


def present(engine: EngineView) -> frozenset[str]:
    """Runs that a pod has; one that it tells as lost is in none."""
    found = engine.runs.items()
    return frozenset(run for run, (_, one) in found if one.state is not RunState.LOST)


def _standing(entry: Entry | None, living: set[str], wish: Wish) -> Standing:
    if entry is None:
        return Standing.WANTED if wish.resumed_too else Standing.RESUMED
    if entry.asked == wish.at:
        return Standing.CHOSEN
    match entry.fate:
        case Fate.LOST | Fate.FOUND | Fate.CLAIMED:
            return Standing.WANTED
        case Fate.RESUMED | Fate.RESTARTED if entry.at not in living:
            return Standing.WANTED if wish.resumed_too else Standing.RESUMED
        case _:
            return Standing.OVER


def restoring(engine: EngineView, wish: Wish) -> Settlement:
    """What is to be done now, by the rules of every other settlement.

    Nothing while a pod is not heard, as it may have a run, and while none can take one.
    """
    before = dict(engine.record or {})
    waits = engine.unheard or engine.problem or not any(p.ready for p in engine.heard)
    wanted = [r for r, how in standings(engine, wish).items() if how is Standing.WANTED]
    chosen = chosen_by(wish, before)
    still = [run for run, entry in chosen.items() if entry.fate.is_open]
    if waits:
        return Settlement(before, open=len(wanted) + len(still))
    living = {p.at for p in engine.heard}
    record = before | {r: _chosen(before.get(r), _kept(engine)[r], living, wish) for r in wanted}
    moved, left = plan.given(engine, record, sorted({*wanted, *still}), plan.GO_ON)
    return Settlement(record, (), moved, left)


def chosen_by(wish: Wish, record: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries of runs that this wish has given to pods."""
    return {run: entry for run, entry in sorted(record.items()) if entry.asked == wish.at}


def _chosen(entry: Entry | None, kept: Kept, living: set[str], wish: Wish) -> Entry:
    """Whoever was told of a claim is told again, as long as it lives: it knows what it did."""
    if entry is None:
        return Entry(kept.content_digest, asked=wish.at)
    if entry.fate is Fate.CLAIMED and entry.at in living:
        return replace(entry, asked=wish.at)
    return replace(entry, fate=Fate.FOUND, at="", why="", asked=wish.at)


def _kept(engine: EngineView) -> Mapping[str, Kept]:
    return engine.backup.runs if engine.backup is not None else {}
