"""The engine contract (docs/engine-contract.yaml), probes and metrics."""

import asyncio
import hmac
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from belay_runner import engine
from belay_runner.api.common import Body, answer, not_found, on_error, on_problem, read
from belay_runner.envelopes import Digest, Envelope, Holder, RunId
from belay_runner.metrics import Metrics
from belay_runner.problems import Code, Problem
from belay_runner.progress import State
from belay_runner.registry import Registry, Wish
from belay_runner.resuming import Resuming
from belay_runner.revisions import Revision, Revisions
from belay_runner.run import Run
from belay_runner.settings import MIB, Settings

_SMALL: Final = 64 * 1024
_MOST_ON_A_PAGE: Final = 500
_Handler = Callable[[Request], Awaitable[Response]]
_Name = Annotated[str, Field(max_length=63)]


class _Definition(Body):
    revision: _Name | None
    contentDigest: Digest  # noqa: N815 - as on the wire
    format: Literal["DifyDSL", "YAML", "JSON"]
    definition: str


class _Activation(Body):
    contentDigest: Digest  # noqa: N815
    ifActive: Digest | None  # noqa: N815


class _Intake(Body):
    state: Literal["Open", "Closed"]
    holder: Holder


class _Trial(Body):
    inputs: dict[str, Any]
    contentDigest: Digest | None = None  # noqa: N815


class _PauseAll(Body):
    holder: Holder
    contentDigest: Digest | None = None  # noqa: N815
    closeIntake: bool = False  # noqa: N815


class _Holding(Body):
    holder: Holder


class _HandOver(Body):
    holder: Holder
    sha256: Digest


class _Resume(Body):
    holder: Holder
    id: RunId | None = None
    envelope: Envelope | None = None
    allowMigration: bool = False  # noqa: N815
    how: Literal["Resume", "Restart"] = "Resume"

    @model_validator(mode="after")
    def _one_of_them(self) -> "_Resume":
        if (self.id is None) == (self.envelope is None):
            raise ValueError("give exactly one of id and envelope")
        return self


class _Abort(Body):
    reason: Annotated[str, Field(max_length=256)]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the operations work upon."""

    registry: Registry
    resuming: Resuming
    revisions: Revisions
    metrics: Metrics


class Admin:
    """One handler for each operation of the contract."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        self._settings, self._registry = settings, parts.registry
        self._resuming, self._revisions = parts.resuming, parts.revisions
        self._metrics = parts.metrics
        self._instance = str(uuid.uuid4())

    def app(self) -> Starlette:
        v1, run = "/engine/v1", "/engine/v1/runs/{id}"
        guarded: list[tuple[str, str, _Handler]] = [
            ("GET", f"{v1}/info", self._info),
            ("GET", f"{v1}/revisions", self._list_revisions),
            ("POST", f"{v1}/revisions:validate", self._validate),
            ("PUT", f"{v1}/active", self._activate),
            ("PUT", f"{v1}/intake", self._intake),
            ("GET", f"{v1}/runs", self._runs),
            ("POST", f"{v1}/runs", self._try),
            ("POST", f"{v1}/runs:pause", self._pause_all),
            ("POST", f"{v1}/runs:resume", self._resume),
            ("GET", f"{run}/envelope", self._envelope),
            ("POST", f"{run}:pause", self._pause),
            ("POST", f"{run}:handOver", self._hand_over),
            ("POST", f"{run}:abort", self._abort),
            ("GET", run, self._run),
        ]
        routes = [Route(path, self._guarded(h), methods=[verb]) for verb, path, h in guarded]
        probes: list[tuple[str, _Handler]] = [
            ("/livez", self._livez),
            ("/readyz", self._readyz),
            ("/metrics", self._tell_metrics),
        ]
        routes += [Route(path, handler, methods=["GET"]) for path, handler in probes]
        handlers: Mapping[Any, Any] = {
            Problem: on_problem,
            HTTPException: not_found,
            Exception: on_error,
        }
        return Starlette(routes=routes, exception_handlers=handlers)

    def _guarded(self, handler: _Handler) -> _Handler:
        async def guarded(request: Request) -> Response:
            self._authorise(request.headers.get("authorization", ""))
            return await handler(request)

        return guarded

    def _authorise(self, given: str) -> None:
        """The token is read each time: kubelet brings a changed Secret up to date."""
        file = self._settings.token_file
        token = file.read_text().strip() if file is not None and file.exists() else ""
        if not token or not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
            raise Problem(Code.UNAUTHORIZED, "the bearer token is missing or another one")

    async def _info(self, _: Request) -> Response:
        settings = self._settings
        return answer(
            {
                "contract": "v1",
                "engine": engine.NAME,
                "engineVersion": engine.VERSION,
                "instance": self._instance,
                "intake": self._intake_state(),
                "holders": self._registry.holders,
                "capabilities": {"reload": True, "pause": True, "migrate": True, "restart": True},
                "limits": {
                    "activeRuns": settings.max_runs,
                    "finishedRuns": settings.keep_finished,
                    "revisions": settings.keep_revisions,
                    "definitionBytes": settings.max_definition,
                    "envelopeBytes": settings.max_envelope,
                },
            }
        )

    async def _list_revisions(self, _: Request) -> Response:
        runs = self._registry.all()
        active = self._revisions.active
        told = [_revision(each, runs) for each in self._revisions.all()]
        return answer({"active": active.identity if active else None, "revisions": told})

    async def _validate(self, request: Request) -> Response:
        # JSON writes a character in up to six bytes.
        sent = await read(request, _Definition, 6 * self._settings.max_definition + _SMALL)
        if len(sent.definition.encode()) > self._settings.max_definition:
            most = self._settings.max_definition
            raise Problem(Code.TOO_LARGE, f"the definition has more than {most} bytes")
        revision = await run_in_threadpool(
            self._revisions.validate, sent.revision, sent.contentDigest, sent.definition
        )
        return answer(
            {
                "valid": revision.definition is not None,
                "contentDigest": revision.content_digest,
                "reasons": list(revision.reasons),
            }
        )

    async def _activate(self, request: Request) -> Response:
        sent = await read(request, _Activation, _SMALL)
        previous = self._revisions.activate(sent.contentDigest, sent.ifActive)
        active = self._revisions.get(sent.contentDigest)
        before = previous.identity if previous else None
        return answer({"active": active.identity, "previous": before})

    async def _intake(self, request: Request) -> Response:
        sent = await read(request, _Intake, _SMALL)
        self._registry.set_intake(sent.holder, closed=sent.state == "Closed")
        return answer({"state": self._intake_state(), "holders": self._registry.holders})

    async def _runs(self, request: Request) -> Response:
        query = request.query_params
        try:
            states = {State(word) for word in query.get("status", "").split(",") if word}
            limit = int(query.get("limit", "100"))
        except ValueError as error:
            raise Problem(Code.INVALID_REQUEST, str(error)) from error
        if not 1 <= limit <= _MOST_ON_A_PAGE:
            raise Problem(Code.INVALID_REQUEST, f"limit must be 1 to {_MOST_ON_A_PAGE}")
        after, digest = query.get("cursor", ""), query.get("contentDigest")
        found = [
            run
            for run in self._registry.all()
            if run.id > after
            and (not states or run.state in states)
            and digest in (None, run.content_digest)
        ]
        page = found[:limit]
        following = page[-1].id if len(found) > limit else None
        return answer({"runs": [run.body() for run in page], "next": following})

    async def _try(self, request: Request) -> Response:
        sent = await read(request, _Trial, MIB)
        wish = Wish(sent.inputs, content_digest=sent.contentDigest, trial=True)
        run = await run_in_threadpool(self._registry.start, wish)
        await asyncio.shield(asyncio.wrap_future(run.settled))
        return answer({"run": run.body(), "outputs": dict(run.outputs)})

    async def _pause_all(self, request: Request) -> Response:
        sent = await read(request, _PauseAll, _SMALL)
        ours, others = self._registry.pause_all(
            sent.holder, sent.contentDigest, close_intake=sent.closeIntake
        )
        return answer({"requested": ours, "others": others}, 202)

    async def _resume(self, request: Request) -> Response:
        sent = await read(request, _Resume, 6 * self._settings.max_envelope + _SMALL)
        anew = sent.how == "Restart"
        if sent.envelope is None:
            run = self._registry.get(str(sent.id))
            new = await run_in_threadpool(self._resuming.by_id, run, sent.holder, anew=anew)
        else:
            run, new = await run_in_threadpool(
                self._resuming.by_envelope,
                sent.envelope,
                sent.holder,
                allow_migration=sent.allowMigration,
                anew=anew,
            )
        body = {"id": run.id, "state": run.state.value, "contentDigest": run.content_digest}
        return answer(body, 202 if new else 200)

    async def _run(self, request: Request) -> Response:
        return answer(self._asked(request).body())

    async def _envelope(self, request: Request) -> Response:
        return answer(self._registry.envelope(self._asked(request)).body())

    async def _pause(self, request: Request) -> Response:
        sent, run = await read(request, _Holding, _SMALL), self._asked(request)
        self._registry.pause(run, sent.holder)
        return answer(run.body(), 202)

    async def _hand_over(self, request: Request) -> Response:
        sent, run = await read(request, _HandOver, _SMALL), request.path_params["id"]
        self._registry.hand_over(run, sent.holder, sent.sha256)
        return answer({"id": run})

    async def _abort(self, request: Request) -> Response:
        sent, run = await read(request, _Abort, _SMALL), self._asked(request)
        self._registry.abort(run, sent.reason)
        return answer(run.body(), 200 if run.state.is_over else 202)

    async def _livez(self, _: Request) -> Response:
        return Response("ok", media_type="text/plain")

    async def _readyz(self, _: Request) -> Response:
        active, ending = self._revisions.active, self._registry.ending
        body = {
            "active": active.identity if active else None,
            "contentDigest": active.content_digest if active else None,
            "intake": self._intake_state(),
            "ending": ending,
        }
        return answer(body, 503 if ending or active is None else 200)

    async def _tell_metrics(self, _: Request) -> Response:
        self._metrics.state(self._registry.all(), self._revisions.active)
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    def _asked(self, request: Request) -> Run:
        return self._registry.get(request.path_params["id"])

    def _intake_state(self) -> str:
        return "Closed" if self._registry.holders else "Open"


def _revision(revision: Revision, runs: list[Run]) -> dict[str, Any]:
    states = [run.state for run in runs if run.content_digest == revision.content_digest]
    return {
        **revision.identity,
        "state": "Ready" if revision.definition else "Invalid",
        "reason": "; ".join(revision.reasons) or None,
        "running": sum(state in (State.RUNNING, State.PAUSING) for state in states),
        "paused": states.count(State.PAUSED),
    }
