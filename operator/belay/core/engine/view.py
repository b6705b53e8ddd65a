"""What one pass knows of an engine: its pods, their runs, and what is kept of them outside."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from belay.api.instances import Engine, Policy

OF_THE_ENGINE: Final = "engine"
"""Holder of runs that the engine paused by itself, because it was told to end."""


class RunState(StrEnum):
    """Where a run is, in the words of the engine contract."""

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL_SUCCEEDED = "partial-succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def moves(self) -> bool:
        return self in (RunState.RUNNING, RunState.PAUSING)

    @property
    def is_over(self) -> bool:
        return not self.moves and self is not RunState.PAUSED


@dataclass(frozen=True, slots=True)
class Run:
    """One run, as the pod that has it tells."""

    id: str
    content_digest: str
    state: RunState
    holder: str | None = None
    """Who paused it, or asked it to pause."""


@dataclass(frozen=True, slots=True)
class EnginePod:
    """One pod that is an engine."""

    name: str
    uid: str
    address: str
    hosts: tuple[str, ...]
    host_network: bool
    port: int | None
    """None where the container does not declare it."""
    ready: bool = True
    problem: str = ""
    """Why it could not be asked; all below says nothing then."""
    instance: str = ""
    """Its process; another one after each start."""
    restarts: bool = False
    """It can begin a paused run anew."""
    active: str | None = None
    """contentDigest that new runs begin with."""
    loaded: frozenset[str] = frozenset()
    """contentDigests that it can run."""
    holders: frozenset[str] = frozenset()
    """Who closes its intake."""
    runs: tuple[Run, ...] = ()

    @property
    def at(self) -> str:
        """What a claim names: this process in this pod."""
        return f"{self.uid}/{self.instance}"


class Fate(StrEnum):
    """What became of a run, by the record."""

    FOUND = "Found"
    """It was there when the rollout paused."""
    CLAIMED = "Claimed"
    """It is given to a pod; written before that pod is told."""
    RESUMED = "Resumed"
    RESTARTED = "Restarted"
    """It began anew, on what was active then."""
    CANCELLED = "Cancelled"
    PINNED = "Pinned"
    """It was left running, by policy."""
    LOST = "Lost"
    """Its pod ended before it was kept, or after it was given to it; or none can take it."""

    @property
    def is_open(self) -> bool:
        return self in (Fate.FOUND, Fate.CLAIMED)


@dataclass(frozen=True, slots=True)
class Entry:
    """One run in the record of a rollout."""

    content_digest: str
    fate: Fate = Fate.FOUND
    at: str = ""
    """Process that it was given to, or where it went on."""
    pod: str = ""
    """Name of that pod, or of the one where it was found."""
    why: str = ""
    asked: str = ""
    """When somebody asked for it to be restored from its backup, if anybody did."""


Record = Mapping[str, Entry]
"""By run."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One run in a backup."""

    content_digest: str
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupView:
    """The index of a backup; it is there only when all of the backup is."""

    name: str
    runs: Mapping[str, Kept]


class Ask(Enum):
    """What a pass asks of an engine."""

    NOTHING = auto()
    CONTENTS = auto()
    """What each pod runs and can run."""
    RUNS = auto()
    """Runs, too, with what is kept of them outside."""


@dataclass(frozen=True, slots=True)
class EngineView:
    """The engine of one Workflow."""

    owner: str
    """UID of the Workflow: the holder of what is paused."""
    how: Engine
    pods: tuple[EnginePod, ...] = ()
    labelled: frozenset[str] = frozenset()
    """UIDs of workloads that carry the label that their engine is paused."""
    foreign: tuple[str, ...] = ()
    """Workloads whose engine is still paused for another Workflow, such as one that was deleted
    and made anew. Its mark is all that leads to its runs, so they go on before others pause.
    """
    record: Record | None = None
    """What is known of each run in this pause; None where nothing was written yet."""
    record_at: Mapping[str, str] = field(default_factory=dict)
    """Its uid and resourceVersion, as it was read; empty where there is none."""
    backup: BackupView | None = None
    """That of this pause; None until it is whole."""
    former: BackupView | None = None
    """That of the pause before, whose runs were not all let go."""
    former_record: Record = field(default_factory=dict)
    problem: str = ""
    """Why nothing could be asked or read, such as a token that Belay may not read."""

    @property
    def pins(self) -> bool:
        """Whether runs are left alone, by policy."""
        return self.how.policy is Policy.PIN

    @property
    def unheard(self) -> tuple[EnginePod, ...]:
        return tuple(p for p in self.pods if p.problem)

    @property
    def heard(self) -> tuple[EnginePod, ...]:
        return tuple(p for p in self.pods if not p.problem)

    @property
    def runs(self) -> dict[str, tuple[EnginePod, Run]]:
        """Where each run is; where two pods know one, the one that has it alive."""
        found: dict[str, tuple[EnginePod, Run]] = {}
        for pod in self.heard:
            for run in pod.runs:
                if run.id not in found or found[run.id][1].state.is_over:
                    found[run.id] = (pod, run)
        return found

    @property
    def moving(self) -> tuple[str, ...]:
        """Runs that do not stand still."""
        return tuple(sorted(r.id for p in self.heard for r in p.runs if r.state.moves))

    @property
    def to_ask(self) -> tuple[EnginePod, ...]:
        """Pods that take new runs, or have one that was not asked to pause."""
        return tuple(p for p in self.heard if self._is_open(p))

    @property
    def stands(self) -> bool:
        """No run moves, and none begins."""
        return not (self.to_ask or self.moving or self.unheard or self.problem or self.foreign)

    @property
    def held(self) -> dict[str, EnginePod]:
        """Runs that are paused in a living pod for this Workflow, or by the engine itself."""
        return {
            r.id: p
            for p in self.heard
            for r in p.runs
            if r.state is RunState.PAUSED and r.holder in (self.owner, OF_THE_ENGINE)
        }

    @property
    def asked(self) -> dict[str, EnginePod]:
        """Runs that were asked to pause for this Workflow, and have not come to a safe point."""
        return {
            r.id: p
            for p in self.heard
            for r in p.runs
            if r.state is RunState.PAUSING and r.holder == self.owner
        }

    @property
    def carried(self) -> dict[str, Kept]:
        """Runs that only the backup of the pause before has."""
        if self.former is None:
            return {}
        fresh = Entry("")
        return {
            run: kept
            for run, kept in self.former.runs.items()
            if run not in self.runs and self.former_record.get(run, fresh).fate.is_open
        }

    def _is_open(self, pod: EnginePod) -> bool:
        if self.owner not in pod.holders:
            return True
        return any(r.state is RunState.RUNNING and not r.holder for r in pod.runs)
