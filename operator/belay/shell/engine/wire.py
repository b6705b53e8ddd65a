"""Answers of the engine contract (docs/engine-contract.yaml), as far as they are used here."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, FailFast, Field
from pydantic.alias_generators import to_camel

from belay.core.engine.view import RunState

_DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=_DIGEST)]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,63}$")]
Word = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
"""Kept in records, so it must be a plain one."""
Holder = Annotated[str, Field(max_length=128)]
_MOST_LISTED: Final = 2000
_EXACT: Final = 2**53 - 1


class _Answer(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, frozen=True, extra="ignore", populate_by_name=True
    )


class Capabilities(_Answer):
    restart: bool = False


class Info(_Answer):
    contract: str
    engine: Word
    instance: Word
    holders: Annotated[list[Holder], FailFast(), Field(max_length=_MOST_LISTED)] = []
    capabilities: Capabilities = Capabilities()


class Identity(_Answer):
    content_digest: Digest


class Loaded(_Answer):
    content_digest: Digest
    state: str


class Revisions(_Answer):
    active: Identity | None
    revisions: Annotated[list[Loaded], FailFast(), Field(max_length=_MOST_LISTED)]


class RunTold(_Answer):
    id: RunId
    content_digest: Digest
    status: RunState
    holder: Holder | None


class Runs(_Answer):
    runs: Annotated[list[RunTold], FailFast(), Field(max_length=_MOST_LISTED)]
    next: Annotated[str, Field(max_length=256)] | None


class Verdict(_Answer):
    valid: bool
    reasons: Annotated[list[str], FailFast(), Field(max_length=_MOST_LISTED)] = []


class Resumed(_Answer):
    id: RunId
    state: RunState


class Failure(_Answer):
    code: Annotated[str, Field(max_length=64)]
    message: str = ""
    details: dict[str, Any] = {}


class BadEnvelope(ValueError):
    """An envelope that is damaged, or not of the run that it was asked for."""


class Envelope(_Answer):
    """The state of a paused run. All of it is kept, also what is not known here."""

    run_id: RunId
    content_digest: Digest
    sha256: Digest
    raw: dict[str, Any] = Field(exclude=True, repr=False)

    @property
    def size(self) -> int:
        """About how much it holds."""
        return sum(len(value) for value in self.raw.values() if isinstance(value, str))


def envelope(raw: dict[str, Any], run: str) -> Envelope:
    """The envelope of this run, whose hash is right. Raises `BadEnvelope`."""
    try:
        read = Envelope.model_validate({**raw, "raw": raw})
        rest = {name: value for name, value in raw.items() if name != "sha256"}
        found = hashlib.sha256(_canonical(rest)).hexdigest()
    except ValueError as error:
        raise BadEnvelope("it is not what the engine contract calls an envelope") from error
    if read.sha256 != f"sha256:{found}":
        raise BadEnvelope(f"its hash is {found[:12]}, and it says {read.sha256[7:19]}")
    if read.run_id != run:
        raise BadEnvelope(f"it is of the run {read.run_id}")
    return read


def _canonical(members: dict[str, Any]) -> bytes:
    """The RFC 8785 form of what an envelope may hold. Raises `ValueError` for anything else.

    A general encoder takes seconds for some MiB of state, in which nothing else goes on.
    """
    for name, value in members.items():
        if not _is_plain(value):
            raise ValueError(f"{name} is no text, list of texts, small whole number or null")
    names = sorted(members, key=lambda name: name.encode("utf-16-be"))
    return packed({name: members[name] for name in names})


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(each, str) for each in value)
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _EXACT
    return value is None or isinstance(value, str) or whole


def packed(raw: Mapping[str, Any]) -> bytes:
    return json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode()
