"""What each Workflow is in, from its status: alerts survive a failover or a restart.

Written in the text format directly: by the client library's collectors a scrape of 10,000
Workflows would hold the event loop for more than a second (measured), and reverts with it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Reason
from belay.core.keys import Key

_BLOCK: Final = 500
_STATUSES: Final = ("True", "False", "Unknown")


@dataclass(frozen=True, slots=True)
class _State:
    """What is exported of one Workflow."""

    desired: str
    active: str
    phase: str
    conditions: tuple[tuple[str, str], ...]
    deadline: float | None
    outcome: tuple[str, str, float] | None
    """Last outcome, its reason and when."""
    quarantined: int
    wanted_quarantined: bool
    instances: tuple[tuple[str, int], ...]
    """Running instances of the last rollout, by what became of them."""


class StateMetrics:
    """One small record for each Workflow; its series go when it goes."""

    def __init__(self) -> None:
        self._states: dict[Key, _State] = {}

    def put(self, key: Key, desired: str, status: WorkflowStatus) -> None:
        """Remember the present state; only the leader calls this, so a standby exports none."""
        deadline = _deadline_of(status.rollout)
        self._states[key] = _State(
            desired=desired,
            active=status.active_revision or "",
            phase=status.phase or "",
            conditions=tuple((c.type.value, c.status) for c in status.conditions),
            deadline=deadline.timestamp() if deadline else None,
            outcome=_last_outcome(status),
            quarantined=len(status.quarantine),
            wanted_quarantined=_wants_quarantined(desired, status),
            instances=_counts(status),
        )

    def drop(self, key: Key) -> None:
        """The Workflow is gone."""
        self._states.pop(key, None)

    def exposition(self) -> Iterator[str]:
        """Prometheus' text format, in blocks of some hundred Workflows."""
        for name, (words, samples) in _FAMILIES.items():
            yield f"# HELP {name} {words}\n# TYPE {name} gauge\n"
            states = iter(list(self._states.items()))
            while block := list(islice(states, _BLOCK)):
                yield "".join(
                    f'{name}{{namespace="{key.namespace}",workflow="{key.name}"{sample}\n'
                    for key, state in block
                    for sample in samples(state)
                )


def _counts(status: WorkflowStatus) -> tuple[tuple[str, int], ...]:
    rollout = status.rollout
    if rollout is None or rollout.instances is None:
        return ()
    counts = rollout.instances.to_api().items()
    return tuple((name, number) for name, number in counts if isinstance(number, int))


def _last_outcome(status: WorkflowStatus) -> tuple[str, str, float] | None:
    """Of a refusal the Ready condition tells; else the last rollout, or the one before it."""
    if status.phase == Outcome.REFUSED:
        ready = next((c for c in status.conditions if c.type is ConditionType.READY), None)
        if ready is not None:
            return Outcome.REFUSED.value, ready.reason, ready.last_transition_time.timestamp()
    rollout = status.rollout
    last = status.history[0] if status.history else None
    overtaken = rollout is not None and last is not None and last.id != rollout.id
    if rollout is not None and rollout.outcome is not None and not overtaken:
        ended = rollout.ended_at or rollout.phase_started_at
        return rollout.outcome.value, rollout.reason or "", ended.timestamp()
    if last is not None:
        return last.outcome.value, last.reason or last.outcome, last.ended_at.timestamp()
    return None


def _deadline_of(rollout: Rollout | None) -> datetime | None:
    """None at rest, and while the clock of the rollout is stopped."""
    if rollout is None or rollout.outcome is not None or rollout.suspended_at is not None:
        return None
    return rollout.deadline


def _wants_quarantined(desired: str, status: WorkflowStatus) -> bool:
    """Whether the wish is an attempt that is not repeated unasked."""
    ready = next((c for c in status.conditions if c.type is ConditionType.READY), None)
    if ready is not None and ready.reason == Reason.QUARANTINED:
        return True
    rollout = status.rollout
    if rollout is None or rollout.outcome in (None, Outcome.PROMOTED):
        return False
    return rollout.to.revision == desired and any(
        one.attempt_digest == rollout.attempt_digest for one in status.quarantine
    )


def _info(state: _State) -> Iterator[str]:
    yield f',desired="{state.desired}",active="{state.active}"}} 1'


def _conditions(state: _State) -> Iterator[str]:
    for kind, actual in state.conditions:
        for status in _STATUSES:
            yield f',type="{kind}",status="{status}"}} {int(status == actual)}'


def _phase(state: _State) -> Iterator[str]:
    if state.phase:
        yield f',phase="{state.phase}"}} 1'


def _deadline(state: _State) -> Iterator[str]:
    if state.deadline is not None:
        yield f"}} {state.deadline}"


def _outcome(state: _State) -> Iterator[str]:
    if state.outcome is not None:
        yield f',outcome="{state.outcome[0]}",reason="{state.outcome[1]}"}} 1'


def _outcome_time(state: _State) -> Iterator[str]:
    if state.outcome is not None:
        yield f"}} {state.outcome[2]}"


def _quarantined(state: _State) -> Iterator[str]:
    yield f"}} {state.quarantined}"


def _wanted_quarantined(state: _State) -> Iterator[str]:
    if state.wanted_quarantined:
        yield "} 1"


def _instances(state: _State) -> Iterator[str]:
    for name, number in state.instances:
        yield f',state="{name}"}} {number}'


_FAMILIES: Final[dict[str, tuple[str, Callable[[_State], Iterator[str]]]]] = {
    "belay_workflow_info": ("Wanted and active revision.", _info),
    "belay_workflow_condition": ("1 for the status that each condition has.", _conditions),
    "belay_workflow_phase": ("1 for the phase, or the outcome at rest.", _phase),
    "belay_workflow_phase_deadline_timestamp_seconds": (
        "When the phase must be over; absent at rest and while suspended.",
        _deadline,
    ),
    "belay_workflow_last_outcome": ("1 for the last outcome and its reason.", _outcome),
    "belay_workflow_last_outcome_timestamp_seconds": ("When that was.", _outcome_time),
    "belay_workflow_quarantined": ("Attempts that are not repeated unasked.", _quarantined),
    "belay_workflow_wanted_quarantined": (
        "1 where such an attempt is wanted; absent otherwise.",
        _wanted_quarantined,
    ),
    "belay_workflow_instances": (
        "Running instances of the last rollout, by what became of them.",
        _instances,
    ),
}
