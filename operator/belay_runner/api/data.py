"""The port for callers: runs in the shape of Dify's API."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from belay_runner.api.common import Body, answer, not_found, on_error, on_problem, read
from belay_runner.api.stream import Stream, data
from belay_runner.envelopes import Digest, RunId
from belay_runner.feed import Feed
from belay_runner.metrics import Metrics
from belay_runner.problems import Problem
from belay_runner.registry import Registry, Wish
from belay_runner.settings import MIB

_MOST: Final = 20 * MIB


class _Wish(Body):
    inputs: dict[str, Any]
    user: str = "anonymous"
    response_mode: Literal["blocking", "streaming", "async"] = "blocking"
    run_id: RunId | None = None
    content_digest: Digest | None = None


class _Stop(Body):
    user: str = "anonymous"


class Data:
    """A pod knows its own runs only: ask the pod that took the run, or the one that resumed it."""

    def __init__(self, registry: Registry, metrics: Metrics) -> None:
        self._registry, self._metrics = registry, metrics

    def app(self) -> Starlette:
        routes = [
            self._route("POST", "/v1/workflows/run", self._start),
            self._route("GET", "/v1/workflows/run/{id}", self._get),
            self._route("POST", "/v1/workflows/tasks/{id}/stop", self._stop),
        ]
        handlers: Mapping[Any, Any] = {
            Problem: on_problem,
            HTTPException: not_found,
            Exception: on_error,
        }
        return Starlette(routes=routes, exception_handlers=handlers)

    def _route(self, verb: str, path: str, handler: Any) -> Route:
        async def measured(request: Request) -> Response:
            began, revision = time.monotonic(), ""
            try:
                response: Response = await handler(request)
            except Problem as problem:
                response = await on_problem(request, problem)
            revision = getattr(request.state, "revision", "")
            route = f"{verb} {path}"
            self._metrics.requests.labels(str(response.status_code), route, revision).inc()
            self._metrics.request_seconds.labels(route).observe(time.monotonic() - began)
            return response

        return Route(path, measured, methods=[verb])

    async def _start(self, request: Request) -> Response:
        sent = await read(request, _Wish, _MOST)
        feed = Feed() if sent.response_mode == "streaming" else None
        wish = Wish(sent.inputs, sent.user, sent.run_id, sent.content_digest, feed=feed)
        run = await run_in_threadpool(self._registry.start, wish)
        request.state.revision = run.revision.label if run.revision else ""
        if feed is not None:
            return Stream(run, feed, sent.inputs)
        if sent.response_mode == "blocking":
            await asyncio.shield(asyncio.wrap_future(run.settled))
        return answer({"task_id": run.id, "workflow_run_id": run.id, "data": data(run)})

    async def _get(self, request: Request) -> Response:
        return answer(data(self._registry.get(request.path_params["id"])))

    async def _stop(self, request: Request) -> Response:
        sent, run = await read(request, _Stop, MIB), self._registry.get(request.path_params["id"])
        self._registry.abort(run, f"stopped by {sent.user[:64]}")
        return answer({"result": "success"})
