"""What people and machines read of the process: log lines and health answers."""

import json
import logging
import re
from collections.abc import Iterator

import aiohttp
import pytest

from belay.runtime.health import HealthServer
from belay.runtime.logs import TextFormatter, json_formatter


@pytest.fixture
def record() -> logging.LogRecord:
    made = logging.LogRecord(
        "belay.shell.act", logging.INFO, __file__, 1, "applied %s", ("cm",), None
    )
    made.workflow, made.rollout, made.reason = "shop/triage", "12-1", "CheckFailed"
    return made


def test_a_text_line_ends_with_what_it_is_about(record: logging.LogRecord) -> None:
    line = TextFormatter().format(record)
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3} INFO ", line)
    assert line.endswith(" INFO    applied cm workflow=shop/triage rollout=12-1 reason=CheckFailed")


def test_a_json_line_holds_the_same_as_fields(record: logging.LogRecord) -> None:
    said = json.loads(json_formatter().format(record))
    assert said["message"] == "applied cm"
    assert (said["level"], said["logger"]) == ("INFO", "belay.shell.act")
    assert (said["workflow"], said["rollout"], said["reason"]) == (
        "shop/triage",
        "12-1",
        "CheckFailed",
    )
    assert said["time"]


async def test_health_answers_say_why() -> None:
    trouble = {"live": "", "ready": "Workflows have not been listed yet"}

    def metrics() -> Iterator[bytes]:
        yield b"belay_leader 1\n"
        yield b"belay_queue_depth 0\n"

    server = HealthServer(
        "127.0.0.1",
        0,
        live=lambda: trouble["live"],
        ready=lambda: trouble["ready"],
        metrics=metrics,
    )

    async with server, aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client:

        async def get(path: str) -> tuple[int, str]:
            async with client.get(path) as answer:
                return answer.status, await answer.text()

        assert await get("/livez") == (200, "ok\n")
        assert await get("/readyz") == (503, "Workflows have not been listed yet\n")
        trouble.update(live="kopf has ended", ready="")
        assert await get("/livez") == (503, "kopf has ended\n")
        assert await get("/readyz") == (200, "ok\n")
        assert await get("/metrics") == (200, "belay_leader 1\nbelay_queue_depth 0\n")
        assert "/metrics" in (await get("/"))[1]
