"""What both ports share: bodies, answers, problems."""

import logging
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from belay_runner.problems import Code, Problem

_LOG = logging.getLogger(__name__)
_COME_BACK: Final = {"Retry-After": "1"}
_LATER: Final = frozenset({Code.FULL, Code.DRAINING, Code.NO_ACTIVE_REVISION})
_Body = TypeVar("_Body", bound=BaseModel)


class Body(BaseModel):
    """What a caller sends. Members that are not known are left aside."""

    model_config = ConfigDict(extra="ignore", strict=True)


async def read(request: Request, kind: type[_Body], most_bytes: int) -> _Body:
    """The body of a request. Raises `tooLarge`, `invalidRequest`."""
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > most_bytes:
            raise Problem(Code.TOO_LARGE, f"the body has more than {most_bytes} bytes")
        parts.append(part)
    try:
        return kind.model_validate_json(b"".join(parts) or b"{}")
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, e['loc'])) or 'body'}: {e['msg']}" for e in error.errors()]
        message = "; ".join(faults[:5])[:800]
        raise Problem(Code.INVALID_REQUEST, message, {"faults": faults[:20]}) from error


def refusal(problem: Problem) -> Response:
    body = {
        "code": problem.code.value,
        "message": problem.message[:1000],
        "details": dict(problem.details),
    }
    headers = _COME_BACK if problem.code in _LATER else None
    return JSONResponse(body, problem.status, headers)


async def on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for it
    return refusal(error)


async def on_error(request: Request, error: Exception) -> Response:
    """Nothing of an unexpected error leaves the process but its kind."""
    _LOG.error("%s %s", request.method, request.url.path, exc_info=error)
    return refusal(Problem(Code.INTERNAL, f"it failed here: {type(error).__name__}"))


async def not_found(request: Request, _: Exception) -> Response:
    problem = Problem(Code.NOT_FOUND, f"there is no {request.method} {request.url.path}")
    return refusal(problem)


def answer(body: Any, status: int = 200) -> Response:
    return JSONResponse(body, status)
