"""Answers of the engine contract (docs/engine-contract.yaml), as far as they are used here."""

import hashlib
import json
from typing import Annotated, Any, Final

import rfc8785
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from belay.core.engine.view import RunState

_DIGEST: Final = r"^sha256:[0-9a-f]{64}$"
Digest = Annotated[str, Field(pattern=_DIGEST)]
RunId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]{0,63}$")]
Holder = Annotated[str, Field(max_length=128)]


class _Answer(BaseModel):
    model_config = ConfigDict(
        alias_generator=to_camel, frozen=True, extra="ignore", populate_by_name=True
    )


class Info(_Answer):
    contract: str
    engine: Annotated[str, Field(max_length=64)]
    instance: Annotated[str, Field(max_length=64)]
    holders: Annotated[list[Holder], Field(max_length=1000)] = []


class Identity(_Answer):
    content_digest: Digest


class Loaded(_Answer):
    content_digest: Digest
    state: str


class Revisions(_Answer):
    active: Identity | None
    revisions: list[Loaded]


class RunTold(_Answer):
    id: RunId
    content_digest: Digest
    status: RunState
    holder: Holder | None


class Runs(_Answer):
    runs: list[RunTold]
    next: Annotated[str, Field(max_length=256)] | None


class Verdict(_Answer):
    valid: bool
    reasons: list[str] = []


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


def envelope(raw: dict[str, Any]) -> Envelope:
    """An envelope whose hash is right. Raises `BadEnvelope`."""
    try:
        read = Envelope.model_validate({**raw, "raw": raw})
        rest = {name: value for name, value in raw.items() if name != "sha256"}
        found = hashlib.sha256(rfc8785.dumps(rest)).hexdigest()
    except ValueError as error:
        raise BadEnvelope("it is not what the engine contract calls an envelope") from error
    if read.sha256 != f"sha256:{found}":
        raise BadEnvelope(f"its hash is {found[:12]}, and it says {read.sha256[7:19]}")
    return read


def packed(raw: dict[str, Any]) -> bytes:
    return json.dumps(raw, separators=(",", ":"), ensure_ascii=False).encode()
