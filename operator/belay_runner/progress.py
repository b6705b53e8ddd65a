"""What a run says of itself while it goes on, in the runner's own words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """The states of the contract."""

    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTIAL = "partial-succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    LOST = "lost"

    @property
    def is_over(self) -> bool:
        return self not in (State.RUNNING, State.PAUSING, State.PAUSED)


@dataclass(frozen=True, slots=True)
class NodeBegan:
    """A node is at work. `key` is of this one execution: a node in a loop has many."""

    key: str
    node: str
    kind: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class NodeEnded:
    """A node is done, well or not."""

    key: str
    node: str
    kind: str
    failed: bool
    error: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Stood:
    """The run stands: over, or paused."""

    state: State
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None
    tokens: int = 0


Progress = NodeBegan | NodeEnded | Stood
