"""The HTTP server for kubelet and Prometheus: /livez, /readyz, /metrics."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, Self

from aiohttp import web

Verdict = Callable[[], str]
"""Why it is not so; empty when it is."""

_INDEX: Final = """<!doctype html><title>Belay</title>
<p><a href="/livez">livez</a> <a href="/readyz">readyz</a> <a href="/metrics">metrics</a>
"""


class HealthServer:
    """Listens as long as it is entered; answers are plain text with the reason."""

    def __init__(
        self, address: str, port: int, *, live: Verdict, ready: Verdict,
        metrics: Callable[[], Iterator[bytes]],
    ) -> None:  # fmt: skip
        self._address = address
        self._wanted_port = port
        self._metrics = metrics
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self._index),
                web.get("/livez", _answer(live)),
                web.get("/readyz", _answer(ready)),
                web.get("/metrics", self._scrape),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._runner.addresses[0][1])

    async def __aenter__(self) -> Self:
        """Raises OSError where it cannot listen."""
        await self._runner.setup()
        await web.TCPSite(self._runner, self._address, self._wanted_port).start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _index(self, _: web.Request) -> web.Response:
        return web.Response(text=_INDEX, content_type="text/html")

    async def _scrape(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )
        await response.prepare(request)
        for piece in self._metrics():
            await response.write(piece)
            await asyncio.sleep(0)
        await response.write_eof()
        return response


def _answer(verdict: Verdict) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        trouble = verdict()
        return web.Response(text=f"{trouble or 'ok'}\n", status=503 if trouble else 200)

    return handle
