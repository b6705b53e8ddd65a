"""One HTTP request of a check, to one pod, and what came of it.

The pod is hostile until proven otherwise: one address, no names, no redirects, no cookies, no
proxy, bounded in time and in bytes, and nothing that it says reaches a person.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from belay.api.check import Expect, HttpCheck, Method
from belay.core.evidence.probe import Answer, Probe, Report, Sample
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.checks.dialling import Result, network_trouble, sampled, undialled
from belay.shell.checks.egress import Address, Guard, canonical
from belay.shell.checks.report import reported
from belay.shell.checks.trust import Trust

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MAX_BODY_READ: Final = 64 * 1024
MAX_RECEIVED: Final = 3 * MAX_BODY_READ
"""Bytes that one exchange may bring, status line, headers and chunk framing included."""
_GULP: Final = 16 * 1024
_REQUEST_ROOM: Final = 128 * 1024


class _Socket(socket.socket):
    """A socket that stops listening after `MAX_RECEIVED` bytes.

    aiohttp bounds each header, but neither the number of 1xx answers nor what chunk framing costs.
    """

    left: int = MAX_RECEIVED

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        data = super().recv(min(bufsize, _GULP, self.left), flags) if self.left else b""
        self.left -= len(data)
        return data

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0, /) -> int:
        """What TLS reads by."""
        if not self.left:
            return 0
        room = nbytes or memoryview(buffer).nbytes
        count = super().recv_into(buffer, min(room, _GULP, self.left), flags)
        self.left -= count
        return count


def _socket(most: int, info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose send buffer takes any request whole.

    So what a pod never reads is the kernel's to give up, and holds no descriptor of ours.
    """
    family, kind, protocol, _, _ = info
    made = _Socket(family, kind, protocol)
    made.left = most
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_ROOM)
    return made


class _NoNames(AbstractResolver):
    """Resolves nothing."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise OSError(f"probes resolve no names: {host}:{port} ({family})")

    async def close(self) -> None:
        pass


def open_session(
    version: str, *, name: str = "belay-probe", most: int = MAX_RECEIVED
) -> aiohttp.ClientSession:
    """A session for requests to pods; `version` is that of the operator.

    A connection serves one request: one that was kept would tell of the pod as it was before, and
    make a false failure of a restart. `most` is how many bytes one exchange may bring.
    """
    connector = aiohttp.TCPConnector(
        force_close=True,
        limit=0,
        resolver=_NoNames(),
        use_dns_cache=False,
        happy_eyeballs_delay=None,
        socket_factory=partial(_socket, most),
    )
    session = aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        read_bufsize=_GULP,
        skip_auto_headers=("Content-Type",),
        headers={"User-Agent": f"{name}/{version}", "Accept-Encoding": "identity"},
    )
    session._retry_connection = False  # noqa: SLF001 - else a reset of a GET is hidden by a second try
    return session


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a pod."""

    http: HttpCheck
    url: URL
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | None = None
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class HttpAsker:
    """Asks probes over HTTP. Never raises for what a pod, a check or a Secret holds."""

    session: aiohttp.ClientSession
    guard: Guard
    credentials: Credentials
    trust: Trust
    now: Callable[[], datetime]

    async def __call__(self, probe: Probe) -> Sample:
        return sampled(await self._asked(probe), self.now())

    async def _asked(self, probe: Probe) -> Result:
        http = probe.check.http
        assert http is not None  # noqa: S101
        obstacle = undialled(probe, self.guard)
        if obstacle is not None:
            return Answer.UNASKED, obstacle
        headers = await self.credentials.resolve(probe.namespace, http)
        if isinstance(headers, Problem):
            return Answer.UNASKED, headers.text
        tls = await self.trust.context(probe.namespace, http.tls, "http/1.1") if http.tls else None
        if isinstance(tls, Problem):
            return Answer.UNASKED, tls.text
        address = canonical(probe.address)
        assert address is not None  # noqa: S101
        request = _request(http, address, probe.port, headers, tls)
        request = replace(request, report=probe.report)
        return await ask(request, probe.check.limit, self.session)


async def ask(request: Request, limit: float, session: aiohttp.ClientSession) -> Result:
    """Send a request that the guard let through, and judge the answer."""
    heard: list[int] = []
    try:
        async with asyncio.timeout(limit):
            return await _exchange(session, request, heard)
    except TimeoutError:
        return Answer.NONE, _unfinished(heard, f"within {limit:g} s")
    except aiohttp.ClientPayloadError:
        return Answer.NONE, _unfinished(heard, "before the connection broke off")
    except aiohttp.ServerDisconnectedError:
        return Answer.NONE, "connection closed without an answer"
    except (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError):
        return Answer.WRONG, "something that is not plain HTTP (TLS, or headers beyond 8 KiB?)"
    except OSError as error:
        return network_trouble(error, request.http.tls)


def _request(
    http: HttpCheck,
    address: Address,
    port: int | None,
    headers: Mapping[str, str],
    tls: ssl.SSLContext | None,
) -> Request:
    host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
    scheme = "http" if tls is None else "https"
    url = URL(f"{scheme}://{host}:{port}{http.path}", encoded=True)
    own = {} if any(name.lower() == "host" for name in headers) else {"Host": f"{host}:{port}"}
    return Request(http, url, {**own, **headers}, tls)


async def _exchange(session: aiohttp.ClientSession, request: Request, heard: list[int]) -> Result:
    """The whole exchange. The status goes into `heard` as soon as it is known."""
    http = request.http
    async with session.request(
        http.method.value,
        request.url,
        headers=request.headers,
        data=None if http.body is None else http.body.encode(),
        allow_redirects=False,
        ssl=request.tls or True,
        server_hostname=http.tls.server_name if http.tls is not None else None,
    ) as response:
        heard.append(response.status)
        if response.status not in http.expect.status:
            return Answer.WRONG, f"{response.status} instead of {_listed(http.expect)}"
        if http.method is Method.HEAD or response.status == 101:
            return _matched(response.status, http.expect, b"")
        body = await _body(response.content)
        if request.report is not None:
            return reported(body, request.report)
        return _matched(response.status, http.expect, body)


async def _body(content: aiohttp.StreamReader) -> bytes:
    """The first 64 KiB of a body."""
    body = b""
    async for chunk in content.iter_any():
        body += chunk
        if len(body) >= MAX_BODY_READ:
            break
    return body[:MAX_BODY_READ]


def _matched(status: int, expect: Expect, body: bytes) -> Result:
    wanted = expect.body_contains
    if wanted is None or wanted in body.decode(errors="replace"):
        return Answer.RIGHT, str(status)
    quoted = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in wanted[:100])
    if len(wanted) > 100:
        quoted += "…"
    where = "first 64 KiB of the body do" if len(body) == MAX_BODY_READ else "body does"
    mark = "'" if '"' in quoted else '"'
    return Answer.WRONG, f"{status}, but the {where} not contain {mark}{quoted}{mark}"


def _listed(expect: Expect) -> str:
    *most, last = (str(status) for status in expect.status)
    return f"{', '.join(most)} or {last}" if most else last


def _unfinished(heard: list[int], end: str) -> str:
    """What to say of an answer that did not come to its end."""
    if not heard:
        return f"no answer {end}"
    return f"{heard[0]}, but not the end of its body {end}"
