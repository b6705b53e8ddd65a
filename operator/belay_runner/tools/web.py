"""Calls of HTTP nodes: to allowed places only, without redirects, bounded in size and time.

A network policy or a proxy is the barrier that holds. This one keeps honest mistakes and plain
attempts out, and the address that was judged is the one that is dialled.
"""

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import httpcore
import httpx

from belay_runner.tools import bounded
from belay_runner.tools.allowed import Allowed, NotAllowed
from belay_runner.tools.bounded import TooMuch

_CONNECTIONS = httpx.Limits(max_connections=128, max_keepalive_connections=32)


class CallFailed(Exception):
    """No answer, or one that may not be read whole."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str


class Web:
    """One pool of connections for all runs."""

    def __init__(self, allowed: Allowed, seconds: float, most_bytes: int) -> None:
        self._allowed, self._seconds, self._most = allowed, seconds, most_bytes
        self._client = httpx.Client(
            transport=_Guarded(allowed), follow_redirects=False, trust_env=False
        )

    def call(self, method: str, url: str, timeouts: tuple[float, ...], **sent: Any) -> Answer:
        """Make one call, once. Raises `CallFailed`, with the reason for people."""
        connect, read, write = (min(float(t or self._seconds), self._seconds) for t in timeouts)
        limits = httpx.Timeout(connect=connect, read=read, write=write, pool=self._seconds)
        target = httpx.URL(url)
        try:
            self._allowed.check_host(target.host, _port(target))
            with self._client.stream(method, target, timeout=limits, **sent) as response:
                content = bounded.content(response, self._seconds, self._most)
                return Answer(response.status_code, dict(response.headers), content, url)
        except (NotAllowed, TooMuch, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise CallFailed(
                f"{method} {target.host}: {str(error) or type(error).__name__}"
            ) from error


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


class _Guarded(httpx.HTTPTransport):
    """httpx's own transport over a pool that judges each address before it dials it."""

    def __init__(self, allowed: Allowed) -> None:
        super().__init__(trust_env=False, limits=_CONNECTIONS)
        self._pool = httpcore.ConnectionPool(
            ssl_context=httpx.create_ssl_context(),
            max_connections=_CONNECTIONS.max_connections,
            max_keepalive_connections=_CONNECTIONS.max_keepalive_connections,
            network_backend=_Dialler(allowed),
        )


class _Dialler(httpcore.SyncBackend):
    def __init__(self, allowed: Allowed) -> None:
        super().__init__()
        self._allowed = allowed

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} has no address: {error}") from error
        refused: httpcore.ConnectError | httpcore.ConnectTimeout | None = None
        for address in dict.fromkeys(str(entry[4][0]) for entry in found):
            self._allowed.check_address(host, address)
            try:
                return super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                refused = error
        raise refused or httpcore.ConnectError(f"{host} has no address")
