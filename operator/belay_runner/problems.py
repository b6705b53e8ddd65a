"""What a caller is told when something is refused: a code, a sentence, details."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Code(StrEnum):
    """The codes of the contract."""

    ACTIVE_DIFFERS = "activeDiffers"
    ALREADY_ELSEWHERE = "alreadyElsewhere"
    ALREADY_FINISHED = "alreadyFinished"
    DIGEST_MISMATCH = "digestMismatch"
    DRAINING = "draining"
    ENVELOPE_DIFFERS = "envelopeDiffers"
    ENVELOPE_TOO_LARGE = "envelopeTooLarge"
    FULL = "full"
    HELD_BY_OTHER = "heldByOther"
    INTERNAL = "internal"
    INVALID_REQUEST = "invalidRequest"
    INVALID_REVISION = "invalidRevision"
    NO_ACTIVE_REVISION = "noActiveRevision"
    NOT_FOUND = "notFound"
    NOT_PAUSED = "notPaused"
    RESTART_REJECTED = "restartRejected"
    REVISION_MISMATCH = "revisionMismatch"
    REVISION_UNKNOWN = "revisionUnknown"
    RUN_UNKNOWN = "runUnknown"
    STATE_REJECTED = "stateRejected"
    TOO_LARGE = "tooLarge"
    UNAUTHORIZED = "unauthorized"


STATUS: Mapping[Code, int] = {
    Code.ACTIVE_DIFFERS: 409,
    Code.ALREADY_ELSEWHERE: 409,
    Code.ALREADY_FINISHED: 409,
    Code.DIGEST_MISMATCH: 422,
    Code.DRAINING: 503,
    Code.ENVELOPE_DIFFERS: 409,
    Code.ENVELOPE_TOO_LARGE: 413,
    Code.FULL: 429,
    Code.HELD_BY_OTHER: 409,
    Code.INTERNAL: 500,
    Code.INVALID_REQUEST: 400,
    Code.INVALID_REVISION: 422,
    Code.NO_ACTIVE_REVISION: 503,
    Code.NOT_FOUND: 404,
    Code.NOT_PAUSED: 409,
    Code.RESTART_REJECTED: 422,
    Code.REVISION_MISMATCH: 409,
    Code.REVISION_UNKNOWN: 404,
    Code.RUN_UNKNOWN: 404,
    Code.STATE_REJECTED: 422,
    Code.TOO_LARGE: 413,
    Code.UNAUTHORIZED: 401,
}


@dataclass(eq=False)
class Problem(Exception):
    """Refused, for a reason that the caller can act upon."""

    code: Code
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return STATUS[self.code]
