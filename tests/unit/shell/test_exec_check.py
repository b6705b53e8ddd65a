"""Commands inside pods: against a real WebSocket server that speaks as the API server does."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from aiohttp import web
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration
from tests.unit.shell.pods import probe, wall_clock

from belay.api.check import Check
from belay.core.evidence.probe import Answer
from belay.shell.checks.exec_check import ExecAsker, may_exec
from belay.shell.cluster import Cluster
from belay.shell.transport import Transport

Talk = Callable[[web.WebSocketResponse], Awaitable[None]]
SUCCESS = {"metadata": {}, "status": "Success"}
SEVEN = {
    "status": "Failure",
    "reason": "NonZeroExitCode",
    "message": "command terminated with non-zero exit code: SECRET",
    "details": {"causes": [{"reason": "ExitCode", "message": "7"}]},
}
MISSING = {"status": "Failure", "reason": "InternalError", "message": "SECRET not found"}


@asynccontextmanager
async def api(
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
) -> AsyncIterator[Cluster]:
    """A server of the API, and the adapter that speaks to it."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    configuration = Configuration(host=f"http://127.0.0.1:{port}")
    async with Cluster(Transport(ApiClient(configuration)), "shop") as cluster:
        yield cluster
    await runner.cleanup()


async def got(talk: Talk, limit: str = "30s") -> tuple[Answer, str, list[web.Request]]:
    requests: list[web.Request] = []

    async def handler(request: web.Request) -> web.StreamResponse:
        requests.append(request)
        socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",))
        await socket.prepare(request)
        await talk(socket)
        return socket

    told = {"command": ["/bin/check", "--all", "a b&c"]}
    check = Check.model_validate({"name": "inside", "timeout": limit, "exec": told})
    async with api(handler) as cluster:
        asker = ExecAsker(cluster, wall_clock)
        sample = await asker(replace(probe(check), container="app"))
    return sample.answer, sample.got, requests


def says(status: object) -> Talk:
    async def talk(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x01")
        await socket.send_bytes(b"\x02SECRET on standard error")
        text = status if isinstance(status, bytes) else json.dumps(status).encode()
        await socket.send_bytes(b"\x03" + text)

    return talk


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (SUCCESS, Answer.RIGHT, "exit code 0"),
        (SEVEN, Answer.WRONG, "exit code 7"),
        (MISSING, Answer.UNASKED, "could not be started in its container: is the command there?"),
        (b"SECRET", Answer.UNASKED, "could not be run: kubelet's answer was not understood"),
        ([1], Answer.UNASKED, "could not be run: kubelet's answer was not understood"),
    ],
)
async def test_the_exit_code_is_the_answer_and_no_output_is_told(
    status: object, answer: Answer, said: str
) -> None:
    found = await got(says(status))
    assert found[:2] == (answer, said)


async def test_the_command_goes_to_its_container_word_by_word() -> None:
    *_, (request,) = await got(says(SUCCESS))
    assert request.path == "/api/v1/namespaces/shop/pods/triage-1/exec"
    assert request.query.getall("command") == ["/bin/check", "--all", "a b&c"]
    assert (request.query["container"], request.query["stderr"]) == ("app", "true")
    assert "stdout" not in request.query
    assert "v5.channel.k8s.io" in request.headers["Sec-WebSocket-Protocol"]


async def test_no_exit_in_time_is_none() -> None:
    async def hangs(socket: web.WebSocketResponse) -> None:
        await socket.receive()

    assert (await got(hangs, "100ms"))[:2] == (Answer.NONE, "no exit within 0.1 s")


async def test_a_connection_that_ends_before_the_exit_is_none() -> None:
    async def leaves(socket: web.WebSocketResponse) -> None:
        await socket.send_bytes(b"\x02half")

    assert (await got(leaves))[:2] == (Answer.NONE, "connection closed before its exit")


async def test_a_flood_of_output_is_wrong() -> None:
    async def floods(socket: web.WebSocketResponse) -> None:
        while not socket.closed:
            await socket.send_bytes(b"\x02" + b"-" * 10_000)
            await asyncio.sleep(0)

    found = await got(floods)
    assert found[:2] == (Answer.WRONG, "more than 64 KiB on its standard error")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (403, "Belay may not run commands in pods; grant it: kubectl create role belay-check-exec"),
        (404, "pod triage-1 is gone"),
        (500, "could not be run: the API server answered 500"),
    ],
)
async def test_what_the_api_server_refuses_is_not_asked(code: int, said: str) -> None:
    async def refuses(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "Status", "message": "SECRET"}, status=code)

    check = Check.model_validate({"name": "inside", "exec": {"command": ["/bin/check"]}})
    async with api(refuses) as cluster:
        sample = await ExecAsker(cluster, wall_clock)(probe(check))
    assert sample.answer is Answer.UNASKED
    assert sample.got.startswith(said)
    assert "SECRET" not in sample.got


@pytest.mark.parametrize("allowed", [("get", "create"), ("get",), ("create",), ()])
async def test_both_verbs_of_pods_exec_are_asked_for(allowed: tuple[str, ...]) -> None:
    async def reviews(request: web.Request) -> web.StreamResponse:
        wanted = (await request.json())["spec"]["resourceAttributes"]
        assert (wanted["resource"], wanted["subresource"]) == ("pods", "exec")
        return web.json_response({"status": {"allowed": wanted["verb"] in allowed}}, status=201)

    async with api(reviews) as cluster:
        problem = await may_exec(cluster, "shop")
    assert (problem is None) is (len(allowed) == 2)
    if problem is not None:
        assert "-n shop --verb=get,create --resource=pods/exec" in problem.text
        assert "deploy/samples/check-exec-role.yaml" in problem.text


def test_what_was_asked_reads_well() -> None:
    check = Check.model_validate({"name": "i", "exec": {"command": ["/bin/check", "a b\n" * 90]}})
    asked = replace(probe(check), container="app").asked
    assert asked.startswith("exec in app: /bin/check 'a b")
    assert len(asked) < 130
    assert asked.isprintable()
