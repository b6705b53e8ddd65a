"""Pods that answer as a test tells them to: real sockets on loopback."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from belay.api.check import Check
from belay.api.words import Stage
from belay.core.evidence.probe import Probe

Behaviour = Callable[["Connection"], Awaitable[None]]


@dataclass
class Connection:
    """One connection to a pod, after its request was read."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    head: bytes
    body: bytes

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def forever(self, data: bytes) -> None:
        """Send the same bytes until the other side has enough."""
        while True:
            await self.send(data)

    async def drip(self, data: bytes) -> None:
        """Send a byte now and then."""
        while True:
            await self.send(data)
            await asyncio.sleep(0.002)

    async def wait_until_left(self) -> None:
        await self.reader.read()

    def reset(self) -> None:
        """Break off with RST."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@dataclass
class Pod:
    """A pod that listens; `requests` are the heads that it read."""

    behaviour: Behaviour
    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; looked at after each request."""
        async with self.changed:
            await self.changed.wait_for(condition)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError, asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(_length(head))
            self.requests.append(head)
            self.bodies.append(body)
            async with self.changed:
                self.changed.notify_all()
            await self.behaviour(Connection(reader, writer, head, body))
        writer.close()


def _length(head: bytes) -> int:
    lines = head.lower().split(b"\r\n")
    return next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), 0)


@asynccontextmanager
async def running(
    behaviour: Behaviour, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[Pod]:
    """A pod that runs; when it goes, so do its connections."""
    pod = Pod(behaviour)
    serving: set[asyncio.Task[None]] = set()

    def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(pod.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)
        task.add_done_callback(lambda done: writer.transport.abort() if done.cancelled() else None)

    server = await asyncio.start_server(serve, host, port, backlog=2048)
    pod.port = server.sockets[0].getsockname()[1]
    try:
        yield pod
    finally:
        for _ in range(5):
            # Python 3.11 drops a connection unclosed that it accepted right before close().
            await asyncio.sleep(0)
        server.close()
        for task in tuple(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await server.wait_closed()


def answers(status: int = 200, body: bytes = b"ok", *headers: str) -> Behaviour:
    """A pod that answers this."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers, "", ""]
    answer = "\r\n".join(lines).encode() + body

    async def behaviour(connection: Connection) -> None:
        await connection.send(answer)

    return behaviour


def sends(data: bytes) -> Behaviour:
    """A pod that sends these bytes and hangs up."""

    async def behaviour(connection: Connection) -> None:
        await connection.send(data)

    return behaviour


async def hangs(connection: Connection) -> None:
    """A pod that never answers."""
    await connection.wait_until_left()


def check(name: str = "answers", **fields: Any) -> Check:
    """A check; fields of `http` that are not of the check go to its http."""
    own = {k: fields.pop(k) for k in tuple(fields) if k in _OWN}
    return Check.model_validate(
        {"name": name, "timeout": "30s", "http": {"port": 8080, **fields}, **own}
    )


_OWN = {"period", "timeout", "failureThreshold", "successThreshold", "at"}


def probe(
    of: Check | None = None,
    port: int | None = None,
    *,
    pod: str = "triage-1",
    address: str = "127.0.0.1",
    ready: bool = True,
) -> Probe:
    return Probe(
        check=of or check(),
        stage=Stage.GATE,
        namespace="shop",
        pod=pod,
        pod_uid=f"uid-of-{pod}",
        address=address,
        hosts=(),
        host_network=False,
        port=port,
        ready=ready,
    )


def wall_clock() -> datetime:
    return datetime.now(UTC)
