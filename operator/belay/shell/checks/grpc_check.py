"""One gRPC health request of a check, to one pod, and what came of it.

The protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md, its two messages in
grpc/health/v1/health.proto, and "gRPC over HTTP2" for what is around them. HTTP/2 itself is h2's.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from belay.api.ways import GrpcCheck
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.credentials import Problem
from belay.shell.checks.dialling import Result, network_trouble, sampled, undialled
from belay.shell.checks.egress import Guard, canonical
from belay.shell.checks.trust import Trust

MAX_RECEIVED: Final = 64 * 1024
"""Bytes that one exchange may bring, TLS aside."""
MAX_MESSAGE: Final = 4096
_GULP: Final = 16 * 1024
_PATH: Final = "/grpc.health.v1.Health/Check"
_SETTINGS: Final = b"\x04"
"""Type of the frame that a server must send first (RFC 9113, 3.4); h2 waits for more instead."""
_NOT_HTTP2: Final = "something that is not HTTP/2"
_TOO_MUCH: Final = "more than any health message has"

_SERVING_STATUS: Final = {0: "UNKNOWN", 1: "SERVING", 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}
"""grpc.health.v1.HealthCheckResponse.ServingStatus."""
_CODES: Final = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
]
"""Status codes of gRPC by number (grpc/doc/statuscodes.md)."""


@dataclass(frozen=True, slots=True)
class GrpcAsker:
    """Asks probes by the gRPC health protocol. Never raises for what a pod says."""

    version: str
    """That of the operator."""
    guard: Guard
    trust: Trust
    now: Callable[[], datetime]

    async def __call__(self, probe: Probe) -> Sample:
        return sampled(await self._asked(probe), self.now())

    async def _asked(self, probe: Probe) -> Result:
        grpc = probe.check.grpc
        assert grpc is not None  # noqa: S101
        obstacle = undialled(probe, self.guard)
        if obstacle is not None:
            return Answer.UNASKED, obstacle
        address = canonical(probe.address)
        tls = await self.trust.context(probe.namespace, grpc.tls, "h2") if grpc.tls else None
        if isinstance(tls, Problem):
            return Answer.UNASKED, tls.text
        limit = probe.check.limit
        try:
            async with asyncio.timeout(limit):
                return await self._exchange(grpc, str(address), probe.port or 0, tls)
        except TimeoutError:
            return Answer.NONE, f"no answer within {limit:g} s"
        except OSError as error:
            return network_trouble(error, grpc.tls)

    async def _exchange(
        self, grpc: GrpcCheck, address: str, port: int, tls: ssl.SSLContext | None
    ) -> Result:
        name = grpc.tls.server_name if grpc.tls is not None else None
        reader, writer = await asyncio.open_connection(
            address, port, limit=_GULP, ssl=tls, server_hostname=name
        )
        try:
            agreed = writer.get_extra_info("ssl_object")
            if agreed is not None and agreed.selected_alpn_protocol() != "h2":
                return Answer.WRONG, "a TLS server that does not speak HTTP/2"
            host = f"[{address}]" if ":" in address else address
            call = _Call(grpc.service, f"{name or host}:{port}", self.version, tls is not None)
            return await _talk(call, reader, writer)
        finally:
            writer.transport.abort()


async def _talk(
    call: "_Call", reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Result:
    received = 0
    while True:
        writer.write(call.to_send())
        await writer.drain()
        data = await reader.read(_GULP)
        received += len(data)
        if not data:
            return Answer.NONE, "connection closed without an answer"
        if received > MAX_RECEIVED:
            return Answer.WRONG, _TOO_MUCH
        try:
            result = call.hear(data)
        except (h2.exceptions.H2Error, ValueError):
            return Answer.WRONG, _NOT_HTTP2
        if result is not None:
            return result


@dataclass(slots=True)
class _Call:
    """One unary call, without any I/O."""

    service: str
    authority: str
    version: str
    by_tls: bool
    _connection: h2.connection.H2Connection = field(init=False)
    _headers: dict[str, str] = field(default_factory=dict)
    _body: bytes = b""
    _head: bytes = b""

    def __post_init__(self) -> None:
        config = h2.config.H2Configuration(client_side=True, header_encoding="latin-1")
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()
        headers = [
            (":method", "POST"),
            (":scheme", "https" if self.by_tls else "http"),
            (":path", _PATH),
            (":authority", self.authority),
            ("te", "trailers"),
            ("content-type", "application/grpc"),
            ("user-agent", f"belay-probe/{self.version}"),
        ]
        self._connection.send_headers(1, headers)
        self._connection.send_data(1, _request(self.service), end_stream=True)

    def to_send(self) -> bytes:
        return bytes(self._connection.data_to_send())

    def hear(self, data: bytes) -> Result | None:
        """The result, once it is there. Raises `H2Error` or ValueError for what is not HTTP/2."""
        if len(self._head) < 4:
            self._head += data[:4]
            if self._head[3:4] not in (b"", _SETTINGS):
                raise ValueError
        for event in self._connection.receive_data(data):
            match event:
                case h2.events.ResponseReceived() | h2.events.TrailersReceived():
                    self._headers |= {str(k): str(v) for k, v in event.headers}
                case h2.events.DataReceived():
                    self._body += event.data
                    if len(self._body) > MAX_MESSAGE:
                        return Answer.WRONG, _TOO_MUCH
                case h2.events.StreamReset():
                    return Answer.WRONG, f"a reset of the request ({_name(event.error_code)})"
                case h2.events.ConnectionTerminated() if event.error_code:
                    return Answer.WRONG, f"a farewell ({_name(event.error_code)})"
                case h2.events.StreamEnded():
                    return _judged(self._headers, self._body)
                case _:
                    pass
        return None


def _judged(headers: dict[str, str], body: bytes) -> Result:
    status, code = headers.get(":status"), headers.get("grpc-status")
    if status != "200":
        return Answer.WRONG, f"HTTP {(status or '')[:3]} instead of gRPC"
    if code is None:
        return Answer.WRONG, "an answer that is not gRPC"
    if code != "0":
        known = code.isdigit() and len(code) < 3 and int(code) < len(_CODES)
        return Answer.WRONG, f"gRPC error {_CODES[int(code)] if known else 'of an unknown code'}"
    health = _serving_status(body)
    if health is None:
        return Answer.WRONG, "an answer that is no health message"
    name = _SERVING_STATUS.get(health, "an unknown status")
    return (Answer.RIGHT if health == 1 else Answer.WRONG), name


def _request(service: str) -> bytes:
    """HealthCheckRequest {string service = 1}, uncompressed, after its length."""
    name = service.encode()
    message = b"\x0a" + _varint(len(name)) + name if name else b""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _varint(number: int) -> bytes:
    out = b""
    while number > 127:
        out += bytes((number & 127 | 128,))
        number >>= 7
    return out + bytes((number,))


def _serving_status(body: bytes) -> int | None:
    """HealthCheckResponse {ServingStatus status = 1}; None where the bytes are no such message.

    Fields that are not known are passed over, as protobuf wants it.
    """
    if body[:1] != b"\0" or int.from_bytes(body[1:5], "big") != len(body) - 5:
        return None
    status, at = 0, 5
    try:
        while at < len(body):
            tag, at = _read_varint(body, at)
            match tag & 7:
                case 0:
                    value, at = _read_varint(body, at)
                    status = value if tag == 8 else status
                case 1:
                    at += 8
                case 2:
                    length, at = _read_varint(body, at)
                    at += length
                case 5:
                    at += 4
                case _:
                    return None
    except IndexError:
        return None
    return status if at == len(body) else None


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A number and where it ends. Raises `IndexError` where it does not."""
    number = 0
    for place in range(10):
        byte = data[at + place]
        number |= (byte & 127) << (7 * place)
        if byte < 128:
            return number, at + place + 1
    raise IndexError


def _name(code: int | h2.errors.ErrorCodes | None) -> str:
    return code.name if isinstance(code, h2.errors.ErrorCodes) else "unknown"
