"""Events: told once, and again only where the server refused."""

import asyncio
from datetime import UTC, datetime

from belay.core.keys import Key
from belay.core.milestones import Milestone
from belay.shell.errors import AlreadyExists, ApiError, Forbidden
from belay.shell.recorder import Recorder
from belay.shell.resources import Object, Resource

PROMOTED = Milestone("2-1", "Promoted", "v2 is active and proven", datetime(2026, 1, 1, tzinfo=UTC))


class Server:
    """Answers each creation with the next of these; then all is well."""

    def __init__(self, *answers: ApiError) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def create(self, _: Resource, __: str | None, body: Object) -> Object:
        self.asked += 1
        if self.answers:
            raise self.answers.pop(0)
        return body


async def told(server: Server, times: int) -> int:
    """How often the server was asked for one event that was to be told so often."""
    recorder = Recorder(server, "belay-0")  # type: ignore[arg-type]
    recorder.start()
    for _ in range(times):
        recorder.tell(Key("shop", "triage"), "uid-of-triage", (PROMOTED,))
        async with asyncio.timeout(5):
            await recorder._waiting.join()
    await recorder.close()
    return server.asked


async def test_an_event_is_told_once() -> None:
    assert await told(Server(), 3) == 1
    assert await told(Server(AlreadyExists(409, "AlreadyExists", "events")), 3) == 1


async def test_an_event_that_was_refused_is_told_again_by_the_next_pass() -> None:
    refused = Forbidden(403, "Forbidden", "no rights for a moment")
    assert await told(Server(refused), 3) == 2
