"""What may go wrong between the operator and the API server, and where."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random
from typing import Final


class Fault(StrEnum):
    """One thing that goes wrong, once."""

    KILL_BEFORE = "killed before the call"
    KILL_AFTER = "killed after the commit"
    TERM_BEFORE = "asked to end before the call"
    RESET = "connection reset"
    UNANSWERED = "committed, no answer"
    CONFLICT = "409"
    INVALID = "422"
    FORBIDDEN = "403"
    THROTTLED = "429"
    THROTTLED_FOR = "429 with Retry-After"
    BROKEN = "500"
    UNAVAILABLE = "503"
    STALE = "a stale answer"
    LATE = "killed, and the call arrives at the end"
    DROPPED = "event dropped"
    REPEATED = "event repeated"
    REORDERED = "event after the next one"
    DELAYED = "event late"
    CLOSED = "watch closed"
    HALF_OPEN = "watch half open"
    GONE = "watch ends with 410"


OF_WATCHES: Final = (
    Fault.DROPPED,
    Fault.REPEATED,
    Fault.REORDERED,
    Fault.DELAYED,
    Fault.CLOSED,
    Fault.HALF_OPEN,
    Fault.GONE,
)
"""Their index is that of an event, over all watches."""
OF_WRITES: Final = (Fault.CONFLICT, Fault.INVALID, Fault.LATE)
OF_READS: Final = (Fault.STALE,)
CODES: Final = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.INVALID: (422, "Invalid"),
    Fault.FORBIDDEN: (403, "Forbidden"),
    Fault.THROTTLED: (429, "TooManyRequests"),
    Fault.THROTTLED_FOR: (429, "TooManyRequests"),
    Fault.BROKEN: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
}
REFUSALS: Final = frozenset({Fault.INVALID, Fault.FORBIDDEN})
"""Final words of the server: the rollout may end otherwise, and has to say why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One fault at one call, or at one event of the watches, of one scenario."""

    scenario: str
    fault: Fault | None = None
    index: int = 0

    def __str__(self) -> str:
        if self.fault is None:
            return f"{self.scenario}: undisturbed"
        what = "event" if self.fault in OF_WATCHES else "call"
        return f"{self.scenario}: {self.fault} at {what} {self.index}"


def plans_of(scenario: str, calls: Sequence[str], events: int) -> Iterator[Plan]:
    """Every fault at every index; `calls` are those of the undisturbed run, by their verb."""
    for index, verb in enumerate(calls):
        for fault in Fault:
            if fault in OF_WATCHES:
                continue
            if fault in OF_WRITES and verb == "GET":
                continue
            if fault is Fault.CONFLICT and verb == "POST":
                continue
            if fault in OF_READS and verb != "GET":
                continue
            yield Plan(scenario, fault, index)
    for index in range(events):
        for fault in OF_WATCHES:
            yield Plan(scenario, fault, index)


def shuffled(plans: Sequence[Plan], seed: int) -> list[Plan]:
    """In an order by the seed: the first ones are a fair sample."""
    found = list(plans)
    Random(f"{seed}-faults").shuffle(found)
    return found
