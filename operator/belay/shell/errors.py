"""What can go wrong between us and the API server, translated once, in the cluster adapter."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class ApiError(Exception):
    """The API server said no.

    `code` is the HTTP status, `reason` metav1.Status's reason, `causes` its details' causes.
    """

    code: int
    reason: str
    message: str
    causes: list[dict[str, Any]] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.code} {self.reason}: {self.message}"


class NotFound(ApiError):
    """404: the object or its kind is not there."""


class AlreadyExists(ApiError):
    """409 on create."""


class Conflict(ApiError):
    """409: the object changed, is gone, or was replaced since it was read. Observe again."""


class FieldConflict(ApiError):
    """409 of server-side apply: another manager owns a field that we want to own."""


class Forbidden(ApiError):
    """403: RBAC, quota or an admission plugin said no."""


class Invalid(ApiError):
    """400 or 422: the object does not pass validation or admission."""


class Gone(ApiError):
    """410: the resourceVersion is too old; list again."""


@dataclass
class Unavailable(ApiError):
    """No answer, a 5xx or a 429: try again, not before `retry_after` seconds."""

    retry_after: float = 0.0


def is_uid_mismatch(error: ApiError) -> bool:
    """Whether a 409 or 422 means that the object was replaced by one of the same name."""
    told = any(words in error.message for words in ("uid mismatch", "UID in precondition"))
    return (error.code == 409 and told) or any(
        c.get("field") == "metadata.uid" for c in error.causes
    )


def translate(code: int, body: dict[str, Any], retry_after: str | None) -> ApiError:
    """The error of one answer; `body` is a metav1.Status where the server sent one."""
    reason = str(body.get("reason") or "")
    message = str(body.get("message") or f"HTTP {code}")
    causes = list((body.get("details") or {}).get("causes") or [])
    arguments = (code, reason, message, causes)
    match code:
        case 404:
            return NotFound(*arguments)
        case 409 if reason == "AlreadyExists":
            return AlreadyExists(*arguments)
        case 409 if any(c.get("reason") == "FieldManagerConflict" for c in causes):
            return FieldConflict(*arguments)
        case 409:
            return Conflict(*arguments)
        case 403:
            return Forbidden(*arguments)
        case 400 | 422:
            return Invalid(*arguments)
        case 410:
            return Gone(*arguments)
        case 429 | 500 | 502 | 503 | 504:
            seconds = float(retry_after) if retry_after and retry_after.isdigit() else 0.0
            return Unavailable(*arguments, retry_after=seconds)
        case _:
            return ApiError(*arguments)
