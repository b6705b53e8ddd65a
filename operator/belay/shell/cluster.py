"""The one place that speaks to the API server: raw objects over kubernetes.aio."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final, Self

import aiohttp
from kubernetes.aio.client.api_client import ApiClient

from belay.shell.errors import Unavailable, translate
from belay.shell.login import configure
from belay.shell.metadata import read_page
from belay.shell.recent import Recent
from belay.shell.resources import PODS, Object, Objects, Resource
from belay.shell.transport import APPLY, JSON, OnRequest, Query, Read, Request, Transport, lines

WATCH_SECONDS: Final = 300
PAGE: Final = 500
_METADATA: Final = "application/json;as={};g=meta.k8s.io;v=v1"

_SINCE: Final = ("resourceVersion", "resourceVersionMatch")

_ALL_SENT: Final = "k8s.io/initial-events-end"

_JSON_PATCH: Final = "application/json-patch+json"

_EXEC_PROTOCOLS: Final = ("v5.channel.k8s.io", "v4.channel.k8s.io")
_EXEC_FRAME: Final = 128 * 1024


class Cluster:
    """Verbs on raw objects. Every failure is an `ApiError`."""

    def __init__(self, transport: Transport, namespace: str) -> None:
        self.transport = transport
        self.namespace = namespace
        self._recent = Recent()

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

        `on_request` hears the verb, the resource and the HTTP status (0: no answer) of each call.
        Raises `ConnectionError` where there is neither.
        """
        configuration, namespace = await configure(kubeconfig, context)
        configuration.connection_pool_maxsize = connections
        client = ApiClient(configuration)
        client.user_agent = user_agent
        return cls(Transport(client, on_request), namespace)

    @property
    def host(self) -> str:
        """URL of the API server."""
        return self.transport.host

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self.transport.close()

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return await self.transport.send(Request("get", resource, resource.path(namespace, name)))

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        labels: str | None = None,
        fields: str | None = None,
        recent: bool = False,
    ) -> Objects:
        """All objects, read page by page: as they are now.

        `recent`: or as they were a moment ago, but not before the last list or event of the kind.
        """
        query: Query = {"labelSelector": labels, "fieldSelector": fields}
        if recent and (since := self._recent.version(resource, namespace)) is not None:
            query = {**query, "resourceVersion": since, "resourceVersionMatch": "NotOlderThan"}
        found, version = await self._pages(resource, namespace, query, JSON)
        self._recent.note(resource, namespace, version)
        return found

    async def list_metadata(
        self, resource: Resource, namespace: str | None = None, *, labels: str | None = None
    ) -> tuple[Objects, str]:
        """Metadata of all objects, and the resourceVersion to watch from."""
        accept = _METADATA.format("PartialObjectMetadataList")
        return await self._pages(resource, namespace, {"labelSelector": labels}, accept)

    async def metadata_pages(
        self, resource: Resource, namespace: str | None = None
    ) -> AsyncIterator[tuple[Objects, str]]:
        """What `read_page` reads, page by page, each with the resourceVersion to watch from."""
        accept = _METADATA.format("PartialObjectMetadataList")
        async for page in self._each_page(resource, namespace, {}, accept, read_page):
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
        request = Request("create", resource, resource.path(namespace), body=body)
        return await self.transport.send(request)

    async def replace(self, resource: Resource, namespace: str | None, body: Object) -> Object:
        path = resource.path(namespace, body["metadata"]["name"])
        return await self.transport.send(Request("update", resource, path, body=body))

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
        return await self.transport.send(Request("patch", resource, path, query, body, APPLY))

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
        body = list(operations)
        return await self.transport.send(Request("patch", resource, path, query, body, _JSON_PATCH))

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
        path = resource.path(namespace, name)
        await self.transport.send(Request("delete", resource, path, body=options))

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
        accept = _METADATA.format("PartialObjectMetadata") if metadata_only else JSON
        limits = aiohttp.ClientTimeout(total=WATCH_SECONDS + 60, sock_connect=10, sock_read=75)
        path = resource.path(namespace)
        request = Request("watch", resource, path, query, accept=accept)
        async with self.transport.stream(request, limits) as answer:
            async for line in lines(answer):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise translate(int(status.get("code") or 500), status, None)
                kind, body = event["type"], event["object"]
                self._recent.note(resource, namespace, body["metadata"]["resourceVersion"])
                yield kind, body

    @asynccontextmanager
    async def exec(
        self, namespace: str, pod: str, container: str, command: Sequence[str]
    ) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A command in a pod, by WebSocket: its standard error, and its exit on channel 3."""
        words = [("command", word) for word in command]
        query = [("stderr", "true"), *([("container", container)] if container else []), *words]
        request = Request("exec", PODS, PODS.path(namespace, pod, "exec"))
        async with self.transport.socket(
            request, query, protocols=_EXEC_PROTOCOLS, most=_EXEC_FRAME
        ) as socket:
            yield socket

    async def _pages(
        self, resource: Resource, namespace: str | None, query: Query, accept: str
    ) -> tuple[Objects, str]:
        found: Objects = []
        version = ""
        async for page, listed_at in self._each_page(resource, namespace, query, accept):
            found += page
            version = listed_at
        return found, version

    async def _each_page(
        self,
        resource: Resource,
        namespace: str | None,
        query: Query,
        accept: str,
        read: Read = json.loads,
    ) -> AsyncIterator[tuple[Objects, str]]:
        path = resource.path(namespace)
        following: Query | None = {}
        while following is not None:
            request = Request(
                "list", resource, path, {"limit": PAGE, **query, **following}, accept=accept
            )
            page = await self.transport.send(request, read)
            more = page["metadata"].get("continue")
            # A token tells by itself which version its page is of.
            following = {"continue": more, **dict.fromkeys(_SINCE)} if more else None
            yield page.get("items") or [], str(page["metadata"].get("resourceVersion") or "")
