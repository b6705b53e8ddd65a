"""Requests to the API server over kubernetes.aio: one call, its answer, its failure."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from yarl import URL

from belay.shell.errors import ApiError, Unavailable, translate
from belay.shell.resources import Object, Objects, Resource

Query = Mapping[str, str | int | bool | None]

APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
"""With its parameter, or the client library would encode the text a second time."""
JSON: Final = "application/json"

TIMEOUT: Final = 30.0
"""Seconds that any one call may take; the server's own limit is 60."""
_PAIR: Final = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")

_METHODS: Final = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}

Read = Callable[[bytes], Object]
OnRequest = Callable[[str, Resource, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """One request; its verb is that of RBAC and of metrics, such as `list` or `update`."""

    verb: str
    resource: Resource
    path: str
    query: Query | None = None
    body: Object | Objects | None = None
    content_type: str = JSON
    accept: str = JSON

    def __str__(self) -> str:
        return f"{self.verb} {self.path}"

    @property
    def sent(self) -> Object | Objects | str | None:
        """The body as the client library takes it."""
        return _as_yaml(self.body) if self.content_type == APPLY else self.body


class Transport:
    """Sends requests. Every failure is an `ApiError`.

    `on_request` hears the verb, the resource and the HTTP status (0: no answer) of each call.
    """

    def __init__(self, client: ApiClient, on_request: OnRequest | None = None) -> None:
        self._client = client
        self._on_request = on_request
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each write; False refuses it: somebody else may lead by now."""

    @property
    def host(self) -> str:
        """URL of the API server."""
        return str(self._client.configuration.host)

    async def close(self) -> None:
        await self._client.close()

    async def send(self, request: Request, read: Read = json.loads) -> Object:
        """What the server answers, all of it, as one object."""
        limits = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=10)
        async with self.stream(request, limits) as answer:
            try:
                return dict(read(await answer.read()))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise Unavailable(0, "NoAnswer", f"{request}: {_words(error)}") from error

    @asynccontextmanager
    async def stream(
        self, request: Request, limits: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer that is no failure, its body still to be read."""
        method = _METHODS.get(request.verb, "GET")
        if request.verb in _METHODS and not self.may_write():
            raise Unavailable(0, "NotLeading", f"{request}: this process does not lead any more")
        query = request.query or {}
        parameters = {key: value for key, value in query.items() if value is not None}
        url = self.host + request.path + ("?" + urlencode(parameters) if parameters else "")
        headers = {
            "User-Agent": self._client.user_agent,
            "Accept": request.accept,
            "Content-Type": request.content_type,
        }
        path, body = request.path, request.body
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        code = 0
        try:
            try:
                answer = await self._client.rest_client.request(
                    method,
                    url,
                    headers=headers,
                    body=request.sent,
                    _request_timeout=limits,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(0, "NoAnswer", f"{request}: {_words(error)}") from error
            response: aiohttp.ClientResponse = answer.response
            code = response.status
            try:
                if code >= 400:
                    raise await _error(response)
                yield response
            finally:
                _abandon(response)
        finally:
            if self._on_request is not None:
                self._on_request(request.verb, request.resource, code)

    @asynccontextmanager
    async def socket(
        self,
        request: Request,
        query: Sequence[tuple[str, str]],
        *,
        protocols: Sequence[str],
        most: int,
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket whose messages have at most so many bytes; a key of `query` may repeat."""
        path = request.path
        url = f"{self.host}{path}?{urlencode(query)}"
        headers = {"User-Agent": self._client.user_agent}
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, "GET", None)
        rest = self._client.rest_client
        code = 0
        try:
            async with aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=rest.ssl_context, force_close=True)
            ) as session:
                try:
                    socket = await session.ws_connect(
                        URL(url, encoded=True),
                        protocols=protocols,
                        headers=headers,
                        proxy=rest.proxy,
                        max_msg_size=most,
                    )
                except aiohttp.WSServerHandshakeError as error:
                    code = error.status
                    raise translate(code, {"message": f"{request}"}, None) from error
                except (aiohttp.ClientError, OSError) as error:
                    raise Unavailable(0, "NoAnswer", f"{request}: {_words(error)}") from error
                code = 101
                # No farewell: it would read on for as long as the other side writes.
                yield socket
        finally:
            if self._on_request is not None:
                self._on_request(request.verb, request.resource, code)


def _as_yaml(body: Object | Objects | None) -> str:
    """JSON that is YAML, too: YAML knows no surrogate pairs, only escapes with eight digits."""

    def whole(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0]
        high, low = int(match[1], 16), int(match[2], 16)
        return f"\\U{0x10000 + ((high - 0xD800) << 10) + low - 0xDC00:08x}"

    return _PAIR.sub(whole, json.dumps(body))


def _abandon(response: aiohttp.ClientResponse) -> None:
    """Give a connection back; where the answer is still coming, break it off at once.

    A TLS farewell would go on after the event loop is closed.
    """
    connection = response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.release()


async def _error(response: aiohttp.ClientResponse) -> ApiError:
    try:
        body = json.loads(await response.read())
    except (aiohttp.ClientError, TimeoutError, ValueError):
        body = {}
    status = body if isinstance(body, dict) else {}
    return translate(response.status, status, response.headers.get("Retry-After"))


async def lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    """Lines of any length; a stream that breaks off just ends, for a watch is resumed anyway."""
    rest = b""
    try:
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line:
                    yield line
    except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError):
        return


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
