"""The one place that speaks to the API server: raw objects over kubernetes.aio."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from yarl import URL

from belay.shell.errors import ApiError, Unavailable, translate
from belay.shell.login import configure
from belay.shell.metadata import read_page
from belay.shell.resources import PODS, Resource

Object = dict[str, Any]
Objects = list[Object]
Query = Mapping[str, str | int | bool | None]

TIMEOUT: Final = 30.0
"""Seconds that any one call may take; the server's own limit is 60."""
WATCH_SECONDS: Final = 300
PAGE: Final = 500
_METADATA: Final = "application/json;as={};g=meta.k8s.io;v=v1"

_ALL_SENT: Final = "k8s.io/initial-events-end"

_APPLY: Final = "application/apply-patch+yaml; charset=utf-8"
"""With its parameter, or the client library would encode the text a second time."""
_JSON_PATCH: Final = "application/json-patch+json"
_PAIR: Final = re.compile(r"\\\\|\\u(d[89ab][0-9a-f]{2})\\u(d[c-f][0-9a-f]{2})")

_EXEC_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_EXEC_FRAME: Final = 128 * 1024

_WRITES: Final = frozenset({"create", "update", "patch", "delete"})

Read = Callable[[bytes], Object]
OnRequest = Callable[[str, Resource, int], None]


class Cluster:
    """Verbs on raw objects. Every failure is an `ApiError`.

    `on_request` hears the verb, the resource and the HTTP status (0: no answer) of each call.
    """

    def __init__(
        self, client: ApiClient, namespace: str, on_request: OnRequest | None = None
    ) -> None:
        self._client = client
        self.namespace = namespace
        self._on_request = on_request
        self.may_write: Callable[[], bool] = lambda: True
        """Asked before each write; False refuses it: somebody else may lead by now."""

    @classmethod
    async def connect(
        cls,
        kubeconfig: str | None = None,
        context: str | None = None,
        *,
        user_agent: str = "belay",
        connections: int = 64,
        on_request: OnRequest | None = None,
    ) -> Self:
        """Connect by kubeconfig where given or found, else by the pod's ServiceAccount.

        Raises `ConnectionError` where there is neither.
        """
        configuration, namespace = await configure(kubeconfig, context)
        configuration.connection_pool_maxsize = connections
        client = ApiClient(configuration)
        client.user_agent = user_agent
        return cls(client, namespace, on_request)

    @property
    def host(self) -> str:
        """URL of the API server."""
        return str(self._client.configuration.host)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self._json("get", resource, resource.path(namespace, name))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
    ) -> Objects:
        """All objects, read page by page."""
        found, _ = await self._pages(resource, namespace, labels, fields, "application/json")
        return found

    async def list_metadata(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None
    ) -> tuple[Objects, str]:
        """Metadata of all objects, and the resourceVersion to watch from."""
        accept = _METADATA.format("PartialObjectMetadataList")
        return await self._pages(resource, namespace, labels, None, accept)

    async def metadata_pages(
        self, resource: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        """What `read_page` reads, page by page, each with the resourceVersion to watch from."""
        accept = _METADATA.format("PartialObjectMetadataList")
        async for page in self._each_page(resource, namespace, None, None, accept, read_page):
            yield page

    async def metadata_stream(
        self, resource: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        """As `metadata_pages`, but one by one from the server's cache (KEP-3157, "WatchList").

        Pages of great objects are read from etcd and decoded for their metadata: of 100,000 with
        20 KiB each that takes the server several times as long. Raises `Invalid` where the server
        knows no such stream, and `Unavailable` where it breaks off.
        """
        query: Query = {
            "watch": "true",
            "sendInitialEvents": "true",
            "resourceVersionMatch": "NotOlderThan",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
        }
        events = self._events(resource, namespace, query, metadata_only=True)
        async with aclosing(events):  # type: ignore[type-var]
            async for kind, body in events:
                metadata = body["metadata"]
                if kind != "BOOKMARK":
                    yield [body], metadata["resourceVersion"]
                elif _ALL_SENT in (metadata.get("annotations") or {}):
                    yield [], metadata["resourceVersion"]
                    return
        path = resource.path(namespace)
        raise Unavailable(0, "NoAnswer", f"watch {path}: ended before all was told")

    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        return await self._json("create", resource, resource.path(namespace), body=body)

    async def replace(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        path = resource.path(namespace, body["metadata"]["name"])
        return await self._json("update", resource, path, body=body)

    async def apply(
        self,
        resource: Resource,
        body: Object,
        *,
        manager: str,
        subresource: str | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> Object:
        """Server-side apply. `body` carries the uid, and the resourceVersion where it matters."""
        metadata = body["metadata"]
        query = {
            "fieldManager": manager,
            "force": "true" if force else None,
            "dryRun": "All" if dry_run else None,
        }
        path = resource.path(metadata["namespace"], metadata["name"], subresource)
        return await self._json("patch", resource, path, query, body, content_type=_APPLY)

    async def patch(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        operations: Sequence[Object],
        *,
        manager: str,
        dry_run: bool = False,
    ) -> Object:
        """JSON patch (RFC 6902); `operations` name the uid and the resourceVersion they are for."""
        query = {"fieldManager": manager, "dryRun": "All" if dry_run else None}
        path = resource.path(namespace, name)
        return await self._json(
            "patch", resource, path, query, list(operations), content_type=_JSON_PATCH
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        *,
        uid: str | None = None,
        grace: int | None = None,
        propagation: str | None = None,
    ) -> None:
        """Delete; with `uid`, only that very object."""
        options: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if propagation is not None:
            options["propagationPolicy"] = propagation
        await self._json("delete", resource, resource.path(namespace, name), body=options)

    async def watch(
        self,
        resource: Resource,
        namespace: str | None,
        since: str,
        *,
        labels: str | None = None,
        fields: str | None = None,
        metadata_only: bool = False,
    ) -> AsyncIterator[tuple[str, Object]]:
        """Events after `since`, bookmarks too, until the server ends the watch. Raises `Gone`."""
        query: Query = {
            "watch": "true",
            "resourceVersion": since,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": WATCH_SECONDS,
            "labelSelector": labels,
            "fieldSelector": fields,
        }
        async for event in self._events(resource, namespace, query, metadata_only=metadata_only):
            yield event

    async def _events(
        self, resource: Resource, namespace: str | None, query: Query, *, metadata_only: bool
    ) -> AsyncIterator[tuple[str, Object]]:
        accept = _METADATA.format("PartialObjectMetadata") if metadata_only else "application/json"
        timeout = aiohttp.ClientTimeout(total=WATCH_SECONDS + 60, sock_connect=10, sock_read=75)
        path = resource.path(namespace)
        async with self._call(
            "watch", resource, path, query, accept=accept, timeout=timeout
        ) as answer:
            async for line in _lines(answer):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise translate(int(status.get("code") or 500), status, None)
                yield event["type"], event["object"]

    @asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A command in a pod, by WebSocket: its standard error, and its exit on channel 3."""
        words = [("command", word) for word in command]
        query = [("stderr", "true"), *([("container", container)] if container else []), *words]
        path = PODS.path(namespace, pod, "exec")
        url = f"{self._client.configuration.host}{path}?{urlencode(query)}"
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
                        protocols=_EXEC_PROTOCOLS,
                        headers=headers,
                        proxy=rest.proxy,
                        max_msg_size=_EXEC_FRAME,
                    )
                except aiohttp.WSServerHandshakeError as error:
                    code = error.status
                    raise translate(code, {"message": f"exec in {pod}"}, None) from error
                except (aiohttp.ClientError, OSError) as error:
                    raise Unavailable(0, "NoAnswer", f"exec {path}: {_words(error)}") from error
                code = 101
                # No farewell: it would read on for as long as the other side writes.
                yield socket
        finally:
            if self._on_request is not None:
                self._on_request("exec", PODS, code)

    async def _pages(
        self,
        resource: Resource,
        namespace: str | None,
        labels: str | None,
        fields: str | None,
        accept: str,
    ) -> tuple[Objects, str]:
        found: Objects = []
        version = ""
        pages = self._each_page(resource, namespace, labels, fields, accept)
        async for page, listed_at in pages:
            found += page
            version = listed_at
        return found, version

    async def _each_page(
        self,
        resource: Resource,
        namespace: str | None,
        labels: str | None,
        fields: str | None,
        accept: str,
        read: Read = json.loads,
    ) -> AsyncIterator[tuple[Objects, str]]:
        following: str | None = None
        path = resource.path(namespace)
        while following != "":
            query: Query = {
                "limit": PAGE,
                "continue": following,
                "labelSelector": labels,
                "fieldSelector": fields,
            }
            page = await self._json("list", resource, path, query, accept=accept, read=read)
            following = str(page["metadata"].get("continue") or "")
            version = str(page["metadata"].get("resourceVersion") or "")
            yield page.get("items") or [], version

    async def _json(
        self,
        verb: str,
        resource: Resource,
        path: str,
        query: Query | None = None,
        body: Object | Objects | None = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        read: Read = json.loads,
    ) -> Object:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=10)
        call = self._call(
            verb,
            resource,
            path,
            query,
            body,
            content_type=content_type,
            accept=accept,
            timeout=timeout,
        )
        async with call as answer:
            try:
                return dict(read(await answer.read()))
            except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                raise Unavailable(0, "NoAnswer", f"{verb} {path}: {_words(error)}") from error

    @asynccontextmanager
    async def _call(
        self,
        verb: str,
        resource: Resource,
        path: str,
        query: Query | None = None,
        body: Object | Objects | None = None,
        *,
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        method = {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(
            verb, "GET"
        )
        if verb in _WRITES and not self.may_write():
            raise Unavailable(
                0, "NotLeading", f"{verb} {path}: this process does not lead any more"
            )
        parameters = {key: value for key, value in (query or {}).items() if value is not None}
        url = (
            self._client.configuration.host
            + path
            + ("?" + urlencode(parameters) if parameters else "")
        )
        headers = {
            "User-Agent": self._client.user_agent,
            "Accept": accept,
            "Content-Type": content_type,
        }
        await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        code = 0
        try:
            try:
                answer = await self._client.rest_client.request(
                    method,
                    url,
                    headers=headers,
                    body=_as_yaml(body) if content_type == _APPLY else body,
                    _request_timeout=timeout,
                )
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise Unavailable(0, "NoAnswer", f"{verb} {path}: {_words(error)}") from error
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
                self._on_request(verb, resource, code)


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


async def _lines(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
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
