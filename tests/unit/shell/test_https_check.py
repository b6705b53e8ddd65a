"""HTTP checks by TLS, against pods with right, wrong and no certificates."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from tests.unit.shell.certificates import NAME, Authorities
from tests.unit.shell.pods import answers, check, probe, running, sends, wall_clock

from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.credentials import Credentials
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard
from belay.shell.checks.http_check import MAX_RECEIVED, HttpAsker, open_session
from belay.shell.checks.trust import Trust
from belay.shell.errors import NotFound, Unavailable
from belay.shell.resources import Resource

Ask = Callable[[Probe], Awaitable[Sample]]
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CA = {"name": "ca", "key": "ca.crt"}


class ConfigMaps:
    """The API server's ConfigMap `ca`, as it is just now."""

    def __init__(self, data: dict[str, str]) -> None:
        self.data: dict[str, str] | None = data
        self.reads = 0
        self.broken = False

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        self.reads += 1
        assert (resource.plural, namespace, name) == ("configmaps", "shop", "ca")
        if self.broken:
            raise Unavailable(503, "Unavailable", "busy")
        if self.data is None:
            raise NotFound(404, "NotFound", "none")
        return {"data": self.data}


@pytest.fixture(scope="module")
def authorities(tmp_path_factory: pytest.TempPathFactory) -> Authorities:
    return Authorities.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def maps(authorities: Authorities) -> ConfigMaps:
    return ConfigMaps({"ca.crt": authorities.pem("believed")})


@pytest.fixture
async def ask(maps: ConfigMaps) -> AsyncIterator[Ask]:
    session = open_session("1.2.3")
    trust = Trust(maps, kept=0.0)
    yield HttpAsker(session, Guard(HOSTILE - LOOPBACK), Credentials(maps), trust, wall_clock)
    await session.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext, answer: bytes = ANSWER) -> AsyncIterator[int]:
    """A pod that speaks TLS, and its port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def got(ask: Ask, port: int, *, ca: bool = True, **fields: Any) -> tuple[Answer, str]:
    tls = {"serverName": NAME, **({"caConfigMapKeyRef": CA} if ca else {})}
    sample = await ask(probe(check(scheme="HTTPS", tls=tls, **fields), port))
    return sample.answer, sample.got


async def test_a_pod_with_the_right_certificate_is_asked(
    ask: Ask, authorities: Authorities
) -> None:
    async with serving(authorities.server("good")) as port:
        assert await got(ask, port) == (Answer.RIGHT, "200")


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        ("expired", "a certificate that has expired"),
        ("named-otherwise", f'a certificate that is not for "{NAME}"'),
        ("of-another", "a certificate that is signed by an authority that is not believed"),
        ("other", "a certificate that signed itself"),
    ],
)
async def test_a_wrong_certificate_is_a_wrong_answer(
    ask: Ask, authorities: Authorities, leaf: str, said: str
) -> None:
    async with serving(authorities.server(leaf)) as port:
        assert await got(ask, port) == (Answer.WRONG, said)


async def test_without_a_ca_the_systems_own_authorities_are_believed_only(
    ask: Ask, authorities: Authorities, maps: ConfigMaps
) -> None:
    async with serving(authorities.server("good")) as port:
        answer, said = await got(ask, port, ca=False)
    assert (answer, maps.reads) == (Answer.WRONG, 0)
    assert said == "a certificate that is signed by an authority that is not believed"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (ANSWER, "something that is not TLS"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "something that is not TLS"),
        (b"hello\r\n\r\n", "something that is not TLS"),
        (
            b"\x15\x03\x03\0\x02\x02\x28",
            "a refusal of the TLS handshake (sslv3 alert handshake failure)",
        ),
    ],
)
async def test_what_is_not_tls_is_wrong(ask: Ask, data: bytes, said: str) -> None:
    async def behaviour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(data)
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(behaviour, "127.0.0.1", 0)
    async with server:
        assert await got(ask, server.sockets[0].getsockname()[1]) == (Answer.WRONG, said)


async def test_a_handshake_that_never_answers_is_none(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await got(ask, silent.getsockname()[1], timeout="100ms")
    assert found == (Answer.NONE, "no answer within 0.1 s")


async def test_a_close_in_the_handshake_is_none(ask: Ask) -> None:
    async def leaves(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100_000)
        writer.close()

    server = await asyncio.start_server(leaves, "127.0.0.1", 0)
    async with server:
        answer, said = await got(ask, server.sockets[0].getsockname()[1])
    assert (answer, said) == (Answer.NONE, "connection closed in the TLS handshake")


async def test_an_answer_by_tls_is_bounded_in_bytes(ask: Ask, authorities: Authorities) -> None:
    endless = b"HTTP/1.1 100 Continue\r\n\r\n" * (2 * MAX_RECEIVED // 25)
    async with serving(authorities.server("good"), endless + ANSWER) as port:
        answer, _ = await got(ask, port)
    assert answer is Answer.NONE


async def test_tls_is_no_way_around_the_guard(maps: ConfigMaps) -> None:
    session = open_session("1.2.3")
    shipped = HttpAsker(session, Guard(), Credentials(maps), Trust(maps), wall_clock)
    async with running(answers()) as pod:
        answer, said = await got(shipped, pod.port)
        assert pod.connections == 0
    await session.close()
    assert (answer, said) == (Answer.UNASKED, "not dialled: 127.0.0.1 is a loopback address")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, 'there is no ConfigMap "ca" with a CA for tls.caConfigMapKeyRef'),
        ({}, 'ConfigMap "ca" has no key "ca.crt" with a CA'),
        ({"ca.crt": ""}, 'key "ca.crt" of ConfigMap "ca" holds no certificates in PEM'),
        ({"ca.crt": "hidden"}, 'key "ca.crt" of ConfigMap "ca" holds no certificates in PEM'),
        ({"ca.crt": "é"}, 'key "ca.crt" of ConfigMap "ca" holds no certificates in PEM'),
        ({"ca.crt": "x" * 300_000}, 'key "ca.crt" of ConfigMap "ca" is longer than 256 KiB'),
    ],
)
async def test_without_its_ca_a_check_is_not_asked(
    ask: Ask, maps: ConfigMaps, data: dict[str, str] | None, said: str
) -> None:
    maps.data = data
    async with running(sends(b"")) as pod:
        assert await got(ask, pod.port) == (Answer.UNASKED, said)
        assert pod.connections == 0


async def test_an_api_server_in_trouble_makes_no_verdict(ask: Ask, maps: ConfigMaps) -> None:
    maps.broken = True
    said = 'ConfigMap "ca" could not be read: the API server answered 503'
    assert await got(ask, 1) == (Answer.UNASKED, said)


async def test_a_ca_is_read_once_for_many_and_again_when_it_is_old(
    maps: ConfigMaps, authorities: Authorities
) -> None:
    trust = Trust(maps, kept=0.05)
    tls = check(scheme="HTTPS", tls={"serverName": NAME, "caConfigMapKeyRef": CA}).http
    assert tls is not None
    assert tls.tls is not None
    found = await asyncio.gather(*(trust.context("shop", tls.tls, "http/1.1") for _ in range(5)))
    assert (maps.reads, len({id(one) for one in found})) == (1, 1)
    async with asyncio.timeout(5):
        while maps.reads == 1:
            await asyncio.sleep(0.01)
            await trust.context("shop", tls.tls, "http/1.1")
