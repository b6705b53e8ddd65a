"""Writes what the API server has stored once, under other names, straight into its etcd.

Through the API server 100,000 objects of 20 KiB take an hour on a busy machine; so, a minute.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
from tests.harness.cluster import Cluster

from belay.shell.resources import Resource

_FLAG = "--listen-client-urls="


class Etcd:
    """The etcd of a control plane of the harness, by its JSON gateway."""

    def __init__(self, http: aiohttp.ClientSession, url: str) -> None:
        self._http = http
        self._url = url

    async def read(self, key: str) -> bytes:
        told = await self._call("range", {"key": _coded(key.encode())})
        return base64.b64decode(told["kvs"][0]["value"])

    async def write(self, pairs: Mapping[str, bytes]) -> None:
        """All of them in one transaction; together less than 1.5 MB."""
        puts = [
            {"requestPut": {"key": _coded(key.encode()), "value": _coded(value)}}
            for key, value in pairs.items()
        ]
        await self._call("txn", {"success": puts})

    async def _call(self, what: str, body: dict[str, Any]) -> dict[str, Any]:
        async with self._http.post(f"{self._url}/v3/kv/{what}", json=body) as answer:
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def connected(cluster: Cluster) -> AsyncIterator[Etcd]:
    url = _url(cluster)
    async with aiohttp.ClientSession() as http:
        yield Etcd(http, url)


def _url(cluster: Cluster) -> str:
    assert cluster.state is not None
    record = json.loads((cluster.state / "processes/etcd.json").read_text())
    words = Path(f"/proc/{record['pid']}/cmdline").read_text().split("\0")
    return next(word for word in words if word.startswith(_FLAG)).removeprefix(_FLAG)


def key_of(resource: Resource, namespace: str, name: str) -> str:
    """Where the API server keeps an object."""
    group = f"{resource.group}/" if "." in resource.group else ""
    return f"/registry/{group}{resource.plural}/{namespace}/{name}"


def _coded(text: bytes) -> str:
    return base64.b64encode(text).decode()
