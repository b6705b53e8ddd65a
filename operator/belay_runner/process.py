"""The two servers in one loop, the mounted pointer that is followed, and the end in good order."""

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Iterator

import uvicorn
from starlette.applications import Starlette

from belay_runner.api.admin import Admin, Parts
from belay_runner.api.data import Data
from belay_runner.carrying import Carrier
from belay_runner.envelopes import Folder
from belay_runner.metrics import Metrics
from belay_runner.mounted import Damaged, delivered
from belay_runner.problems import Problem
from belay_runner.registry import Registry
from belay_runner.resuming import Resuming
from belay_runner.revisions import Revisions
from belay_runner.settings import Settings
from belay_runner.store import Runs
from belay_runner.tools import Tools
from belay_runner.tools.allowed import Allowed
from belay_runner.tools.code import CodeProcess
from belay_runner.tools.models import Models
from belay_runner.tools.web import Web

_LOG = logging.getLogger(__name__)
_POINTER_SECONDS = 1.0
_LOOK_SECONDS = 0.05
_IDLE_SECONDS = 75
"""Longer than callers keep an idle connection: else it is closed under the next request."""
_ANSWER_BYTES = 10 * 1024 * 1024


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then pause what runs, and end."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # These tell of URLs and of errors as they are, with the secrets that may be in them.
    for indiscreet in ("httpx", "httpcore", "graphon"):
        logging.getLogger(indiscreet).setLevel(logging.CRITICAL)
    asyncio.run(_Process(settings).serve())


class _Server(uvicorn.Server):
    """Leaves signals to the process, which has something to do before its servers end."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Process:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._folder = Folder(settings.envelopes) if settings.envelopes else None
        metrics, runs = Metrics(), Runs(settings.max_runs, settings.keep_finished)
        revisions = Revisions(_tools(settings), settings.keep_revisions, runs.in_use)
        carrier = Carrier(settings, metrics, runs, self._folder)
        self._revisions = revisions
        self._registry = Registry(runs, carrier, revisions, self._folder, settings.max_envelope)
        parts = Parts(self._registry, Resuming(runs, carrier, revisions), revisions, metrics)
        admin = Admin(settings, parts)
        self._servers = [
            self._server(admin.app(), settings.admin_port),
            self._server(Data(self._registry, metrics).app(), settings.port),
        ]
        self._seen: object = None
        self._told_to_end = asyncio.Event()

    def _server(self, app: Starlette, port: int) -> _Server:
        config = uvicorn.Config(
            app,
            host=self._settings.host,
            port=port,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=2,
            timeout_keep_alive=_IDLE_SECONDS,
        )
        return _Server(config)

    async def serve(self) -> None:
        if self._folder is not None:
            lost = self._folder.marked()
            self._registry.take_up(self._folder.all(), lost)
            for name in lost:
                _LOG.error("run %s is lost: it was running when the process ended", name)
        self._look()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told_to_end.set)
        serving = [asyncio.create_task(server.serve()) for server in self._servers]
        following = asyncio.create_task(self._follow())
        ending = asyncio.create_task(self._told_to_end.wait())
        await asyncio.wait([*serving, ending], return_when=asyncio.FIRST_COMPLETED)
        following.cancel()
        await self._end()
        for server in self._servers:
            server.should_exit = True
        await asyncio.gather(*serving)

    async def _follow(self) -> None:
        while not self._revisions.told:
            await asyncio.sleep(_POINTER_SECONDS)
            await asyncio.to_thread(self._look)

    def _look(self) -> None:
        """Take up what is mounted. What cannot be used changes nothing, and is said once."""
        try:
            found = delivered(self._settings.mount)
        except Damaged as error:
            self._say_once(str(error))
            return
        digest = found.content_digest if found else None
        if digest == self._seen:
            return
        if found is not None:
            try:
                revision = self._revisions.validate(None, found.content_digest, found.text)
                revision.ready  # noqa: B018 - raises where it is invalid
            except Problem as problem:
                self._say_once(problem.message)
                return
        self._seen = digest
        self._revisions.follow(digest)
        _LOG.info("active: %s", digest or "nothing is mounted")

    def _say_once(self, text: str) -> None:
        if text != self._seen:
            _LOG.error("%s", text)
        self._seen = text

    async def _end(self) -> None:
        """Pause all, and stay until what is paused is safe or the grace is over."""
        until = time.monotonic() + self._settings.grace
        self._registry.end()
        at_work, unsafe = self._registry.left()
        _LOG.info("ending: %d runs at work, %d paused", len(at_work), len(unsafe))
        while (at_work or unsafe) and time.monotonic() < until:
            await asyncio.sleep(_LOOK_SECONDS)
            at_work, unsafe = self._registry.left()
        for name in at_work:
            _LOG.error("run %s is lost: it did not come to a pause in time", name)
        for name in unsafe:
            _LOG.error("run %s is lost: it was paused, and nobody took its envelope", name)
        self._registry.settle()


def _tools(settings: Settings) -> Tools:
    return Tools(
        web=Web(Allowed.of(settings.http_allow), settings.http_seconds, _ANSWER_BYTES),
        models=_models(settings),
        code=CodeProcess(settings.code_seconds) if settings.allow_code else None,
        workers=settings.workers,
    )


def _models(settings: Settings) -> Models | None:
    if settings.llm_url is None:
        return None
    return Models(settings.llm_url, settings.llm_key_file, settings.llm_seconds)
