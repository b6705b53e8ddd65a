"""Letting go of an engine that no rollout holds any more, such as that of a deleted Workflow."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from belay.api.names import LABEL_PAUSED_BY
from belay.api.workflow import Workload
from belay.core.engine.marks import Mark, read_mark
from belay.core.engine.steps import Runs, letting_go
from belay.core.engine.telling import named, unpaused
from belay.core.engine.view import Ask, EngineView, Fate
from belay.core.keys import Key
from belay.core.workloads import WorkloadView
from belay.shell.cluster import Cluster
from belay.shell.engine.act import act
from belay.shell.engine.engines import Engines
from belay.shell.engine.observe import heard, kept
from belay.shell.errors import Conflict
from belay.shell.observe import target
from belay.shell.resources import Object
from belay.shell.turn import Turn

_ROUNDS = 12
"""Steps that it may take: a few, and one more for each that was refused halfway."""
_DAMAGED = (
    "its annotations do not tell how to speak with its engine: once its runs go on, take the "
    f"label {LABEL_PAUSED_BY} away by hand"
)


@dataclass(frozen=True, slots=True)
class LetGo:
    """How it went."""

    told: str = ""
    """What became of runs, for people."""
    problem: str = ""
    """Why it is not done; empty where it is."""


async def let_go(
    cluster: Cluster, engines: Engines, namespace: str, targets: Sequence[Object]
) -> LetGo:
    """Bring back its runs, be it from the backup, open its intake and give up its marks.

    By the steps of Resuming: so it may be done again, and beside one that does the same. `targets`
    are all that have the engine of one Workflow, as they were listed.
    """
    told, problem = "", ""
    for _ in range(_ROUNDS):
        turn = Turn(cluster, Key(namespace, ""))
        views = [await target(turn, _workload(raw)) for raw in targets]
        marked = [(view, mark) for view in views if (mark := _mark(view.raw)) is not None]
        if not marked:
            still = any(_owner(view.raw) for view in views)
            return LetGo(told, _DAMAGED if still else "")
        seen, runs = await _seen(turn, marked, engines)
        told = _told(seen) or told
        step = letting_go(seen, runs, tuple(view for view, _ in marked))
        if step is None:
            return LetGo(told, "; ".join(unpaused(seen)) or problem or "no pod takes its runs")
        try:
            refusal = await act(Turn(cluster, runs.key), step, engines)
        except Conflict as error:
            problem = error.message
        else:
            problem = refusal.message if refusal is not None else ""
    return LetGo(told, problem or "it takes longer than expected")


async def _seen(
    turn: Turn, marked: Sequence[tuple[WorkloadView, Mark]], engines: Engines
) -> tuple[EngineView, Runs]:
    view, mark = marked[0]
    told = read_mark(view.raw["metadata"]["annotations"]) if view.raw else None
    assert told is not None  # noqa: S101
    turn = Turn(turn.cluster, Key(turn.key.namespace, mark.workflow))
    seen = EngineView(_owner(view.raw), told[1], labelled=frozenset(v.uid for v, _ in marked))
    seen = await kept(turn, seen, mark, engines)
    seen = await heard(turn, seen, Ask.RUNS, [v for v, _ in marked], engines)
    return seen, Runs(turn.key, mark.runs)


def _workload(raw: Object) -> Workload:
    mark = _mark(raw)
    return Workload.model_validate(
        {
            "apiVersion": raw["apiVersion"],
            "kind": raw["kind"],
            "name": raw["metadata"]["name"],
            "container": mark.container if mark is not None else None,
        }
    )


def _owner(raw: Mapping[str, Any] | None) -> str:
    return str(((raw or {}).get("metadata") or {}).get("labels", {}).get(LABEL_PAUSED_BY, ""))


def _mark(raw: Mapping[str, Any] | None) -> Mark | None:
    found = read_mark((raw or {"metadata": {}})["metadata"].get("annotations") or {})
    return found[0] if found is not None and _owner(raw) else None


def _told(engine: EngineView) -> str:
    entries = engine.record or {}
    fates = Counter(entry.fate for entry in entries.values())
    lost = sorted(run for run, entry in entries.items() if entry.fate is Fate.LOST)
    told = [f"{fates[Fate.RESUMED]} runs go on"] if fates[Fate.RESUMED] else []
    told += [f"{len(lost)} are lost ({named(lost)})"] if lost else []
    return ", ".join(told)
