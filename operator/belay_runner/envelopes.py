"""The state of a paused run outside the process that paused it."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from belay_runner.problems import Code, Problem

Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,63}$")]
Holder = Annotated[str, Field(min_length=1, max_length=128)]


class Envelope(BaseModel):
    """As docs/engine-contract.yaml says. Members of later versions are kept, for the digest."""

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    runId: RunId  # noqa: N815 - named as on the wire
    revision: str | None
    contentDigest: Digest  # noqa: N815
    engine: str
    engineVersion: str  # noqa: N815
    snapshotVersion: str  # noqa: N815
    startedAt: str  # noqa: N815
    pausedAt: str  # noqa: N815
    holder: Holder
    nodesDone: int  # noqa: N815
    redactedEnv: list[str]  # noqa: N815
    state: str
    start: str = ""
    sha256: Digest

    def body(self) -> dict[str, Any]:
        """All that came with it, and nothing else: the digest is over that."""
        return self.model_dump(by_alias=True, exclude_unset=True)


def seal(body: dict[str, Any]) -> Envelope:
    """The envelope of these members, with its digest."""
    return Envelope.model_validate({**body, "sha256": _digest(body)})


def opened(envelope: Envelope) -> Envelope:
    """The envelope, if nothing of it was changed on its way."""
    body = envelope.body()
    if _digest({k: v for k, v in body.items() if k != "sha256"}) != envelope.sha256:
        raise Problem(Code.STATE_REJECTED, "the envelope is damaged: its sha256 is another one")
    return envelope


def _digest(body: dict[str, Any]) -> str:
    """Over the RFC 8785 form, which for texts, lists and small whole numbers is this one."""
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Folder:
    """Envelopes on a volume, so that a container that restarts finds its paused runs again.

    Beside them lies an empty mark for each run in flight: one that is found at start without an
    envelope is the name of a run that is lost.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        path.mkdir(parents=True, exist_ok=True)

    def mark(self, run: str) -> None:
        self._file(run, "running").touch()

    def unmark(self, run: str) -> None:
        self._file(run, "running").unlink(missing_ok=True)

    def put(self, envelope: Envelope) -> None:
        """Durably, and as a whole."""
        unfinished = self._file(envelope.runId, "unfinished")
        with unfinished.open("w") as file:
            json.dump(envelope.body(), file)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._file(envelope.runId, "json"))
        self.unmark(envelope.runId)

    def drop(self, run: str) -> None:
        self._file(run, "json").unlink(missing_ok=True)

    def all(self) -> Iterator[Envelope]:
        """Those that can be read and are whole."""
        for file in sorted(self._path.glob("*.json")):
            try:
                yield opened(Envelope.model_validate_json(file.read_bytes()))
            except (ValidationError, Problem, OSError):
                file.rename(file.with_suffix(".damaged"))

    def marked(self) -> list[str]:
        """Runs that were in flight when the process before this one ended."""
        kept = {file.stem for file in self._path.glob("*.json")}
        return sorted(f.stem for f in self._path.glob("*.running") if f.stem not in kept)

    def _file(self, run: str, kind: str) -> Path:
        return self._path / f"{run}.{kind}"
