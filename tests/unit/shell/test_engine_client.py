"""The engine contract, spoken to pods that are right, wrong, late, broken or hostile."""

import asyncio
import hashlib
import json
import resource
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest
import rfc8785
from tests.unit.shell.pods import Behaviour, Connection, answers, hangs, running, sends

from belay.api.instances import Engine
from belay.core.engine.view import EnginePod, EngineView, Run, RunState
from belay.shell.backups.store import StoreError
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard
from belay.shell.checks.http_check import open_session
from belay.shell.engine import fetching
from belay.shell.engine.client import (
    MOST_OF_ENVELOPE,
    MOST_RECEIVED,
    MOST_RUNS,
    EngineError,
    NoAnswer,
    Patience,
    Peer,
)
from belay.shell.engine.engines import Engines
from belay.shell.engine.wire import BadEnvelope

DIGEST = f"sha256:{'a' * 64}"
TOKEN = "a-token-of-the-tests"
SHORT = Patience(call=0.2, long=0.5)
NOT_JSON = "without JSON: is the port the engine's?"
NOT_HTTP = "pod p: answered something that is not plain HTTP: is the port the engine's?"
UNKNOWN = "does it know the token of spec.instances.engine.tokenFrom?"
BROKE_OFF = "pod p: the connection broke off"
ENGINE = Engine.model_validate(
    {"port": 8081, "tokenFrom": {"secretKeyRef": {"name": "s", "key": "token"}}}
)
Ask = Callable[[Peer], Awaitable[Any]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session("1", name="belay-engine", most=MOST_RECEIVED) as found:
        yield found


class Nothing:
    """What is not needed here."""


@dataclass
class Asked:
    """What came of a call."""

    error: Exception
    seconds: float
    grown: int
    """MiB that the process has grown by at most."""


async def told(
    session: aiohttp.ClientSession, behaviour: Behaviour, ask: Ask, patience: Patience = SHORT
) -> Asked:
    async with running(behaviour) as pod:
        before, began = _peak(), time.monotonic()
        with pytest.raises((EngineError, BadEnvelope)) as raised:
            await ask(peer(session, pod.port, patience))
        return Asked(raised.value, time.monotonic() - began, _peak() - before)


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def peer(session: aiohttp.ClientSession, port: int | None, patience: Patience = SHORT) -> Peer:
    pod = EnginePod("p", "uid", "127.0.0.1", (), host_network=False, port=port)
    return Peer(session, Guard(HOSTILE - LOOPBACK), pod, TOKEN, patience)


def says(body: Any, status: int = 200, *headers: str) -> Behaviour:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answers(status, raw, *headers)


def sealed(**members: Any) -> dict[str, Any]:
    """A right envelope of the run `r`, with these members."""
    body = {"schema": 1, "runId": "r", "revision": None, "contentDigest": DIGEST, "engine": "e",
            "engineVersion": "1", "redactedEnv": ["A"], "nodesDone": 3, "state": "{}",
            **members}  # fmt: skip
    return {**body, "sha256": f"sha256:{hashlib.sha256(rfc8785.dumps(body)).hexdigest()}"}


def run(name: str, **members: Any) -> dict[str, Any]:
    return {"id": name, "contentDigest": DIGEST, "status": "running", "holder": None, **members}


def page(count: int, following: str | None = None) -> dict[str, Any]:
    return {"runs": [run(f"r{n}") for n in range(count)], "next": following}


def info(one: Peer) -> Awaitable[Any]:
    return one.info()


def runs(one: Peer) -> Awaitable[Any]:
    return one.runs()


def envelope(one: Peer) -> Awaitable[Any]:
    return one.envelope("r")


INFO = {"contract": "v1", "engine": "e", "instance": "i", "holders": ["a", "b"]}


async def test_a_right_answer_is_read_and_the_token_is_sent(session: aiohttp.ClientSession) -> None:
    async with running(says(INFO)) as pod:
        found = await peer(session, pod.port).info()
        assert (found.engine, found.instance, found.holders) == ("e", "i", ["a", "b"])
        assert f"\r\nAuthorization: Bearer {TOKEN}\r\n".encode() in pod.requests[0]


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"state": 'é\U0001f600\x00\x1f\x7f"\\/\u2028' * 3, "start": "s"},
        {"ünknown": "x", "\U0001f600": "y", "\uffff": 2**53 - 1},
    ],
)
async def test_a_right_envelope_is_kept_with_all_that_it_has(
    session: aiohttp.ClientSession, members: Mapping[str, Any]
) -> None:
    """Also where its names sort otherwise by code points than by UTF-16."""
    raw = sealed(**members)
    async with running(says(raw)) as pod:
        found = await peer(session, pod.port).envelope("r")
    assert found.raw == raw


async def test_a_large_envelope_is_read_without_holding_up_others(
    session: aiohttp.ClientSession,
) -> None:
    """Its hash is over some MiB: a general RFC 8785 encoder takes seconds for that."""
    state = json.dumps({"variables": "x" * 4_000_000, "quoted": '"' * 1_000_000})
    body = {k: v for k, v in sealed().items() if k != "sha256"} | {"state": state}
    text = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    raw = {**body, "sha256": f"sha256:{hashlib.sha256(text).hexdigest()}"}
    async with running(says(raw)) as pod:
        began = time.process_time()
        found = await peer(session, pod.port, Patience()).envelope("r")
        spent = time.process_time() - began
    assert found.size > 5_000_000
    assert spent < 2, "a general encoder: about 3 s"


async def stalls(connection: Connection) -> None:
    await connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{")
    await connection.wait_until_left()


def drips(start: bytes, drop: bytes) -> Behaviour:
    async def behaviour(connection: Connection) -> None:
        await connection.send(start)
        await connection.drip(drop)

    return behaviour


def floods(start: bytes, more: bytes) -> Behaviour:
    async def behaviour(connection: Connection) -> None:
        await connection.send(start)
        await connection.forever(more)

    return behaviour


async def resets(connection: Connection) -> None:
    await connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"contract"')
    connection.reset()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
CIRCLE = "pod p: its list of runs goes round in a circle"


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (hangs, "no answer within 0.2 s"),
        (stalls, "no answer within 0.2 s"),
        (drips(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"), "no answer within 0.2 s"),
        (drips(WHOLE, b" "), "no answer within 0.2 s"),
        (drips(CHUNKED, b"1\r\n-\r\n"), "no answer within 0.2 s"),
        (resets, BROKE_OFF),
        (sends(b""), BROKE_OFF),
        (sends(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"), BROKE_OFF),
        (sends(CHUNKED + b"9\r\n{}"), BROKE_OFF),
    ],
)
async def test_a_pod_that_does_not_answer_in_whole_has_not_answered(
    session: aiohttp.ClientSession, behaviour: Behaviour, said: str
) -> None:
    found = await told(session, behaviour, info)
    assert isinstance(found.error, NoAnswer)
    assert said in str(found.error)
    assert found.seconds < 5


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (floods(WHOLE, b" " * 65536), "pod p: answers more than 2097152 bytes"),
        (floods(CHUNKED, b"10000\r\n" + b" " * 65536 + b"\r\n"), "answers more than 2097152 bytes"),
        (says({**INFO, "more": "x" * 3_000_000}), "pod p: answers more than 2097152 bytes"),
        (sends(b"SSH-2.0-OpenSSH_9.2\r\n"), NOT_HTTP),
        (sends(b"\x15\x03\x01\x00\x02\x02\x46"), NOT_HTTP),
        (sends(bytes(range(256)) * 16), NOT_HTTP),
        (sends(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n"), NOT_HTTP),
        (sends(CHUNKED + b"zz\r\n"), ""),
        (answers(200, b"<html>ok</html>", "Content-Type: text/html"), f"answered 200 {NOT_JSON}"),
        (answers(302, b"", "Location: /engine/v1/info"), f"answered 302 {NOT_JSON}"),
        (sends(b"HTTP/1.1 204 X\r\n\r\n"), f"answered 204 {NOT_JSON}"),
        (answers(200, b"\xff\xfe\xff"), f"answered 200 {NOT_JSON}"),
        (answers(200, b'{"contract": "v1"'), f"answered 200 {NOT_JSON}"),
        (answers(200, b"[" * 1_000_000), f"answered 200 {NOT_JSON}"),
        (answers(200, b'{"a":' * 300_000), f"answered 200 {NOT_JSON}"),
        (answers(200, b'{"contract": ' + b"9" * 5000 + b"}"), f"answered 200 {NOT_JSON}"),
        (says([INFO]), "pod p: answered 200"),
        (says("v1"), "pod p: answered 200"),
        (says({**INFO, "contract": None}), "its answer to /info is not the contract's: contract"),
        (says({**INFO, "instance": "x" * 65}), "is not the contract's: instance"),
        (says({**INFO, "engine": float("nan")}), "is not the contract's: engine"),
        (says({**INFO, "holders": [1] * 300_000}), "is not the contract's: holders.0"),
        (says({**INFO, "holders": ["a"] * 5000}), "is not the contract's: holders"),
        (says({**INFO, "instance": "\ud800"}), "is not the contract's: instance"),
        (says({**INFO, "contract": "v2"}), "speaks version 'v2' of the contract, not v1"),
        (says({**INFO, "contract": "\x1b[31m" * 99}), "speaks version '\\x1b[31m\\x1b[31m"),
        (says(INFO, 401), f"answered 401: {UNKNOWN}"),
        (says(INFO, 403), f"answered 403: {UNKNOWN}"),
        (says(INFO, 500), "pod p: answered 500"),
        (says({"code": "full", "message": "64"}, 429, "Retry-After: 9"), "pod p: full: 64"),
        (says({"code": "x", "message": "a\nb\x1b[31m" + "y" * 999}, 503), "pod p: x: a b [31myyy"),
        (says({"code": "a\nb\u202e", "message": 7}, 409), "pod p: answered 409"),
        (says({"code": "a\nb\u202ec", "message": "m"}, 409), "pod p: a b c: m"),
        (says({"code": "c" * 65}, 409), "pod p: answered 409"),
    ],
)  # fmt: skip
async def test_a_wrong_answer_says_what_is_wrong_in_few_words(
    session: aiohttp.ClientSession, behaviour: Behaviour, said: str
) -> None:
    found = await told(session, behaviour, info, Patience())
    assert said in str(found.error)
    assert len(str(found.error)) < 500
    assert str(found.error).isprintable()
    assert found.seconds < 10
    assert found.grown < 150


async def test_a_redirect_is_not_followed(session: aiohttp.ClientSession) -> None:
    async with running(says(INFO)) as elsewhere:
        for status in (301, 302, 307, 308):
            url = f"Location: http://127.0.0.1:{elsewhere.port}/engine/v1/info"
            found = await told(session, answers(status, b"", url), info)
            assert f"answered {status}" in str(found.error)
        assert elsewhere.connections == 0


async def test_a_flood_of_early_answers_ends_by_its_bytes() -> None:
    flood = floods(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000)
    async with open_session("1", most=1_000_000) as session:
        found = await told(session, flood, info, Patience())
    assert "within" not in str(found.error)


async def test_tls_on_the_port_is_no_answer(session: aiohttp.ClientSession) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raise AssertionError(f"no handshake can succeed: {reader} {writer}")

    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        with pytest.raises(EngineError):
            await peer(session, server.sockets[0].getsockname()[1]).info()


def listing(*pages: Mapping[str, Any]) -> Behaviour:
    """These pages, one for each request, and the last one for ever."""
    queue = list(pages)

    async def behaviour(connection: Connection) -> None:
        await says(queue.pop(0) if len(queue) > 1 else queue[0])(connection)

    return behaviour


def endless(count: int) -> Behaviour:
    """Always another page, with so many runs."""
    seen = 0

    async def behaviour(connection: Connection) -> None:
        nonlocal seen
        seen += 1
        await says({**page(count), "next": f"c{seen}"})(connection)

    return behaviour


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (listing(page(1, "c")), CIRCLE),
        (listing(page(0, "a"), page(0, "b"), page(0, "a")), CIRCLE),
        (listing(page(0, "")), CIRCLE),
        (endless(1500), f"pod p: tells of more than {MOST_RUNS} runs"),
        (listing(page(2001)), "its answer to /runs is not the contract's: runs"),
        (says(b'{"runs": [' + b"{}," * 600_000 + b'{}], "next": null}'), "contract's: runs.0.id"),
        (says({"runs": [run("a/../b")], "next": None}), "contract's: runs.0.id"),
        (says({"runs": [run("a\n")], "next": None}), "contract's: runs.0.id"),
        (says({"runs": [run("a%2Fb")], "next": None}), "contract's: runs.0.id"),
        (says({"runs": [run("..")], "next": None}), "contract's: runs.0.id"),
        (says({"runs": [run("x" * 65)], "next": None}), "contract's: runs.0.id"),
        (says({"runs": [run("r", status="asleep")], "next": None}), "contract's: runs.0.status"),
        (says({"runs": [run("r", contentDigest="x")], "next": None}), "runs.0.contentDigest"),
        (says({"runs": [], "next": "x" * 257}), "contract's: next"),
        (says({"runs": []}), "contract's: next"),
    ],
)  # fmt: skip
async def test_a_list_of_runs_ends_or_is_refused(
    session: aiohttp.ClientSession, behaviour: Behaviour, said: str
) -> None:
    found = await told(session, behaviour, runs, Patience())
    assert said in str(found.error)
    assert found.seconds < 20
    assert found.grown < 200


async def test_empty_pages_without_end_are_left_after_a_time(
    session: aiohttp.ClientSession,
) -> None:
    found = await told(session, endless(0), runs, Patience(call=10, long=0.3))
    assert str(found.error) == "pod p: told of 0 runs in 0.3 s, and that was not the end"
    assert isinstance(found.error, NoAnswer)


async def test_a_cursor_is_sent_as_it_came(session: aiohttp.ClientSession) -> None:
    odd = "a b&limit=1#/../ü\r\nX: y"
    async with running(listing(page(2, odd), page(1))) as pod:
        assert len(await peer(session, pod.port).runs()) == 3
    line = pod.requests[1].partition(b"\r\n")[0].decode()
    asked = line.partition("cursor=")[2].removesuffix(" HTTP/1.1")
    assert asked == "a+b%26limit%3D1%23%2F..%2F%C3%BC%0D%0AX%3A+y"
    assert b"\r\nX: y" not in pod.requests[1]


WRONG_HASH = {**sealed(), "sha256": DIGEST}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (WRONG_HASH, "it says aaaaaaaaaaaa"),
        ({**sealed(), "state": "{ }"}, "its hash is"),
        ({**sealed(), "further": "x"}, "its hash is"),
        (sealed(runId="another"), "it is of the run another"),
        ({}, "it is not what the engine contract calls an envelope"),
        ({**sealed(), "runId": "a/b"}, "it is not what"),
        ({**sealed(), "nodesDone": 2**53}, "it is not what"),
        ({**sealed(), "nodesDone": float("nan")}, "it is not what"),
        ({**sealed(), "nodesDone": float("inf")}, "it is not what"),
        ({**sealed(), "nodesDone": 1.5}, "it is not what"),
        ({**sealed(), "nodesDone": True}, "it is not what"),
        ({**sealed(), "redactedEnv": [1]}, "it is not what"),
        ({**sealed(), "state": "\ud800"}, "it is not what"),
        ({**sealed(), "state": {"a": {"b": "c"}}}, "it is not what"),
        ({**sealed(), "sha256": "sha256:" + "A" * 64}, "it is not what"),
    ],
)
async def test_an_envelope_that_lies_is_named_and_not_taken(
    session: aiohttp.ClientSession, body: Any, said: str
) -> None:
    found = await told(session, says(body), envelope)
    assert isinstance(found.error, BadEnvelope)
    assert str(found.error).startswith("pod p: the envelope of run r cannot be used: ")
    assert said in str(found.error)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (floods(WHOLE, b" " * 65536), f"answers more than {MOST_OF_ENVELOPE} bytes"),
        (answers(200, b'{"state":' + b"[" * 900 + b"]" * 900 + b"}"), "cannot be used"),
        (answers(200, b'{"state":' + b"[" * 90_000 + b"]" * 90_000 + b"}"), NOT_JSON),
        (answers(404, b'{"code": "runUnknown", "message": "gone"}'), "pod p: runUnknown: gone"),
        (drips(WHOLE, b" "), "no answer within 0.5 s"),
    ],
)
async def test_an_envelope_without_end_or_bottom_is_refused(
    session: aiohttp.ClientSession, behaviour: Behaviour, said: str
) -> None:
    patience = SHORT if "within" in said else Patience()
    found = await told(session, behaviour, envelope, patience)
    assert said in str(found.error)
    assert found.seconds < 20
    assert found.grown < 200


async def test_a_pod_that_never_reads_what_it_is_sent_is_left(
    session: aiohttp.ClientSession,
) -> None:
    done = asyncio.Event()

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.transport.abort()

    async with await asyncio.start_server(deaf, "127.0.0.1", 0) as server:
        asked = peer(session, server.sockets[0].getsockname()[1])
        with pytest.raises(NoAnswer, match="no answer within"):
            await asked.resume("holder", {"envelope": sealed(state="x" * 12_000_000)})
        done.set()
        await asyncio.sleep(0)


async def test_a_pod_without_address_or_port_is_not_dialled(session: aiohttp.ClientSession) -> None:
    nowhere = peer(session, 1)
    with pytest.raises(NoAnswer, match="no address yet"):
        await replace(nowhere, pod=replace(nowhere.pod, address="")).info()
    with pytest.raises(EngineError, match="not declared by the container"):
        await peer(session, None).info()
    guarded = replace(nowhere, guard=Guard())
    with pytest.raises(EngineError, match="a loopback address"):
        await guarded.info()


@pytest.mark.parametrize("status", [200, 202])
async def test_a_verdict_and_an_activation_are_read(
    session: aiohttp.ClientSession, status: int
) -> None:
    async with running(says({"valid": False, "reasons": ["no"]}, status)) as pod:
        verdict = await peer(session, pod.port).validate({"definition": "ü"})
        assert (verdict.valid, verdict.reasons) == (False, ["no"])
        assert json.loads(pod.bodies[0]) == {"definition": "ü"}
    refused = {"code": "invalidRevision", "message": "m", "details": {"reasons": ["a\nb", 7]}}
    async with running(says(refused, 422)) as pod:
        with pytest.raises(EngineError) as raised:
            await peer(session, pod.port).activate(DIGEST, None)
    assert (raised.value.code, raised.value.reasons) == ("invalidRevision", ("a b", "7"))


async def test_what_is_kept_of_all_runs_is_bounded_and_the_rest_is_not_fetched(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def tells(connection: Connection) -> None:
        name = connection.head.split(b"/")[4].decode()
        await says(sealed(runId=name, state="x" * 1000))(connection)

    monkeypatch.setattr(fetching, "MOST", 30_000)
    engines = Engines(session, Guard(HOSTILE - LOOPBACK), Nothing(), Nothing())  # type: ignore[arg-type]
    async with running(tells) as pod:
        own = peer(session, pod.port).pod
        for count, fits in ((20, True), (200, False)):
            held = tuple(Run(f"r{n}", DIGEST, RunState.PAUSED, "uid") for n in range(count))
            view = EngineView("uid", ENGINE, pods=(replace(own, runs=held),))
            assert len(view.held) == count
            if fits:
                found = await fetching.envelopes(view, engines, TOKEN)
                assert sorted(found) == sorted(view.held)
                continue
            with pytest.raises(StoreError, match="the envelopes of 200 runs have more than"):
                await fetching.envelopes(view, engines, TOKEN)
        assert pod.connections < 20 + 40
