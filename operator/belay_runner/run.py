"""One run of a workflow, as the registry keeps it."""

import uuid
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from belay_runner import engine
from belay_runner.engine import Execution
from belay_runner.envelopes import Envelope, seal
from belay_runner.feed import Feed
from belay_runner.origin import Origin, origin
from belay_runner.problems import Code, Problem
from belay_runner.progress import State
from belay_runner.revisions import Revision

ENGINE = "engine"
"""Holder of what this process paused by itself, because it was told to end."""


def now() -> datetime:
    return datetime.now(UTC)


def told(when: datetime | None) -> str | None:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z") if when else None


def new_id() -> str:
    return str(uuid.uuid4())


@dataclass(slots=True, eq=False)
class Run:
    """Changed under the registry's lock only."""

    id: str
    content_digest: str
    revision: Revision | None
    state: State = State.RUNNING
    started: datetime = field(default_factory=now)
    ended: datetime | None = None
    name: str | None = None
    pause_requested: datetime | None = None
    holder: str | None = None
    resumed_for: str | None = None
    go_on: bool = False
    """It was resumed before it had paused: it goes on as soon as it stands."""
    anew: Revision | None = None
    """What it then begins anew on; None where it goes on as it was."""
    origin: Origin | None = None
    """What it was asked for, until it is over; None where that is not known."""
    abort_reason: str | None = None
    in_flight: dict[str, str] = field(default_factory=dict)
    nodes_done: int = 0
    error: str | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    tokens: int = 0
    feeds: list[Feed] = field(default_factory=list)
    """Of callers who read along."""
    secrets: tuple[str, ...] = ()
    execution: Execution | None = None
    envelope: Envelope | None = None
    fetched: bool = False
    claims: set[str] = field(default_factory=set)
    """sha256 of envelopes that it was resumed from."""
    settled: "Future[Run]" = field(default_factory=Future)
    """Done when there is nothing more to wait for in this process."""

    def body(self) -> dict[str, Any]:
        """As the contract tells a run."""
        return {
            "id": self.id,
            "contentDigest": self.content_digest,
            "revision": self.revision.name if self.revision else self.name,
            "status": self.state.value,
            "startedAt": told(self.started),
            "endedAt": told(self.ended),
            "pauseRequestedAt": told(self.pause_requested),
            "holder": self.holder,
            "inFlight": sorted(set(self.in_flight.values())),
            "nodesDone": self.nodes_done,
            "error": self.error,
        }

    def held_by(self, holder: str) -> None:
        """Raises `heldByOther` where somebody else paused it."""
        if self.holder not in (holder, ENGINE):
            message = f"{self.holder} paused {self.id}"
            raise Problem(Code.HELD_BY_OTHER, message, {"holder": self.holder})

    @property
    def begun(self) -> Origin:
        """Raises `restartRejected` where nobody knows what it began with."""
        if self.origin is None:
            message = f"nobody knows what {self.id} began with"
            raise Problem(Code.RESTART_REJECTED, message)
        return self.origin

    @property
    def not_paused(self) -> Problem:
        details = {"status": self.state.value}
        return Problem(Code.NOT_PAUSED, f"{self.id} is {self.state.value}", details)

    def sealed(self, holder: str, dump: tuple[str, str, list[str]]) -> Envelope:
        """What leaves of it, held by `holder`."""
        text, version, names = dump
        return seal(
            {
                "schema": 1,
                "runId": self.id,
                "revision": self.revision.name if self.revision else self.name,
                "contentDigest": self.content_digest,
                "engine": engine.NAME,
                "engineVersion": engine.VERSION,
                "snapshotVersion": version,
                "startedAt": told(self.started),
                "pausedAt": told(now()),
                "holder": holder,
                "nodesDone": self.nodes_done,
                "redactedEnv": names,
                "state": text,
                **({"start": self.origin.text()} if self.origin is not None else {}),
            }
        )


def from_envelope(envelope: Envelope, revision: Revision | None) -> Run:
    """A run that another process began."""
    return Run(
        envelope.runId,
        envelope.contentDigest,
        revision,
        started=datetime.fromisoformat(envelope.startedAt),
        name=envelope.revision,
        nodes_done=envelope.nodesDone,
        origin=origin(envelope.start),
    )
