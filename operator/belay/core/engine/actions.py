"""What is asked of an engine, or kept of its runs: each is idempotent."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from belay.api.status import RevisionRef
from belay.core.engine.marks import Mark
from belay.core.engine.plan import Settlement, Then
from belay.core.engine.view import EnginePod, EngineView, Entry, Fate
from belay.core.keys import Key
from belay.core.workloads import WorkloadView

_VERBS: Final = {
    Fate.RESUMED: "resuming",
    Fate.RESTARTED: "restarting",
    Fate.CANCELLED: "ending",
}


@dataclass(frozen=True, slots=True)
class PauseEngine:
    """Mark the targets, then ask all pods to close intake and to pause their runs."""

    engine: EngineView
    unmarked: tuple[tuple[WorkloadView, Mark], ...]
    key: Key

    @property
    def told(self) -> str:
        return f"pausing the runs of {len(self.engine.to_ask)} pods"


@dataclass(frozen=True, slots=True)
class NoteRuns:
    """Write down which runs there are."""

    engine: EngineView
    name: str
    record: Mapping[str, Entry]
    needed: frozenset[str]
    """Ids of the rollouts that are remembered: what is kept of others goes."""
    key: Key

    @property
    def told(self) -> str:
        return f"noting {len(self.record)} runs in ConfigMap {self.name}"


@dataclass(frozen=True, slots=True)
class BackUp:
    """Fetch all envelopes and store them; the index comes last."""

    engine: EngineView
    name: str
    contents: tuple[str, ...]
    """contentDigests whose definitions are kept, too."""
    target: RevisionRef | None
    """What the target runs."""
    key: Key

    @property
    def told(self) -> str:
        return f"storing {len(self.engine.held)} runs in backup {self.name}"


@dataclass(frozen=True, slots=True)
class SettleRuns:
    """Let runs go on, or end: the record first, then the pods, then the record again."""

    engine: EngineView
    name: str
    todo: Settlement
    then: Then
    key: Key

    @property
    def told(self) -> str:
        verb = _VERBS[self.then.fate]
        return f"{verb} {len(self.todo.here)} runs in place, moving {len(self.todo.moved)}"


@dataclass(frozen=True, slots=True)
class ReleaseEngine:
    """Open intake, and give up the label of targets."""

    engine: EngineView
    closed: tuple[EnginePod, ...]
    labelled: tuple[WorkloadView, ...]
    key: Key

    @property
    def told(self) -> str:
        return f"opening the intake of {len(self.closed)} pods"


@dataclass(frozen=True, slots=True)
class PushContent:
    """Have pods validate a content, or let new runs use it where they have."""

    engine: EngineView
    ref: RevisionRef
    content: str
    validated: tuple[EnginePod, ...] = ()
    activated: tuple[EnginePod, ...] = ()

    @property
    def told(self) -> str:
        if self.validated:
            return f"having {len(self.validated)} pods validate {self.ref.revision}"
        return f"activating {self.ref.revision} in {len(self.activated)} pods"


EngineAction = PauseEngine | NoteRuns | BackUp | SettleRuns | ReleaseEngine | PushContent
