"""The sample's own API: starting a run as callers do, and looking a run up in one pod."""

import http.client
import json
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

Body = dict[str, Any]

_PATIENCE = 60.0
"""Seconds that a caller goes on asking while intake is closed, and waits for one answer."""
_GLANCE = 2.0
_RETRY = 0.1


class Stopped(Exception):
    """The demo ends before the answer came."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`run`: as the answer tells of it; None where `error` says what came instead."""

    run: Body | None
    error: str = ""


def begin(host: str, run: str, ticket: str, mode: str, stop: threading.Event) -> Reply:
    """Start a run, by its id at most once; asks again for as long as intake is closed."""
    wish = {"inputs": {"ticket": ticket}, "user": "demo", "response_mode": mode, "run_id": run}
    began = time.monotonic()
    while True:
        try:
            status, body = _start(host, wish)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Reply(None, type(error).__name__)
        if status == http.client.OK:
            return Reply(body["data"])
        code = str(body.get("code"))
        if code != "draining" or time.monotonic() - began > _PATIENCE:
            return Reply(None, f"{status}: {code}")
        if stop.wait(_RETRY):
            raise Stopped


def spoken(run: Body) -> str:
    """How a run ended, in a few words."""
    return f"{run['status']}: {run['error']}" if run["error"] else str(run["status"])


def ask(host: str, port: int, path: str, token: str = "") -> Body:
    """What one pod tells; it may be gone, so it is not waited for long."""
    with closing(http.client.HTTPConnection(host, port, timeout=_GLANCE)) as connection:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        told: Body = json.loads(connection.getresponse().read())
        return told


def _start(host: str, wish: Body) -> tuple[int, Body]:
    with closing(http.client.HTTPConnection(host, 80, timeout=_PATIENCE)) as connection:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", "/v1/workflows/run", json.dumps(wish), headers)
        answer = connection.getresponse()
        told: Body = json.loads(answer.read())
        return answer.status, told
