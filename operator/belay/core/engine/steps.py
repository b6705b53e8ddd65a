"""The engine's part of Pausing and Resuming: what to ask of it next."""

from dataclasses import dataclass
from typing import Final

from belay.api.instances import AfterRevert, RunsAfterwards
from belay.api.status import Rollout
from belay.api.words import Outcome
from belay.core.engine import plan
from belay.core.engine.actions import EngineAction, NoteRuns, PauseEngine, ReleaseEngine, SettleRuns
from belay.core.engine.marks import Mark, read_mark
from belay.core.engine.names import rollout_of
from belay.core.engine.plan import GO_ON, Then
from belay.core.engine.view import EngineView, Fate
from belay.core.keys import Key
from belay.core.observed import Observed
from belay.core.workloads import WorkloadView

_AFTERWARDS: Final = {
    RunsAfterwards.RESUME: Fate.RESUMED,
    RunsAfterwards.RESTART: Fate.RESTARTED,
    RunsAfterwards.CANCEL: Fate.CANCELLED,
}
_AFTER_REVERT: Final = {
    AfterRevert.RESTART: Fate.RESTARTED,
    AfterRevert.CANCEL: Fate.CANCELLED,
    AfterRevert.PIN: Fate.RESUMED,
}
_WENT_BACK: Final = (Outcome.REVERTED, Outcome.FAILED, Outcome.ABORTED, Outcome.SUPERSEDED)


def waits(engine: EngineView | None) -> bool:
    """Whether runs move that should not, new ones can begin, or it cannot be told."""
    if engine is None or (engine.pins and engine.record is not None):
        return False
    return not (engine.stands and plan.is_noted(engine))


def pausing(seen: Observed, rollout: Rollout) -> tuple[EngineAction, ...]:
    """What brings the engine nearer to standing still; empty where it has only to be waited for.

    The record comes with the first contact: a pod may end before its runs stand still. It is
    extended where runs had begun until all pods were closed to new ones.
    """
    engine = seen.engine
    if engine is None or engine.problem or engine.foreign:
        return ()
    marks = ((w, _mark(seen, rollout, w)) for w in _targets(seen, engine))
    unmarked = tuple((w, mark) for w, mark in marks if not _is_marked(engine, w, mark))
    asked: list[EngineAction] = []
    if (unmarked or engine.to_ask) and not engine.pins:
        asked.append(PauseEngine(engine, unmarked, seen.key))
    if _to_note(engine):
        asked.append(noting(seen, rollout, engine))
    return tuple(asked)


def noting(seen: Observed, rollout: Rollout, engine: EngineView) -> NoteRuns:
    """Write down which runs there are, and forget what was kept of rollouts long ago."""
    needed = frozenset({rollout.id, *(h.id for h in seen.status.history), *_inherits(seen)})
    return NoteRuns(engine, _name(rollout), plan.noted(engine), needed, seen.key)


def _to_note(engine: EngineView) -> bool:
    """Seldom: what came to its end before it stood still is taken out once, with all others."""
    if engine.record is None:
        return not engine.unheard or (bool(engine.heard) and not engine.pins)
    if engine.stands:
        return not plan.is_noted(engine)
    closed = not (engine.to_ask or engine.unheard)
    return closed and bool(plan.noted(engine).keys() - engine.record.keys())


def resuming(seen: Observed, rollout: Rollout) -> EngineAction | None:
    """What brings runs nearer to going on; None where nothing is left to do, or all must wait."""
    if seen.engine is None:
        return None
    labelled = tuple(w for w in seen.workloads if w.uid in seen.engine.labelled)
    runs = Runs(seen.key, _name(rollout), _then(seen, rollout))
    return letting_go(seen.engine, runs, labelled)


@dataclass(frozen=True, slots=True)
class Runs:
    """Runs of one pause: whose they are, the name of their record, and what becomes of them."""

    key: Key
    name: str
    then: Then = GO_ON


def letting_go(
    engine: EngineView, runs: Runs, labelled: tuple[WorkloadView, ...]
) -> EngineAction | None:
    """The next step on the way out of a pause; None where it is over, or all must wait."""
    if engine.problem:
        return None
    todo = plan.settle(engine, runs.then)
    if todo.here or todo.moved or todo.record != (engine.record or {}):
        return SettleRuns(engine, runs.name, todo, runs.then, runs.key)
    closed = tuple(p for p in engine.heard if engine.owner in p.holders)
    done = () if engine.unheard or todo.open else labelled
    if closed or done:
        return ReleaseEngine(engine, closed, done, runs.key)
    return None


def is_released(seen: Observed) -> bool:
    """Nothing of the engine is held any more."""
    engine = seen.engine
    if engine is None:
        return True
    entries = plan.recorded(engine).values()
    still = engine.problem or engine.unheard or engine.labelled or engine.held
    open_ = plan.unsettled(engine) or any(e.fate.is_open for e in entries)
    return not (still or open_)


def objection(seen: Observed) -> str | None:
    """Why an engine cannot do with its runs what the Workflow says."""
    spec, engine = seen.spec.instances, seen.engine
    if spec is None or spec.engine is None or engine is None:
        return None
    unable = [pod.name for pod in engine.heard if not pod.restarts]
    if spec.engine.afterwards is not RunsAfterwards.RESTART or not unable:
        return None
    return (
        f"spec.instances.engine.afterwards: Restart: the engine of pod {unable[0]} cannot begin a "
        "run anew (capabilities.restart of the engine contract): write afterwards: Resume, or run "
        "an engine that can"
    )


def _then(seen: Observed, rollout: Rollout) -> Then:
    """Through the gate, `afterwards` counts; after a way back `afterRevert`; else runs go on."""
    spec = seen.spec.instances
    if spec is None or spec.engine is None or rollout.suspended_at is not None:
        return GO_ON
    if rollout.ending is None:
        through = rollout.activated_at is not None
        return Then(_AFTERWARDS[spec.engine.afterwards]) if through else GO_ON
    if rollout.delivered and rollout.ending in _WENT_BACK:
        return Then(_AFTER_REVERT[spec.after_revert], rollout.to.content_digest)
    return GO_ON


def _inherits(seen: Observed) -> list[str]:
    """The rollout whose backup was taken over, be it in the history or not."""
    rollout = seen.status.rollout
    former = rollout.backup if rollout is not None else None
    found = rollout_of(seen.key.name, former) if former is not None else None
    return [found] if found is not None else []


def _targets(seen: Observed, engine: EngineView) -> list[WorkloadView]:
    wanted = engine.how.workload
    return [w for w in seen.workloads if w.found and wanted in (None, w.name)]


def _mark(seen: Observed, rollout: Rollout, workload: WorkloadView) -> Mark:
    former = rollout.backup if rollout.backup != rollout.runs else None
    return Mark(seen.key.name, _name(rollout), former, workload.container)


def _is_marked(engine: EngineView, workload: WorkloadView, mark: Mark) -> bool:
    annotations = workload.raw["metadata"].get("annotations") or {} if workload.raw else {}
    told = read_mark(annotations)
    return workload.uid in engine.labelled and told is not None and told[0] == mark


def _name(rollout: Rollout) -> str:
    return rollout.runs or ""
