"""The gRPC health protocol: against grpcio's own server, and against what is no such server."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tests.unit.shell.certificates import NAME, Authorities
from tests.unit.shell.pods import probe, wall_clock

from belay.api.check import Check
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard
from belay.shell.checks.grpc_check import GrpcAsker
from belay.shell.checks.trust import Trust
from belay.shell.resources import Resource

Ask = Callable[[Probe], Awaitable[Sample]]
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
STATUS = health_pb2.HealthCheckResponse
CA = {"name": "ca", "key": "ca.crt"}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def ask(authorities: Authorities) -> Ask:
    class ConfigMaps:
        async def get(self, _: Resource, __: str | None, ___: str) -> dict[str, Any]:
            return {"data": {"ca.crt": authorities.pem("believed")}}

    return GrpcAsker("1.2.3", Guard(HOSTILE - LOOPBACK), Trust(ConfigMaps(), kept=0.0), wall_clock)


@contextmanager
def server(
    statuses: dict[str, Any] | None, credentials: grpc.ServerCredentials | None = None
) -> Iterator[int]:
    """Grpcio's own server, with its health service where there are statuses; its port."""
    pool = ThreadPoolExecutor(2)
    running = grpc.server(pool)
    if statuses is not None:
        servicer = health.HealthServicer()
        for name, status in statuses.items():
            servicer.set(name, status)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, running)
    if credentials is None:
        port = running.add_insecure_port("127.0.0.1:0")
    else:
        port = running.add_secure_port("127.0.0.1:0", credentials)
    running.start()
    try:
        yield port
    finally:
        running.stop(None).wait()
        pool.shutdown()


def asking(port: int, timeout: str = "30s", **fields: Any) -> Probe:
    told = {"name": "healthy", "timeout": timeout, "grpc": {"port": 9090, **fields}}
    return probe(Check.model_validate(told), port)


async def got(ask: Ask, port: int, **fields: Any) -> tuple[Answer, str]:
    sample = await ask(asking(port, **fields))
    return sample.answer, sample.got


async def from_peer(ask: Ask, behaviour: Behaviour, **fields: Any) -> tuple[Answer, str]:
    """What comes of asking a peer that behaves like this."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await behaviour(reader, writer)
        except OSError:
            pass
        finally:
            writer.transport.abort()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        return await got(ask, running.sockets[0].getsockname()[1], **fields)


@pytest.mark.parametrize(
    ("service", "answer", "said"),
    [
        ("", Answer.RIGHT, "SERVING"),
        ("shop.Triage", Answer.RIGHT, "SERVING"),
        ("shop.Resting", Answer.WRONG, "NOT_SERVING"),
        ("shop.Unknown", Answer.WRONG, "UNKNOWN"),
        ("shop.New", Answer.WRONG, "SERVICE_UNKNOWN"),
        ("shop.Absent", Answer.WRONG, "gRPC error NOT_FOUND"),
        ("x" * 200, Answer.RIGHT, "SERVING"),
    ],
)
async def test_a_server_tells_its_health(ask: Ask, service: str, answer: Answer, said: str) -> None:
    statuses = {
        "": STATUS.SERVING,
        "shop.Triage": STATUS.SERVING,
        "shop.Resting": STATUS.NOT_SERVING,
        "shop.Unknown": STATUS.UNKNOWN,
        "shop.New": STATUS.SERVICE_UNKNOWN,
        "x" * 200: STATUS.SERVING,
    }
    with server(statuses) as port:
        assert await got(ask, port, service=service) == (answer, said)


async def test_a_server_without_the_health_service_is_wrong(ask: Ask) -> None:
    with server(None) as port:
        assert await got(ask, port) == (Answer.WRONG, "gRPC error UNIMPLEMENTED")


@pytest.mark.parametrize(
    ("leaf", "found"),
    [
        ("good", (Answer.RIGHT, "SERVING")),
        ("expired", (Answer.WRONG, "a certificate that has expired")),
        ("named-otherwise", (Answer.WRONG, f'a certificate that is not for "{NAME}"')),
    ],
)
async def test_by_tls_the_certificate_is_verified(
    ask: Ask, authorities: Authorities, leaf: str, found: tuple[Answer, str]
) -> None:
    key = (authorities.folder / f"{leaf}.key").read_bytes()
    credentials = grpc.ssl_server_credentials([(key, authorities.pem(leaf).encode())])
    with server({"": STATUS.SERVING}, credentials) as port:
        tls = {"serverName": NAME, "caConfigMapKeyRef": CA}
        assert await got(ask, port, tls=tls) == found


async def test_a_tls_server_of_another_protocol_is_wrong(
    ask: Ask, authorities: Authorities
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.transport.abort()

    tls = authorities.server("good", "http/1.1")
    running = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with running:
        port = running.sockets[0].getsockname()[1]
        fields = {"tls": {"serverName": NAME, "caConfigMapKeyRef": CA}}
        answer, said = await got(ask, port, **fields)
    assert (answer, said) == (Answer.WRONG, "a TLS server that does not speak HTTP/2")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\xff" * 100,
    ],
)
async def test_what_is_not_http2_is_wrong(ask: Ask, data: bytes) -> None:
    async def behaviour(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(0.05)

    assert await from_peer(ask, behaviour) == (Answer.WRONG, "something that is not HTTP/2")


async def test_silence_a_close_and_a_refusal_are_none(ask: Ask) -> None:
    async def hangs(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass

    async def closes(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read(10)

    found = await from_peer(ask, hangs, timeout="100ms")
    assert found == (Answer.NONE, "no answer within 0.1 s")
    answer, said = await from_peer(ask, closes)
    assert answer is Answer.NONE
    assert said in ("connection reset", "connection closed without an answer")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert await got(ask, port) == (Answer.NONE, "connection refused")


async def test_pings_without_end_are_ended_by_their_bytes(ask: Ask) -> None:
    async def pings(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\0\0\x04\0\0\0\0\0")
        while True:
            writer.write(b"\0\0\x08\x06\x01\0\0\0\0" + bytes(8))
            await writer.drain()

    found = await from_peer(ask, pings)
    assert found == (Answer.WRONG, "more than any health message has")


def answering(body: bytes, headers: dict[str, str], trailers: dict[str, str] | None) -> Behaviour:
    """A real HTTP/2 server that says this to the first request."""

    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        config = h2.config.H2Configuration(client_side=False)
        connection = h2.connection.H2Connection(config)
        connection.initiate_connection()
        writer.write(connection.data_to_send())
        while True:
            events = connection.receive_data(await reader.read(10_000))
            if any(isinstance(event, h2.events.StreamEnded) for event in events):
                break
        connection.send_headers(1, list(headers.items()))
        connection.send_data(1, body, end_stream=trailers is None)
        if trailers is not None:
            connection.send_headers(1, list(trailers.items()), end_stream=True)
        writer.write(connection.data_to_send())
        await writer.drain()
        await reader.read()

    return behaviour


NO_MESSAGE = "an answer that is no health message"
GRPC = {":status": "200", "content-type": "application/grpc"}
FINE = {"grpc-status": "0"}


@pytest.mark.parametrize(
    ("body", "headers", "trailers", "found"),
    [
        (b"\0\0\0\0\x02\x08\x01", GRPC, FINE, (Answer.RIGHT, "SERVING")),
        (b"\0\0\0\0\x05\x12\x01x\x08\x01", GRPC, FINE, (Answer.RIGHT, "SERVING")),
        (b"\0\0\0\0\x00", GRPC, FINE, (Answer.WRONG, "UNKNOWN")),
        (b"\0\0\0\0\x02\x08\x09", GRPC, FINE, (Answer.WRONG, "an unknown status")),
        (b"\x01\0\0\0\x02\x08\x01", GRPC, FINE, (Answer.WRONG, NO_MESSAGE)),
        (b"\0\0\0\0\x09\x08\x01", GRPC, FINE, (Answer.WRONG, NO_MESSAGE)),
        (b"\0\0\0\0\x02\x08\xff", GRPC, FINE, (Answer.WRONG, NO_MESSAGE)),
        (b"\0\0\0\0\x02\x0f\x01", GRPC, FINE, (Answer.WRONG, NO_MESSAGE)),
        (b"", GRPC, FINE, (Answer.WRONG, NO_MESSAGE)),
        (b"x" * 5000, GRPC, FINE, (Answer.WRONG, "more than any health message has")),
        (b"ok", {":status": "404"}, None, (Answer.WRONG, "HTTP 404 instead of gRPC")),
        (b"ok", {":status": "200"}, None, (Answer.WRONG, "an answer that is not gRPC")),
        (b"", GRPC, {"grpc-status": "14", "grpc-message": "SECRET"},
         (Answer.WRONG, "gRPC error UNAVAILABLE")),
        (b"", GRPC, {"grpc-status": "SECRET"}, (Answer.WRONG, "gRPC error of an unknown code")),
        (b"", GRPC, {"grpc-status": "99"}, (Answer.WRONG, "gRPC error of an unknown code")),
    ],
)  # fmt: skip
async def test_an_answer_is_taken_at_its_word_only(
    ask: Ask,
    body: bytes,
    headers: dict[str, str],
    trailers: dict[str, str] | None,
    found: tuple[Answer, str],
) -> None:
    assert await from_peer(ask, answering(body, headers, trailers)) == found


async def test_the_guard_is_asked_first() -> None:
    class NoConfigMaps:
        async def get(self, _: Resource, __: str | None, ___: str) -> dict[str, Any]:
            raise AssertionError

    shipped = GrpcAsker("1.2.3", Guard(), Trust(NoConfigMaps()), wall_clock)
    with socket.create_server(("127.0.0.1", 0)) as pod:
        pod.settimeout(0)
        sample = await shipped(asking(pod.getsockname()[1]))
        with pytest.raises(BlockingIOError):
            pod.accept()
    assert sample.got == "not dialled: 127.0.0.1 is a loopback address"
    assert sample.answer is Answer.UNASKED
    nowhere = await shipped(probe(asking(1).check, None))
    assert nowhere.got == "port 9090 is not declared by the container"


def test_what_was_asked_reads_well() -> None:
    assert asking(9090).asked == "gRPC :9090 health"
    assert asking(9090, service="shop.Triage").asked == 'gRPC :9090 health "shop.Triage"'
