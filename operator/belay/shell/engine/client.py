"""The engine contract over HTTP, to one pod at a time.

The pod is hostile until proven otherwise, as in checks: one address that the guard let through, no
redirects, bounded in time and bytes, and nothing that it says reaches a person but a few words.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from ipaddress import IPv6Address
from typing import Any, Final, TypeVar
from urllib.parse import urlencode

import aiohttp
from pydantic import ValidationError
from yarl import URL

from belay.core.engine.view import EnginePod
from belay.shell.checks.dialling import network_trouble
from belay.shell.checks.egress import Guard, canonical
from belay.shell.engine import wire

MOST_OF_ENVELOPE: Final = 16 * 1024 * 1024
"""Bytes of an envelope as it is sent: twice what the reference runner lets out by default."""
MOST_RECEIVED: Final = MOST_OF_ENVELOPE + 1024 * 1024
"""Bytes of one exchange, headers and framing included."""
MOST_RUNS: Final = 20_000
"""Runs of one pod that are looked at; more are an error."""
_MOST: Final = 2 * 1024 * 1024
"""Bytes of an ordinary answer."""
_PAGE: Final = 500
_V1: Final = "/engine/v1"
_WORDS: Final = 200
_NOT_OURS: Final = (401, 403)
Read = TypeVar("Read", bound=wire._Answer)  # noqa: SLF001 - their common base


@dataclass
class EngineError(Exception):
    """A pod's engine could not be asked, or said no."""

    pod: str
    message: str
    code: str = ""
    """Of the contract; empty where there was no answer in its words."""
    reasons: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return f"pod {self.pod}: {self.message}"


class NoAnswer(EngineError):
    """The pod did not answer: whether it did what was asked is not known."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds that are given to a pod."""

    call: float = 10.0
    long: float = 60.0
    """To an envelope, to the reading of a definition, and to a list of runs with all its pages."""


@dataclass(frozen=True, slots=True)
class Peer:
    """The engine of one pod."""

    session: aiohttp.ClientSession
    guard: Guard
    pod: EnginePod
    token: str = field(repr=False)
    patience: Patience = Patience()

    async def info(self) -> wire.Info:
        told = await self._read(wire.Info, "GET", "/info")
        if told.contract != "v1":
            message = f"speaks version {told.contract[:16]!r} of the contract, not v1"
            raise EngineError(self.pod.name, message)
        return told

    async def revisions(self) -> wire.Revisions:
        return await self._read(wire.Revisions, "GET", "/revisions")

    async def runs(self, states: str = "") -> list[wire.RunTold]:
        """All runs, page by page; of those that are over, the latest."""
        seconds, found = self.patience.long, list[wire.RunTold]()
        try:
            async with asyncio.timeout(seconds):
                async for page in self._pages(states):
                    found += page
                    if len(found) > MOST_RUNS:
                        raise EngineError(self.pod.name, f"tells of more than {MOST_RUNS} runs")
        except TimeoutError as error:
            message = f"told of {len(found)} runs in {seconds:g} s, and that was not the end"
            raise NoAnswer(self.pod.name, message) from error
        return found

    async def pause_all(self, holder: str) -> None:
        body = {"holder": holder, "closeIntake": True}
        await self._json("POST", "/runs:pause", body)

    async def envelope(self, run: str) -> wire.Envelope:
        """Raises `BadEnvelope` where what comes is damaged or another run's."""
        path, seconds = f"/runs/{run}/envelope", self.patience.long
        raw = await self._json("GET", path, most=MOST_OF_ENVELOPE, seconds=seconds)
        try:
            return wire.envelope(raw, run)
        except wire.BadEnvelope as error:
            message = f"pod {self.pod.name}: the envelope of run {run} cannot be used: {error}"
            raise wire.BadEnvelope(message) from error

    async def resume(self, holder: str, what: Mapping[str, Any]) -> wire.Resumed:
        """`what` is {id} or {envelope}."""
        body = {"holder": holder, **what}
        path, seconds = "/runs:resume", self.patience.long
        return await self._read(wire.Resumed, "POST", path, body, seconds=seconds)

    async def abort(self, run: str, reason: str) -> None:
        await self._json("POST", f"/runs/{run}:abort", {"reason": reason})

    async def open_intake(self, holder: str) -> None:
        await self._json("PUT", "/intake", {"state": "Open", "holder": holder})

    async def validate(self, definition: Mapping[str, Any]) -> wire.Verdict:
        path, seconds = "/revisions:validate", self.patience.long
        return await self._read(wire.Verdict, "POST", path, definition, seconds=seconds)

    async def activate(self, content_digest: str, if_active: str | None) -> None:
        body = {"contentDigest": content_digest, "ifActive": if_active}
        await self._json("PUT", "/active", body)

    async def _pages(self, states: str) -> AsyncIterator[list[wire.RunTold]]:
        cursor: str | None = ""
        seen: set[str] = set()
        while cursor is not None:
            if cursor in seen:
                raise EngineError(self.pod.name, "its list of runs goes round in a circle")
            seen.add(cursor)
            query = {"limit": str(_PAGE), "status": states, "cursor": cursor}
            asked = urlencode({name: value for name, value in query.items() if value})
            page = await self._read(wire.Runs, "GET", f"/runs?{asked}")
            yield page.runs
            cursor = page.next

    async def _read(
        self,
        kind: type[Read],
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        seconds: float | None = None,
    ) -> Read:
        raw = await self._json(method, path, body, seconds=seconds)
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False, include_context=False)[0]
            place = ".".join(map(str, first["loc"]))
            message = f"its answer to {path.partition('?')[0]} is not the contract's: {place}"
            raise EngineError(self.pod.name, message) from error

    async def _json(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        most: int = _MOST,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        url = self._url(path)
        seconds = seconds or self.patience.call
        try:
            async with asyncio.timeout(seconds):
                status, read = await self._exchange(method, url, body, most)
        except TimeoutError as error:
            raise NoAnswer(self.pod.name, f"no answer within {seconds:g} s") from error
        except aiohttp.ClientConnectorError as error:
            _, words = network_trouble(error, None)
            raise NoAnswer(self.pod.name, words, code="unconnected") from error
        except (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError) as error:
            message = "answered something that is not plain HTTP: is the port the engine's?"
            raise EngineError(self.pod.name, message) from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(self.pod.name, "the connection broke off") from error
        return self._judged(status, read)

    async def _exchange(
        self, method: str, url: URL, body: Mapping[str, Any] | None, most: int
    ) -> tuple[int, bytes]:
        data = None if body is None else BytesIO(wire.packed(body))  # sent piece by piece
        headers = {"Authorization": f"Bearer {self.token}"}
        if data is not None:
            headers["Content-Type"] = "application/json"
        async with self.session.request(
            method, url, headers=headers, data=data, allow_redirects=False
        ) as response:
            read = bytearray()
            async for chunk in response.content.iter_any():
                read += chunk
                if len(read) > most:
                    raise EngineError(self.pod.name, f"answers more than {most} bytes")
            return response.status, bytes(read)

    def _judged(self, status: int, read: bytes) -> dict[str, Any]:
        if status in _NOT_OURS:
            message = (
                f"answered {status}: does it know the token of spec.instances.engine.tokenFrom?"
            )
            raise EngineError(self.pod.name, message, code="unauthorized")
        try:
            raw = json.loads(read)
        except (ValueError, RecursionError) as error:
            message = f"answered {status} without JSON: is the port the engine's?"
            raise EngineError(self.pod.name, message) from error
        if 200 <= status < 300 and isinstance(raw, dict):
            return raw
        try:
            failure = wire.Failure.model_validate(raw)
        except ValidationError as error:
            raise EngineError(self.pod.name, f"answered {status}") from error
        reasons = failure.details.get("reasons")
        raise EngineError(
            self.pod.name,
            f"{shown(failure.code)}: {shown(failure.message)}",
            failure.code,
            tuple(shown(str(r)) for r in reasons[:4]) if isinstance(reasons, list) else (),
        )

    def _url(self, path: str) -> URL:
        address, port = canonical(self.pod.address), self.pod.port
        if address is None:
            raise NoAnswer(self.pod.name, "it has no address yet", code="unconnected")
        if port is None:
            message = "the port of spec.instances.engine is not declared by the container"
            raise EngineError(self.pod.name, message)
        refusal = self.guard.refuse(
            self.pod.address, port, hosts=self.pod.hosts, host_network=self.pod.host_network
        )
        if refusal is not None:
            raise EngineError(self.pod.name, f"not dialled: {refusal}")
        host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        return URL(f"http://{host}:{port}{_V1}{path}", encoded=True)


def shown(text: str) -> str:
    """A few words of a pod, for people."""
    plain = "".join(c if c.isprintable() else " " for c in text[: _WORDS + 1])
    return plain if len(plain) <= _WORDS else plain[: _WORDS - 1] + "…"


Dial = Callable[[EnginePod, str], Peer]
