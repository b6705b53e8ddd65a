"""Events: the milestones of a rollout, told from its record alone.

The same record gives the same events with the same names, so that telling them again is harmless.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import assert_never

from belay.api.duration import spoken
from belay.api.status import HistoryEntry, Restore, RevisionRef, Rollout, WorkflowStatus
from belay.api.words import Outcome, Reason, Trigger
from belay.core.instances import telling


@dataclass(frozen=True, slots=True)
class Milestone:
    """One event. `occasion` and `reason` make its name unique."""

    occasion: str
    """Rollout id, or `g<generation>` where there is no rollout."""
    reason: str
    note: str
    at: datetime
    """When it happened."""
    warning: bool = False
    action: str = "Rollout"


def short(ref: RevisionRef) -> str:
    """For people: `v3 (sha256:77b01d5e)`."""
    return f"{ref.revision} ({ref.digest[:15]})"


def of(rollout: Rollout, stable: RevisionRef | None) -> tuple[Milestone, ...]:
    """All milestones that this rollout has passed; `stable` is where a revert goes to."""
    told = [_started(rollout)]
    if rollout.activated_at is not None:
        took = spoken(rollout.activated_at - rollout.started_at)
        note = f"{short(rollout.to)} is delivered and through the gate after {took}"
        told.append(Milestone(_occasion(rollout), Reason.ACTIVATED, note, rollout.activated_at))
    unproven = rollout.ending not in (None, Outcome.PROMOTED) or rollout.outcome not in (
        None,
        Outcome.PROMOTED,
        Outcome.SUPERSEDED,
        Outcome.ABORTED,
    )
    if unproven and rollout.reason is not None and rollout.message:
        note = f"{rollout.to.revision}: {rollout.message}"
        if rollout.reason not in (Reason.ABORTED, Reason.SUPERSEDED):
            at = rollout.ended_at or rollout.phase_started_at
            told.append(Milestone(_occasion(rollout), rollout.reason, note, at, warning=True))
    if rollout.outcome is not None:
        told.append(_ended(rollout, rollout.outcome, stable))
    return tuple(told)


def known(status: WorkflowStatus, since: datetime) -> tuple[Milestone, ...]:
    """All that the status itself knows of and that is not older than `since`.

    A process that died before it told is made good by the next one.
    """
    told = [m for e in status.history if e.ended_at >= since for m in _remembered(e)]
    if status.restore is not None:
        told += [m for m in restored(status.restore) if m.at >= since]
    rollout = status.rollout
    if rollout is not None and (rollout.ended_at is None or rollout.ended_at >= since):
        told += of(rollout, status.stable)
    return tuple(told)


def _remembered(entry: HistoryEntry) -> tuple[Milestone, ...]:
    """Of what left no record behind: a rollout that gave way, and a name that was adopted."""
    if entry.outcome is Outcome.SUPERSEDED:
        note = _gave_way(entry.revision, entry.ended_at - entry.started_at)
        occasion = _occasion(entry)
        return (Milestone(occasion, Outcome.SUPERSEDED, note, entry.ended_at),)
    if entry.reason is Reason.SAME_CONTENT:
        note = f"{entry.revision} has the content of what ran already: nothing was touched"
        return (adopted(int(entry.id.partition("-")[0]), note, entry.ended_at),)
    return ()


def _gave_way(revision: str, took: timedelta) -> str:
    return f"{revision} gave way to a newer wish after {spoken(took)}"


def refused(generation: int, reason: Reason, message: str, at: datetime) -> Milestone:
    return Milestone(f"g{generation}", reason, message, at, warning=True, action="Gate")


def adopted(generation: int, message: str, at: datetime) -> Milestone:
    return Milestone(f"g{generation}", Reason.SAME_CONTENT, message, at, action="Adopt")


def restored(restore: Restore) -> tuple[Milestone, ...]:
    """What came of a restore, once it is over."""
    if restore.ended_at is None or restore.reason is None:
        return ()
    occasion = f"r{restore.began_at:%Y%m%d%H%M%S%f}"
    bad = restore.reason is not Reason.RESTORED
    told = (occasion, restore.reason, restore.message, restore.ended_at)
    return (Milestone(*told, warning=bad, action="Restore"),)


def _occasion(rollout: Rollout | HistoryEntry) -> str:
    """The id; after a loss of the status its number begins anew, and events may be left of it."""
    if rollout.trigger is Trigger.ADOPTION:
        return f"{rollout.id}-{rollout.started_at:%Y%m%d%H%M%S}"
    return rollout.id


def _started(rollout: Rollout) -> Milestone:
    if rollout.trigger is Trigger.DRIFT:
        note = f"{short(rollout.to)} is put back: {rollout.message}"
        return Milestone(
            _occasion(rollout), Reason.DRIFTED, note, rollout.started_at, True, "Drift"
        )
    if rollout.trigger is Trigger.ADOPTION:
        note = f"{short(rollout.to)} was found running: it is proven where it runs"
        return Milestone(_occasion(rollout), Reason.ROLLOUT_STARTED, note, rollout.started_at)
    origin = rollout.from_ or "nothing"
    aside = "tried aside first" if rollout.previewed else "delivered without a preview"
    note = f"{origin} -> {short(rollout.to)}: {aside}{telling.running(rollout.instances)}"
    return Milestone(_occasion(rollout), Reason.ROLLOUT_STARTED, note, rollout.started_at)


def _ended(rollout: Rollout, outcome: Outcome, stable: RevisionRef | None) -> Milestone:
    at = rollout.ended_at or rollout.phase_started_at
    took = spoken(at - rollout.started_at)
    new = rollout.to.revision
    back = short(stable) if stable else "the workload's own template"
    match outcome:
        case Outcome.PROMOTED:
            note = f"{short(rollout.to)} is proven after {took}"
        case Outcome.ABORTED if rollout.inherited:
            note = f"{new} aborted after {took}, and left as it is"
        case Outcome.REVERTED | Outcome.ABORTED if not rollout.delivered:
            note = f"{new} not activated after {took}; {back} untouched"
        case Outcome.REVERTED | Outcome.ABORTED:
            note = f"{new} taken back after {took}; {back} runs"
        case Outcome.HELD:
            runs = f"{new} runs" if rollout.live else f"{new} is not live"
            note = f"{new} not proven after {took} and left as it is; {runs}"
        case Outcome.FAILED:
            note = f"{new} not proven after {took}, and there is no proven revision to go back to"
        case Outcome.SUPERSEDED:
            note = _gave_way(new, at - rollout.started_at)
        case Outcome.REVERT_FAILED:
            note = f"{new} failed, and so did the way back; nothing more is tried"
        case Outcome.REFUSED:
            note = f"{new} was refused"
        case _:
            assert_never(outcome)
    fate = telling.became(rollout.instances)
    note += f"; {fate}" if fate else ""
    good = outcome in (Outcome.PROMOTED, Outcome.SUPERSEDED)
    return Milestone(_occasion(rollout), outcome, note, at, warning=not good)
