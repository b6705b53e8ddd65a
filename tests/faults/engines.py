"""Engines in pods that do not run: asked over HTTP on loopback, by the uid of the pod."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from tests.scenario.world.engine import EngineWorld, Peer, Process

from belay.core.engine.view import EnginePod, RunState
from belay.shell.engine.client import EngineError
from belay.shell.engine.wire import RunTold

Object = dict[str, Any]
_BASE = "/engine/v1/"


@dataclass(slots=True)
class Engines:
    """All of one test process: they outlive the operators that ask them."""

    world: EngineWorld = field(default_factory=EngineWorld)
    _server: asyncio.Server | None = None

    async def open(self) -> str:
        """Gives the address, to be followed by the uid of a pod."""
        loop = asyncio.get_running_loop()
        server = web.Server(self._handle, access_log=None)
        self._server = await loop.create_server(server, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def begin(self, pod: str, content_digest: str, runs: Collection[str]) -> None:
        """Callers begin runs in the pod of this uid."""
        here = self.world.processes.setdefault(pod, Process(pod))
        for run in runs:
            here.runs[run] = RunTold(
                id=run, content_digest=content_digest, status=RunState.RUNNING, holder=None
            )

    def told(self, pods: Collection[str], namespace: str) -> tuple[str, ...]:
        """What became of the runs that were begun in a namespace, in these of its pods."""
        here = [self.world.processes[uid] for uid in pods if uid in self.world.processes]
        found = [
            f"{run.id.removesuffix(namespace)} {run.status}, "
            f"resumed {self.world.resumed.count(run.id)} times"
            for process in here
            for run in process.runs.values()
        ]
        return tuple(sorted([*found, *("intake closed" for process in here if process.holders)]))

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        uid, _, path = request.path.lstrip("/").partition(_BASE)
        peer = Peer(self.world, EnginePod(uid, uid, "", (), False, None))
        body = await request.json() if request.can_read_body else {}
        try:
            return web.json_response(await _answer(peer, f"{request.method} {path}", body))
        except EngineError as error:
            told = {"code": error.code, "message": error.message}
            return web.json_response(told, status=409)


async def _answer(peer: Peer, asked: str, body: Object) -> Object:
    """The contract, as far as Belay speaks it."""
    match asked.replace(":", "/").replace(" ", "/").split("/"):
        case ["GET", "info"]:
            return (await peer.info()).model_dump(by_alias=True)
        case ["GET", "revisions"]:
            return (await peer.revisions()).model_dump(by_alias=True)
        case ["GET", "runs"]:
            runs = [run.model_dump(by_alias=True) for run in await peer.runs()]
            return {"runs": runs, "next": None}
        case ["GET", "runs", run, "envelope"]:
            return (await peer.envelope(run)).raw
        case ["POST", "runs", "pause"]:
            await peer.pause_all(body["holder"])
        case ["POST", "runs", "resume"]:
            return (await peer.resume(body["holder"], body)).model_dump(by_alias=True)
        case ["POST", "revisions", "validate"]:
            return (await peer.validate(body)).model_dump(by_alias=True)
        case ["PUT", "intake"]:
            await peer.open_intake(body["holder"])
        case _:
            raise EngineError(peer.pod.name, f"nothing answers to {asked}", "invalidRequest")
    return {}
