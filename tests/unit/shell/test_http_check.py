"""One request of a check, against pods that are right, wrong, late, broken or hostile."""

import asyncio
import gzip
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.unit.shell.pods import (
    Behaviour,
    Connection,
    answers,
    check,
    hangs,
    probe,
    running,
    sends,
    wall_clock,
)

from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.credentials import Credentials
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard
from belay.shell.checks.http_check import HttpAsker, open_session
from belay.shell.checks.trust import Trust
from belay.shell.resources import Resource

Ask = Callable[[Probe], Awaitable[Sample]]
NOT_HTTP = "something that is not plain HTTP (TLS, or headers beyond 8 KiB?)"
RESET = "connection reset"
CLOSED = "connection closed without an answer"


class NoSecrets:
    async def get(self, _: Resource, namespace: str | None, name: str) -> dict[str, Any]:
        raise AssertionError(f"{namespace} {name} was read")


@pytest.fixture
async def ask() -> AsyncIterator[Ask]:
    session = open_session("1.2.3")
    guard = Guard(
        frozenset(one for one in HOSTILE if ip_address("::1") not in one.network) - LOOPBACK
    )
    yield HttpAsker(session, guard, Credentials(NoSecrets()), Trust(NoSecrets()), wall_clock)
    await session.close()


async def got(ask: Ask, behaviour: Behaviour, **fields: Any) -> tuple[Answer, str]:
    async with running(behaviour) as pod:
        sample = await ask(probe(check(**fields), pod.port))
        assert pod.connections == 1
    return sample.answer, sample.got


@pytest.mark.parametrize("status", [200, 204, 404, 503])
async def test_an_expected_status_is_right(ask: Ask, status: int) -> None:
    expect = {"status": [200, 204, 404, 503]}
    body = b"" if status == 204 else b"x"
    assert await got(ask, answers(status, body), expect=expect) == (Answer.RIGHT, str(status))


@pytest.mark.parametrize(
    ("status", "expected", "said"),
    [
        (500, [200], "500 instead of 200"),
        (200, [204], "200 instead of 204"),
        (404, [200, 201, 204], "404 instead of 200, 201 or 204"),
        (302, [200], "302 instead of 200"),
        (101, [200], "101 instead of 200"),
    ],
)
async def test_another_status_is_wrong(
    ask: Ask, status: int, expected: list[int], said: str
) -> None:
    behaviour = answers(status, b"boom", "Location: /there", "Upgrade: websocket")
    assert await got(ask, behaviour, expect={"status": expected}) == (Answer.WRONG, said)


async def test_a_redirect_is_not_followed_and_may_be_what_is_expected(ask: Ask) -> None:
    async with running(answers()) as elsewhere:
        location = f"Location: http://127.0.0.1:{elsewhere.port}/"
        for expected, answer in ((200, Answer.WRONG), (302, Answer.RIGHT)):
            behaviour = answers(302, b"", location)
            found = await got(ask, behaviour, expect={"status": [expected]})
            assert found[0] is answer
        assert elsewhere.connections == 0


async def test_an_upgrade_may_be_what_is_expected(ask: Ask) -> None:
    behaviour = sends(b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n\x81\0")
    assert await got(ask, behaviour, expect={"status": [101]}) == (Answer.RIGHT, "101")


@pytest.mark.parametrize("wanted", ["urgent", "é", '{"a": "', "x" * 1024])
async def test_the_body_must_contain_the_text(ask: Ask, wanted: str) -> None:
    expect = {"bodyContains": wanted}
    body = f"\xff and {wanted} so on".encode() + b"\xff\xfe"
    assert await got(ask, answers(200, body), expect=expect) == (Answer.RIGHT, "200")
    answer, said = await got(ask, answers(200, b"SECRET"), expect=expect)
    assert answer is Answer.WRONG
    assert said.startswith("200, but the body does not contain ")
    assert len(said) <= 256
    assert "SECRET" not in said


async def test_a_missing_text_is_quoted_and_the_body_is_not(ask: Ask) -> None:
    found = await got(ask, answers(200, b"SECRET"), expect={"bodyContains": "urgent"})
    assert found == (Answer.WRONG, '200, but the body does not contain "urgent"')
    found = await got(ask, answers(200, b"SECRET"), expect={"bodyContains": '"urgent"'})
    assert found == (Answer.WRONG, "200, but the body does not contain '\"urgent\"'")
    found = await got(ask, answers(), expect={"bodyContains": "\x1b[31m\n\u202e" * 100})
    assert found[1].isprintable()
    assert len(found[1]) <= 256


@pytest.mark.parametrize(("before", "answer"), [(65530, Answer.RIGHT), (65531, Answer.WRONG)])
async def test_the_text_must_be_in_the_first_64_kib(ask: Ask, before: int, answer: Answer) -> None:
    body = b"-" * before + b"urgent" + b"-" * 5_000_000
    found = await got(ask, answers(200, body), expect={"bodyContains": "urgent"})
    assert found[0] is answer
    if answer is Answer.WRONG:
        assert found[1] == '200, but the first 64 KiB of the body do not contain "urgent"'


async def test_an_endless_body_is_read_for_64_kib(ask: Ask) -> None:
    async def endless(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        await connection.forever(b"-" * 1000)

    assert await got(ask, endless) == (Answer.RIGHT, "200")


async def test_a_compressed_body_stays_compressed(ask: Ask) -> None:
    bomb = gzip.compress(b"urgent" * 1_000_000, mtime=0)
    behaviour = answers(200, bomb, "Content-Encoding: gzip")
    found = await got(ask, behaviour, expect={"bodyContains": "urgent"})
    assert found == (Answer.WRONG, '200, but the body does not contain "urgent"')


async def test_no_answer_in_time_is_none(ask: Ask) -> None:
    found = await got(ask, hangs, timeout="50ms")
    assert found == (Answer.NONE, "no answer within 0.05 s")


@pytest.mark.parametrize(
    ("start", "drop", "said"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n", "no answer within 0.1 s"),
        (b"HTTP/1.1 20", b"", "no answer within 0.1 s"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n",
            b"-",
            "200, but not the end of its body within 0.1 s",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\n-\r\n",
            "200, but not the end of its body within 0.1 s",
        ),
    ],
)
async def test_an_answer_that_drips_is_none(ask: Ask, start: bytes, drop: bytes, said: str) -> None:
    async def drips(connection: Connection) -> None:
        await connection.send(start)
        await connection.drip(drop)

    assert await got(ask, drips, timeout="100ms") == (Answer.NONE, said)


async def test_a_wrong_status_needs_no_end_of_its_body(ask: Ask) -> None:
    async def drips(connection: Connection) -> None:
        await connection.send(b"HTTP/1.1 500 X\r\nContent-Length: 90000\r\n\r\n")
        await connection.wait_until_left()

    assert await got(ask, drips) == (Answer.WRONG, "500 instead of 200")


async def test_a_reset_is_none(ask: Ask) -> None:
    async def resets(connection: Connection) -> None:
        connection.reset()

    assert await got(ask, resets) == (Answer.NONE, RESET)


async def test_a_close_without_an_answer_is_none(ask: Ask) -> None:
    assert await got(ask, sends(b"")) == (Answer.NONE, CLOSED)


@pytest.mark.parametrize(
    "framing", [b"Content-Length: 100\r\n\r\nten", b"Transfer-Encoding: chunked\r\n\r\n9\r\nten"]
)
async def test_a_body_that_breaks_off_is_none(ask: Ask, framing: bytes) -> None:
    found = await got(ask, sends(b"HTTP/1.1 200 OK\r\n" + framing))
    said = "200, but not the end of its body before the connection broke off"
    assert found == (Answer.NONE, said)


async def test_a_port_where_nobody_listens_is_none(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sample = await ask(probe(check(), port))
    assert (sample.answer, sample.got) == (Answer.NONE, "connection refused")


@pytest.mark.parametrize(
    "data",
    [
        b"hello\r\n\r\n",
        b"\0\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_what_is_not_http_is_wrong(ask: Ask, data: bytes) -> None:
    assert await got(ask, sends(data)) == (Answer.WRONG, NOT_HTTP)


async def test_tls_on_a_plain_port_is_no_right_answer(ask: Ask) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError(f"no handshake can succeed: {reader} {writer}")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        sample = await ask(probe(check(), server.sockets[0].getsockname()[1]))
    assert sample.answer in (Answer.WRONG, Answer.NONE)
    assert sample.got in (NOT_HTTP, RESET, CLOSED)


@pytest.mark.parametrize(
    ("start", "more"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1;x=yyyyyyyyyyyyyyyy\r\n-\r\n",
        ),
    ],
)
async def test_a_flood_ends_by_its_bytes(ask: Ask, start: bytes, more: bytes) -> None:
    async def floods(connection: Connection) -> None:
        await connection.send(start)
        await connection.forever(more * 1000)

    answer, said = await got(ask, floods)
    assert answer is Answer.NONE
    assert "within" not in said


async def test_the_request_says_what_the_check_says_and_nothing_more(ask: Ask) -> None:
    async with running(answers(200, b"ok", "Set-Cookie: a=b; Path=/")) as pod:
        asked = check(
            method="POST",
            path="/a/../b//c%2Fd?q=1&r=%c3%bc@[x]|\\^",
            body='{"text": "ü"}',
            headers=[{"name": "X-A", "value": "1"}],
        )
        for _ in range(2):
            assert (await ask(probe(asked, pod.port))).answer is Answer.RIGHT
    line, *headers = pod.requests[1].decode().removesuffix("\r\n\r\n").split("\r\n")
    assert line == r"POST /a/../b//c%2Fd?q=1&r=%c3%bc@[x]|\^ HTTP/1.1"
    assert sorted(headers) == [
        "Accept-Encoding: identity",
        "Accept: */*",
        "Connection: close",
        "Content-Length: 14",
        f"Host: 127.0.0.1:{pod.port}",
        "User-Agent: belay-probe/1.2.3",
        "X-A: 1",
    ]
    assert pod.bodies[1] == '{"text": "ü"}'.encode()
    assert pod.connections == 2


@pytest.mark.parametrize("name", ["Host", "host"])
async def test_a_check_may_name_its_own_host(ask: Ask, name: str) -> None:
    async with running(answers()) as pod:
        await ask(probe(check(headers=[{"name": name, "value": "triage.example"}]), pod.port))
    assert b"host: triage.example\r\n" in pod.requests[0].lower()
    assert pod.requests[0].lower().count(b"host:") == 1


async def test_head_reads_no_body(ask: Ask) -> None:
    behaviour = sends(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
    assert await got(ask, behaviour, method="HEAD") == (Answer.RIGHT, "200")


async def test_proxies_of_the_environment_are_not_used(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(answers(502)) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        assert await got(ask, answers()) == (Answer.RIGHT, "200")
        assert proxy.connections == 0


async def test_a_pod_may_have_an_ipv6_address(ask: Ask) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 on this machine")
    async with running(answers(), host="::1") as pod:
        sample = await ask(probe(check(), pod.port, address="::1"))
    assert sample.answer is Answer.RIGHT
    assert f"\r\nHost: [::1]:{pod.port}\r\n".encode() in pod.requests[0]


async def test_the_mapped_form_of_an_address_is_dialled_as_ipv4(ask: Ask) -> None:
    async with running(answers()) as pod:
        sample = await ask(probe(check(), pod.port, address="::ffff:127.0.0.1"))
    assert sample.answer is Answer.RIGHT


async def test_what_cannot_be_asked_says_why_and_dials_nothing(ask: Ask) -> None:
    async with running(answers()) as pod:
        secret = {"name": "X", "valueFrom": {"secretKeyRef": {"name": "crm", "key": "k"}}}
        framing = {"name": "Upgrade", "value": "h2c"}
        for unasked, said in (
            (probe(check(), pod.port, address=""), "pod triage-1 has no address yet"),
            (probe(check(port="http")), "port http is not declared by the container"),
            (
                probe(check(), pod.port, address="127.1"),
                "not dialled: '127.1' is not an IP address",
            ),
            (
                probe(check(), pod.port, address="169.254.169.254"),
                "not dialled: 169.254.169.254 is an address of a cloud's metadata service",
            ),
            (
                probe(check(headers=[framing]), pod.port),
                "header Upgrade is Belay's own to set: take it out of the check",
            ),
        ):
            assert (await ask(unasked)).got == said
            assert (await ask(unasked)).answer is Answer.UNASKED
        with pytest.raises(AssertionError, match="crm was read"):
            await ask(probe(check(headers=[secret]), pod.port))
        assert pod.connections == 0


async def test_loopback_is_refused_where_nobody_lifted_that() -> None:
    session = open_session("1")
    async with running(answers()) as pod:
        shipped = HttpAsker(
            session, Guard(), Credentials(NoSecrets()), Trust(NoSecrets()), wall_clock
        )
        sample = await shipped(probe(check(), pod.port))
        assert pod.connections == 0
    await session.close()
    assert sample.answer is Answer.UNASKED
    assert sample.got == "not dialled: 127.0.0.1 is a loopback address"


async def test_trouble_of_our_own_machine_says_nothing_of_the_pod(ask: Ask) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with running(answers()) as pod:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
        try:
            sample = await ask(probe(check(), pod.port))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sample.answer is Answer.UNASKED
    assert sample.got == "could not be asked: too many open files where Belay runs"


async def test_a_pod_that_never_reads_holds_no_descriptor(ask: Ask) -> None:
    headers = [{"name": f"X-{n}", "value": "y" * 4096} for n in range(16)]
    large = check(method="POST", body="z" * 4096, headers=headers, timeout="50ms")
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        before = _descriptors()
        sample = await ask(probe(large, deaf.getsockname()[1]))
        assert sample.answer is Answer.NONE
        async with asyncio.timeout(10):
            while _descriptors() > before:  # noqa: ASYNC110
                await asyncio.sleep(0)


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
