"""Restoring: runs of a backup that are in no pod go on once more, because somebody asked for it.

By the same claims as in Resuming. A newer wish, and a rollout of whatever origin, goes first.
"""

from datetime import datetime, timedelta
from typing import Final

from belay.api.duration import delta
from belay.api.status import Restore
from belay.api.words import Reason
from belay.core import milestones
from belay.core.decision import Decision
from belay.core.engine import restore as runs
from belay.core.engine.actions import SettleRuns
from belay.core.engine.names import rollout_of
from belay.core.engine.plan import GO_ON
from belay.core.engine.restore import Standing, Wish
from belay.core.engine.telling import named
from belay.core.engine.view import EngineView
from belay.core.observed import Observed

_SOON: Final = timedelta(seconds=0.5)


def is_due(seen: Observed) -> bool:
    """Whether a restore is wished for or goes on; asked only where no rollout is under way."""
    status = seen.status
    if status.observed_generation != seen.generation or seen.spec.suspend:
        return False
    if seen.retry not in (None, status.last_handled_retry):
        return False
    return _is_wished(seen) or goes_on(seen) is not None


def goes_on(seen: Observed) -> Restore | None:
    """The restore that was begun, unless another one is wished for meanwhile."""
    begun = seen.status.restore
    if begun is None or begun.ended_at is not None or _is_wished(seen):
        return None
    return begun


def _is_wished(seen: Observed) -> bool:
    return seen.restore not in (None, seen.status.last_handled_restore)


def restoring(seen: Observed, now: datetime) -> Decision:
    """One step: the intent is written before any run is claimed."""
    begun = goes_on(seen)
    if begun is None:
        return _begin(seen, now)
    impossible = _impossible(seen, begun)
    if impossible:
        return _end(seen, now, begun, impossible)
    engine = seen.engine
    assert engine is not None  # noqa: S101
    why = _waits_for(seen, engine)
    if why and now >= begun.began_at + delta(seen.spec.deadlines.resume):
        why = f"it was not done within {seen.spec.deadlines.resume}: {why}"
        return _end(seen, now, begun, f"{why}. Mend that, then ask again by another token")
    if why:
        waiting = begun.model_copy(update={"message": f"waits: {why}"[:2048]})
        status = seen.status.model_copy(update={"restore": waiting})
        return Decision(status=seen.to_write(status), requeue=_SOON, follow=True)
    todo = runs.restoring(engine, _wish(begun))
    if todo.moved or todo.record != (engine.record or {}):
        action = SettleRuns(engine, begun.backup, todo, GO_ON, seen.key)
        return Decision((action,), again=True)
    return _end(seen, now, begun, "")


def _begin(seen: Observed, now: datetime) -> Decision:
    assert seen.restore is not None  # noqa: S101
    backup, _, rest = seen.restore.partition("/")
    everything = rest == "all" or rest.startswith("all/")
    begun = Restore(backup=backup, resumed_too=everything, began_at=now)
    update = {"last_handled_restore": seen.restore, "restore": begun}
    return Decision(status=seen.status.model_copy(update=update), again=True)


def _wish(begun: Restore) -> Wish:
    return Wish(f"{begun.began_at:%Y-%m-%dT%H:%M:%S.%fZ}", begun.resumed_too)


def _impossible(seen: Observed, begun: Restore) -> str:
    """What no waiting can mend."""
    engine, last = seen.engine, seen.status.rollout
    if engine is None:
        return "spec.instances.engine is not set: there is no engine to give runs to"
    if rollout_of(seen.key.name, begun.backup) is None:
        return f"{begun.backup} is no name of a backup of this Workflow. {_known(seen)}"
    if last is not None and last.started_at > begun.began_at:
        return f"rollout {last.id} began meanwhile: ask again by another token"
    if seen.failure is not None and seen.failure.reason is Reason.BACKUP_FAILED:
        return seen.failure.message
    if engine.backup is None and not engine.problem:
        return f"there is no backup {begun.backup}, or it was never finished. {_known(seen)}"
    return ""


def _known(seen: Observed) -> str:
    """How to find the right name."""
    what = f"get configmaps -l belay.dev/backup-of={seen.key.name}"
    return f"Names of all: kubectl -n {seen.key.namespace} {what}"


def _waits_for(seen: Observed, engine: EngineView) -> str:
    """Why nothing can be given now; empty where it can."""
    if engine.problem:
        return engine.problem
    if engine.labelled or engine.foreign:
        return "the engine is still paused, and what is paused goes on first"
    if engine.unheard:
        one = engine.unheard[0]
        return f"pod {one.name}, which may have runs: {one.problem}"
    if seen.failure is not None:
        return seen.failure.message
    if not any(p.ready for p in engine.heard):
        return "no pod of the engine is ready"
    return ""


def _end(seen: Observed, now: datetime, begun: Restore, problem: str) -> Decision:
    """By what the pods have told in this very pass, and not by what they had accepted."""
    engine = seen.engine
    chosen = runs.chosen_by(_wish(begun), (engine.record if engine is not None else None) or {})
    found = runs.present(engine) if engine is not None else frozenset[str]()
    there = [run for run in chosen if run in found]
    missing = [run for run in chosen if run not in found]
    left, others = _others(seen, engine, begun) if engine is not None and not problem else ([], [])
    told = [problem] if problem else []
    if there:
        told.append(f"{len(there)} runs of {begun.backup} are in pods again ({named(there)})")
    if missing:
        why = chosen[missing[0]].why or "it was given to a pod, and no pod has it"
        told.append(f"{len(missing)} are not ({named(missing)}): {why}")
    told += others
    bad = bool(problem or missing or (left and not there))
    ended = begun.model_copy(
        update={
            "ended_at": now,
            "restored": len(there),
            "failed": len(missing),
            "reason": Reason.RESTORE_FAILED if bad else Reason.RESTORED,
            "message": ("; ".join(told) or f"{begun.backup} has no run that is missing")[:2048],
        }
    )
    status = seen.status.model_copy(update={"restore": ended})
    return Decision(status=status, milestones=milestones.restored(ended), again=True)


def _others(seen: Observed, engine: EngineView, begun: Restore) -> tuple[list[str], list[str]]:
    """Runs that somebody may want yet, and what there is to say of all that were not chosen."""
    how = runs.standings(engine, _wish(begun))
    chosen = runs.chosen_by(_wish(begun), engine.record or {})
    left = [run for run, one in how.items() if one is Standing.RESUMED]
    there = [run for run, one in how.items() if one is Standing.THERE and run not in chosen]
    told = []
    if left:
        again = (
            f"kubectl -n {seen.key.namespace} annotate workflows.belay.dev {seen.key.name} "
            f'belay.dev/restore="{begun.backup}/all/$(date +%s)" --overwrite'
        )
        told.append(
            f"{len(left)} had gone on before and are in no pod ({named(left)}): they may have come "
            f"to their end, so they are left alone. To begin them again all the same: {again}"
        )
    if there:
        told.append(f"{len(there)} were in pods already")
    return left, told
