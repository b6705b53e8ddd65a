"""kopf as the event source of Workflows, in a thread with an event loop of its own.

kopf cancels every task of its loop that is younger than itself, and decodes events in it: nothing
else may live there. The one bridge to our loop is `call_soon_threadsafe`.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, Protocol, cast

import kopf

from belay.core.keys import Key
from belay.runtime.at_rest import is_at_rest
from belay.shell.login import read_login
from belay.shell.resources import WORKFLOWS, Resource

log = logging.getLogger(__name__)

_TOKEN_LIFE: Final = timedelta(minutes=10)
"""Tokens are read again after this time: kubelet renews a pod's token long before it expires."""
_STOP_SECONDS: Final = 1.0
"""Then kopf is cancelled: what it has not finished by then, it would wait for in vain."""
_CANCEL_SECONDS: Final = 5.0
_FAREWELL_SECONDS: Final = 0.1
"""What aiohttp needs to close TLS connections (its documentation, "Graceful Shutdown")."""
_IDLE_SECONDS: Final = 0.05
"""How long kopf keeps the last event of each object: of ten thousand that come in a list, all."""
_BACK_OFFS: Final = (0.2, 0.5, 1, 2, 3, 5, 5, 5, 5)
"""After refusals of this length kopf gives up, and with it the process. Without an answer at all
it goes on for ever. None is so long that the source would seem dead."""


class OnEvent(Protocol):
    """Hears of each event, in the main loop.

    `resting` is what a list has told of and has nothing left to be done for.
    """

    def __call__(
        self, key: Key, resource_version: str, *, deleted: bool, resting: bool
    ) -> None: ...


OnEnd = Callable[[BaseException | None], None]
"""Hears, in the main loop, that the source has ended, and of what."""


class KopfSource:
    """Delivers events from `start` to `stop`."""

    def __init__(
        self,
        kubeconfig: str | None,
        context: str | None,
        namespaces: Collection[str] = (),
        resource: Resource = WORKFLOWS,
    ) -> None:
        """No `namespaces` means all of them."""
        self._kubeconfig = kubeconfig
        self._context = context
        self._namespaces = namespaces
        self._resource = resource
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._cancel: Callable[[], object] = lambda: None

    def start(self, on_event: OnEvent, on_end: OnEnd) -> None:
        """Start the thread, if not stopped by now; callbacks are called in the running loop."""
        if self._stop.is_set():
            return
        loop = asyncio.get_running_loop()
        self._thread = threading.Thread(
            target=self._run, args=(loop, on_event, on_end), name="kopf", daemon=True
        )
        self._thread.start()

    async def stop(self) -> None:
        """Stop kopf and wait until its thread is gone."""
        self._stop.set()
        if self._thread is None:
            return
        await asyncio.to_thread(self._thread.join, _STOP_SECONDS)
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # its loop may be closed by now
                self._cancel()
            await asyncio.to_thread(self._thread.join, _CANCEL_SECONDS)

    def _run(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent, on_end: OnEnd) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._operate(loop, on_event))
        except BaseException as error:  # noqa: BLE001
            failure = error
        with contextlib.suppress(RuntimeError):  # our loop may be closed by now
            loop.call_soon_threadsafe(on_end, failure)

    async def _operate(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent) -> None:
        operator = asyncio.create_task(self._operator(loop, on_event))
        self._cancel = partial(asyncio.get_running_loop().call_soon_threadsafe, operator.cancel)
        try:
            await operator
        finally:
            await asyncio.sleep(_FAREWELL_SECONDS)

    async def _operator(self, loop: asyncio.AbstractEventLoop, on_event: OnEvent) -> None:
        await kopf.operator(
            registry=self._registry(loop, on_event),
            settings=_settings(clusterwide=not self._namespaces),
            standalone=True,
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
            # A pod's user has no name in the image, and kopf's own way to an identity needs one.
            identity=cast("Any", "belay"),
        )

    def _registry(
        self, loop: asyncio.AbstractEventLoop, on_event: OnEvent
    ) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.ConnectionInfo:
            return await _connection(self._kubeconfig, self._context)

        kind = self._resource

        @kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)
        async def event(event: Mapping[str, Any], **_: Any) -> None:
            metadata = event["object"]["metadata"]
            key = Key(metadata["namespace"], metadata["name"])
            deliver = partial(
                on_event,
                key,
                metadata["resourceVersion"],
                deleted=event["type"] == "DELETED",
                resting=event["type"] is None and is_at_rest(event["object"]),
            )
            loop.call_soon_threadsafe(deliver)

        return registry


async def _connection(kubeconfig: str | None, context: str | None) -> kopf.ConnectionInfo:
    login = await read_login(kubeconfig, context)
    scheme, _, token = (login.authorization or "").partition(" ")
    return kopf.ConnectionInfo(
        server=login.server,
        ca_path=login.ca_path,
        insecure=not login.verify,
        certificate_path=login.certificate_path,
        private_key_path=login.key_path,
        scheme=scheme or None,
        token=token or None,
        proxy_url=login.proxy,
        expiration=datetime.now(UTC) + _TOKEN_LIFE if token else None,
    )


def _settings(*, clusterwide: bool) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.process.ultimate_exiting_timeout = None
    settings.posting.enabled = False
    settings.scanning.disabled = not clusterwide  # else it lists all CRDs and namespaces
    settings.watching.server_timeout = 300
    settings.watching.client_timeout = 360
    settings.watching.connect_timeout = 30
    settings.watching.inactivity_timeout = 70
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = _IDLE_SECONDS
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 60
    settings.networking.error_backoffs = _BACK_OFFS
    settings.persistence.finalizer = "belay.dev/none"
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class _NoDiffBase(kopf.DiffBaseStorage):
    """Nothing is compared, so nothing is copied and nothing is written."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """No handler of ours has any progress to remember."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        pass

    def purge(self, **_: Any) -> None:
        pass

    def touch(self, **_: Any) -> None:
        pass

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence
