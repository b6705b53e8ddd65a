"""A server beside the runner: it answers at once, or holds a caller until the test lets go."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self

Misbehaviour = Callable[[BaseHTTPRequestHandler], None]


class Server:
    """`/echo/…` answers its path; `/gate/NAME` waits for `open(NAME)`; others misbehave."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []
        self.says: dict[str, str] = {}
        """Model -> what it says; others repeat what they hear, or misbehave as they are named."""
        self._gates: dict[str, threading.Event] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.answer(self, "")

            def do_POST(self) -> None:
                size = int(self.headers.get("content-length", "0"))
                outer.answer(self, self.rfile.read(size).decode())

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.open_gates()
        self._server.shutdown()
        self._server.server_close()

    def gate(self, name: str) -> threading.Event:
        return self._gates.setdefault(name, threading.Event())

    def open(self, name: str) -> None:
        """Let all who wait at this gate go, and all who come later."""
        self.gate(name).set()

    def open_gates(self) -> None:
        for name in list(self._gates):
            self.open(name)

    def arrived(self, name: str, count: int) -> None:
        """Wait until so many have come to this gate."""
        until = time.monotonic() + 60
        while self.calls[f"/gate/{name}"] < count:
            assert time.monotonic() < until, f"{self.calls} instead of {count} at {name}"
            time.sleep(0.005)

    def answer(self, handler: BaseHTTPRequestHandler, body: str) -> None:
        path = handler.path.partition("?")[0]
        self.calls[path] += 1
        status, headers, text = 200, {}, path.rpartition("/")[2]
        if path.startswith("/gate/"):
            self.gate(text).wait(60)
        if path == "/drips":
            _MISBEHAVING["drips"](handler)
            return
        if path.startswith("/redirect"):
            status, headers = 302, {"Location": f"{self.url}/echo/elsewhere"}
        if path.startswith("/big/"):
            text = "x" * int(text)
        if path.startswith("/header"):
            text = handler.headers.get("authorization", "")
        if path.endswith("/chat/completions"):
            asked = json.loads(body)
            self.asked.append(asked)
            if misbehaves := _MISBEHAVING.get(asked["model"]):
                misbehaves(handler)
                return
            if asked["model"] == "held":
                self.gate("model").wait(60)
            if asked["model"].isdecimal():
                status, headers = int(asked["model"]), {"Retry-After": "1"}
            text = _completion(asked, self.says.get(asked["model"]))
        self._send(handler, status, headers, text.encode())

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], text: bytes
    ) -> None:
        try:
            handler.send_response(status)
            for name, value in {"Content-Type": "text/plain", **headers}.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", str(len(text)))
            handler.end_headers()
            handler.wfile.write(text)
        except OSError:
            handler.close_connection = True


def _completion(asked: dict[str, Any], said: str | None) -> str:
    last = str(asked["messages"][-1]["content"])
    if said is None:
        said = json.dumps({"answer": last}) if "response_format" in asked else f"said: {last}"
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"choices": [{"message": {"content": said}}], "usage": usage})


def _says(body: bytes, kind: str = "application/json", more: int = 0) -> Misbehaviour:
    """This body, and `more` bytes that are promised and never come."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body) + more))
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return answer


def _without_end(piece: bytes, pause: float) -> Misbehaviour:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        with suppress(OSError):
            while True:
                handler.wfile.write(piece)
                time.sleep(pause)

    return answer


_MISBEHAVING: Final[Mapping[str, Misbehaviour]] = {
    "no-json": _says(b"<html>busy</html>", "text/html"),
    "no-choice": _says(b'{"choices": []}'),
    "streams": _says(b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\n', "text/event-stream"),
    "breaks-off": _says(b'{"choices": [', more=100),
    "endless": _without_end(b" " * 65536, 0),
    "drips": _without_end(b" ", 0.02),
}
