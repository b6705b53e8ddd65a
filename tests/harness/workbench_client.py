"""A user of the application: asks again and again through the Service, and counts what fails."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp


@dataclass(slots=True)
class Answers:
    """What a continuous client has seen."""

    codes: Counter[str] = field(default_factory=Counter)
    """How often which status code came, or which error."""

    @property
    def total(self) -> int:
        return self.codes.total()

    @property
    def failed(self) -> int:
        """Requests that were not answered with 200."""
        return self.total - self.codes["200"]


@asynccontextmanager
async def asking(url: str, period: float = 0.01, at_once: int = 2) -> AsyncIterator[Answers]:
    """Ask this URL all the time, on a new connection for each request."""
    answers = Answers()
    stop = asyncio.Event()
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=5)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
        asyncio.TaskGroup() as users,
    ):
        for _ in range(at_once):
            users.create_task(_ask(session, url, period, answers, stop))
        try:
            yield answers
        finally:
            stop.set()


async def _ask(
    session: aiohttp.ClientSession,
    url: str,
    period: float,
    answers: Answers,
    stop: asyncio.Event,
) -> None:
    while not stop.is_set():
        try:
            async with session.get(url) as answer:
                await answer.read()
                answers.codes[str(answer.status)] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            answers.codes[type(error).__name__] += 1
        await asyncio.sleep(period)
