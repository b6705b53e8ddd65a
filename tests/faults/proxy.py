"""Between one operator and the API server: it counts, and does one thing wrong."""

import asyncio
import contextlib
import json
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from signal import SIGKILL, SIGTERM
from typing import Protocol

import aiohttp
from aiohttp import web
from tests.faults.plans import CODES, OF_WATCHES, Fault, Plan

HELD = 1.0
"""Seconds that an answer which never comes is held back, and that a late event is late."""
STATUS = "PATCH workflows/status"
_PASSED_ON = ("Accept", "Authorization", "Content-Type", "User-Agent")
_KIND = re.compile(r"/namespaces/[^/]+/([a-z]+)(?:/([^/]+))?(?:/([a-z]+))?$")


Heard = Callable[[str, bytes], Awaitable[object]]
"""Is told of each write that was accepted, and what was answered, before that answer goes on."""


class Stage(Protocol):
    """Says what calls and events meet, one after another."""

    async def meets(self, what: str, *, writes: bool) -> Fault | None: ...

    def event(self) -> Fault | None: ...


@dataclass(frozen=True, slots=True)
class _Late:
    """A call that was held back."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Upstream:
    """The API server, and one session for all proxies of this process."""

    url: str
    session: aiohttp.ClientSession


@asynccontextmanager
async def upstream(url: str, ca: str) -> AsyncIterator[Upstream]:
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cadata=ca))
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield Upstream(url, session)


@dataclass(slots=True)
class Proxy:
    """One plan's. Nothing is counted, and nothing goes wrong, before it is armed."""

    upstream: Upstream
    namespace: str
    kill: Callable[[int], None]
    heard: Heard | None = None
    stage: Stage | None = None
    """What calls and events meet in the place of one fault."""
    agent: str = ""
    """Put behind the name by which the audit log knows this operator."""
    armed: bool = False
    plan: Plan | None = None
    fired: bool = False
    calls: list[str] = field(default_factory=list)
    """`GET pods`, `PATCH workflows/status`: what was asked since."""
    written: list[str] = field(default_factory=list)
    """Of these, the writes that the server accepted."""
    phases: list[str] = field(default_factory=list)
    """What the statuses among them said."""
    events: int = 0
    asked_for_lease: asyncio.Event = field(default_factory=asyncio.Event)
    _last: dict[str, bytes] = field(default_factory=dict)
    _late: _Late | None = None
    _server: asyncio.Server | None = None

    async def open(self) -> int:
        """Gives the port, on loopback."""
        server = web.Server(self._handle, handler_cancellation=True, access_log=None)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(server, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def arm(self, plan: Plan) -> None:
        self.armed, self.plan = True, plan

    @property
    def holds_back(self) -> bool:
        """Whether a call waits for its way to the server."""
        return self._late is not None

    async def let_late_through(self) -> str | None:
        """What the server says to the call that was held back; None where there is none."""
        late, self._late = self._late, None
        if late is None:
            return None
        async with self.upstream.session.request(
            late.method, late.url, data=late.body, headers=late.headers
        ) as answer:
            return f"{answer.status} to {late.method} {late.url}"

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            if request.query.get("watch") == "true":
                return await self._watch(request)
            return await self._call(request)
        except aiohttp.ClientError:
            return _broken_off(request)

    async def _call(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        if _kind(request) == "leases":
            self.asked_for_lease.set()
        fault = self._due(request)
        if self.stage is not None and self._counts(request):
            fault = await self._met(self.stage, request)
        if fault is Fault.LATE:
            headers = self._headers(request)
            self._late = _Late(request.method, self._url(request), headers, body)
        if fault is not None:
            early = self._instead(request, fault)
            if early is not None:
                return early
        async with self.upstream.session.request(
            request.method, self._url(request), data=body or None, headers=self._headers(request)
        ) as answer:
            content = await answer.read()
        await self._note(request, answer.status, content)
        if fault in (Fault.KILL_AFTER, Fault.UNANSWERED):
            return await self._silence(request, fault)
        if request.method == "GET" and answer.status == 200:
            self._last[_read(request)] = content
        headers = {k: v for k in ("Content-Type", "Retry-After") if (v := answer.headers.get(k))}
        return web.Response(status=answer.status, body=content, headers=headers)

    def _counts(self, request: web.BaseRequest) -> bool:
        return self.armed and f"/namespaces/{self.namespace}/" in request.path

    async def _met(self, stage: Stage, request: web.BaseRequest) -> Fault | None:
        writes = request.method != "GET" and "dryRun" not in request.query
        fault = await stage.meets(f"{request.method} {_kind(request)}", writes=writes)
        return None if fault is Fault.STALE and _read(request) not in self._last else fault

    def _due(self, request: web.BaseRequest) -> Fault | None:
        """Count the call; the fault that it is to meet."""
        if not self._counts(request):
            return None
        index = len(self.calls)
        self.calls.append(f"{request.method} {_kind(request)}")
        plan = self.plan
        if plan is None or plan.fault in OF_WATCHES or plan.index != index:
            return None
        self.fired = plan.fault is not Fault.STALE or _read(request) in self._last
        return plan.fault if self.fired else None

    def _instead(self, request: web.BaseRequest, fault: Fault) -> web.Response | None:
        """What is done in the place of the call; None where it reaches the server."""
        match fault:
            case Fault.KILL_BEFORE | Fault.LATE | Fault.RESET | Fault.TERM_BEFORE:
                if fault in (Fault.KILL_BEFORE, Fault.LATE):
                    self.kill(SIGKILL)
                if fault is Fault.TERM_BEFORE:
                    self.kill(SIGTERM)
                    return None
                return _broken_off(request)
            case Fault.STALE:
                old = self._last[_read(request)]
                return web.Response(body=old, content_type="application/json")
            case _ if fault in CODES:
                return _refusal(fault)
            case _:
                return None

    async def _silence(self, request: web.BaseRequest, fault: Fault) -> web.Response:
        if fault is Fault.KILL_AFTER:
            self.kill(SIGKILL)
        else:
            await asyncio.sleep(HELD)
        return _broken_off(request)

    async def _note(self, request: web.BaseRequest, code: int, content: bytes) -> None:
        if request.method == "GET" or code >= 300 or "dryRun" in request.query:
            return
        what = f"{request.method} {_kind(request)}"
        if self._counts(request):
            self.written.append(what)
            if what == STATUS:
                self.phases.append(json.loads(content)["status"]["phase"])
        if self.heard is not None:
            await self.heard(what, content)

    async def _watch(self, request: web.BaseRequest) -> web.StreamResponse:
        async with self.upstream.session.get(
            self._url(request), headers=self._headers(request)
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            response.content_type = answer.content_type
            with contextlib.suppress(ConnectionError):
                await response.prepare(request)
                async for lines in self._lines(answer.content):
                    await response.write(lines)
        return response

    async def _lines(self, stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
        """The events, as this plan has them arrive."""
        held = b""
        async for line in _whole_lines(stream):
            fault = self._due_event()
            match fault:
                case Fault.DROPPED:
                    continue
                case Fault.REPEATED:
                    yield line + line
                case Fault.REORDERED:
                    held = line
                    continue
                case Fault.DELAYED:
                    await asyncio.sleep(HELD)
                    yield line
                case Fault.CLOSED:
                    return
                case Fault.HALF_OPEN:
                    await asyncio.Event().wait()
                case Fault.GONE:
                    status = {
                        "kind": "Status",
                        "code": 410,
                        "reason": "Expired",
                        "message": "too old",
                    }
                    yield json.dumps({"type": "ERROR", "object": status}).encode() + b"\n"
                    return
                case _:
                    yield line + held
                    held = b""

    def _due_event(self) -> Fault | None:
        if not self.armed:
            return None
        index, self.events = self.events, self.events + 1
        if self.stage is not None:
            return self.stage.event()
        plan = self.plan
        if plan is None or plan.fault not in OF_WATCHES or plan.index != index:
            return None
        self.fired = True
        return plan.fault

    def _url(self, request: web.BaseRequest) -> str:
        return self.upstream.url + request.path_qs

    def _headers(self, request: web.BaseRequest) -> dict[str, str]:
        headers = {k: v for k in _PASSED_ON if (v := request.headers.get(k))}
        return headers | {"User-Agent": headers.get("User-Agent", "") + self.agent}


def _kind(request: web.BaseRequest) -> str:
    found = _KIND.search(request.path)
    if found is None:
        return request.path
    kind, _, sub = found.groups()
    return f"{kind}/{sub}" if sub else kind


def _read(request: web.BaseRequest) -> str:
    """What is read, however new it has to be."""
    return str(request.rel_url.without_query_params("resourceVersion", "resourceVersionMatch"))


def _broken_off(request: web.BaseRequest) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _refusal(fault: Fault) -> web.Response:
    code, reason = CODES[fault]
    status = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": "made up by the proxy",
        "reason": reason,
        "code": code,
    }
    headers = {"Retry-After": "1"} if fault is Fault.THROTTLED_FOR else {}
    return web.json_response(status, status=code, headers=headers)


async def _whole_lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Of any length."""
    text = b""
    async for chunk in stream.iter_any():
        *lines, text = (text + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line + b"\n"
