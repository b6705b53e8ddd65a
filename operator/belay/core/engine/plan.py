"""Which runs go on where: in their pod while it lives, else in one that is given them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from belay.core.engine.view import EnginePod, EngineView, Entry, Fate, Kept, Run, RunState


@dataclass(frozen=True, slots=True)
class Then:
    """What becomes of runs that are paused."""

    fate: Fate = Fate.RESUMED
    """Resumed, Restarted or Cancelled."""
    of: str | None = None
    """contentDigest of the runs that it is for; others go on. None for all."""

    def at(self, pod: EnginePod, content_digest: str) -> Fate:
        """What is to become of a run in this pod. On what is active there it has begun already."""
        fate = self._for(content_digest)
        if fate is Fate.RESTARTED:
            fresh = pod.active not in (None, content_digest)
            return fate if fresh and pod.restarts else Fate.RESUMED
        return fate

    def became(self, entry: Entry, found: Run) -> Fate:
        """What has become of a run that is not paused any more."""
        if found.content_digest != entry.content_digest:
            return Fate.RESTARTED
        ended = self.ends(entry.content_digest)
        return Fate.CANCELLED if ended else Fate.RESUMED

    def ends(self, content_digest: str) -> bool:
        """Whether runs of this content are ended."""
        return self._for(content_digest) is Fate.CANCELLED

    def _for(self, content_digest: str) -> Fate:
        return self.fate if self.of in (None, content_digest) else Fate.RESUMED


GO_ON: Final = Then()


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is to be done with runs that are paused; `record` is written before any of it."""

    record: Mapping[str, Entry]
    here: tuple[tuple[EnginePod, str], ...] = ()
    """Runs that go on, or end, in the pod that has them."""
    moved: tuple[tuple[EnginePod, str], ...] = ()
    """Runs that go on in another pod, by their envelope."""
    open: int = 0
    """Runs that nothing can be decided of while a pod does not answer."""

    @property
    def is_over(self) -> bool:
        return not (self.here or self.moved or self.open)


def settle(engine: EngineView, then: Then = GO_ON) -> Settlement:
    """What is to be done now. Where a pod is not heard, runs that it may have wait for it."""
    record = recorded(engine)
    held = {**unsettled(engine), **engine.held}
    for run, pod in held.items():
        record.setdefault(run, Entry(engine.runs[run][1].content_digest, pod=pod.name))
    here = tuple((pod, run) for run, pod in sorted(held.items()))
    away = [run for run, entry in sorted(record.items()) if entry.fate.is_open and run not in held]
    if engine.unheard or engine.problem:
        return Settlement(record, here, open=len(away))
    moved, left = given(engine, record, away, then)
    return Settlement(record, here, moved, left)


def recorded(engine: EngineView) -> dict[str, Entry]:
    """The record of this pause; where none could be written, what the pause before has left."""
    return _carried(engine) if engine.record is None else dict(engine.record)


def unsettled(engine: EngineView) -> dict[str, EnginePod]:
    """Runs that would pause yet, unless they are told to go on."""
    record = engine.record or {}
    return {
        run: pod
        for run, pod in engine.asked.items()
        if run not in record or record[run].fate.is_open
    }


def given(
    engine: EngineView, record: dict[str, Entry], away: list[str], then: Then
) -> tuple[tuple[tuple[EnginePod, str], ...], int]:
    """Runs to be moved; those of whom nothing is left are marked in the record."""
    moved: list[tuple[EnginePod, str]] = []
    load = {p.at: len(p.runs) for p in engine.heard if p.ready}
    pods = {p.at: p for p in engine.heard if p.ready}
    left, kept = 0, kept_runs(engine)
    for run in away:
        entry, found = record[run], engine.runs.get(run)
        if found is not None and found[1].state is not RunState.LOST:
            record[run] = replace(entry, fate=then.became(entry, found[1]))
        elif entry.fate is Fate.CLAIMED and entry.at not in {p.at for p in engine.heard}:
            record[run] = _lost(entry, f"pod {entry.pod}, which had taken it, is gone")
        elif entry.fate is Fate.CLAIMED:
            moved.append((next(p for p in engine.heard if p.at == entry.at), run))
        elif run not in kept:
            record[run] = _lost(entry, f"pod {entry.pod} ended before it was kept")
        elif then.ends(entry.content_digest):
            record[run] = replace(entry, fate=Fate.CANCELLED)
        elif not pods:
            left += 1
        else:
            at = min(load, key=lambda one: (load[one], one))
            load[at] += 1
            record[run] = replace(entry, fate=Fate.CLAIMED, at=at, pod=pods[at].name)
            moved.append((pods[at], run))
    return tuple(moved), left


def kept_runs(engine: EngineView) -> Mapping[str, Kept]:
    """All runs that a backup has."""
    return {**engine.carried, **(engine.backup.runs if engine.backup is not None else {})}


def _lost(entry: Entry, why: str) -> Entry:
    return replace(entry, fate=Fate.LOST, why=why)


def is_noted(engine: EngineView) -> bool:
    """Whether the record tells of all runs that are there, and of those that are gone since."""
    return engine.record is not None and engine.record == noted(engine)


def noted(engine: EngineView) -> dict[str, Entry]:
    """The record of a pause that begins: all runs that are not over, wherever they are.

    One that was there before, and is in no pod now, stays in it: its pod is gone.
    """
    moving = Fate.PINNED if engine.pins else Fate.FOUND
    before = engine.record or {}
    gone = {run: entry for run, entry in before.items() if run not in engine.runs}
    found = {
        run: before.get(run)
        or Entry(one.content_digest, moving if one.state.moves else Fate.FOUND, pod=pod.name)
        for run, (pod, one) in engine.runs.items()
        if not one.state.is_over
    }
    return dict(sorted({**_carried(engine), **gone, **found}.items()))


def _carried(engine: EngineView) -> dict[str, Entry]:
    """Runs that only the backup of the pause before has, as that pause has left them."""
    return {
        run: engine.former_record.get(run, Entry(kept.content_digest))
        for run, kept in engine.carried.items()
    }
