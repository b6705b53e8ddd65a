"""A server beside the runner: it answers at once, or holds a caller until the test lets go."""

import json
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Server:
    """`/echo/…` answers its path; `/gate/NAME` waits for `open(NAME)`; others misbehave."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.asked: list[dict[str, Any]] = []
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

    def answer(self, handler: BaseHTTPRequestHandler, body: str) -> None:
        path, _, query = handler.path.partition("?")
        self.calls[path] += 1
        status, headers, text = 200, {}, path.rpartition("/")[2]
        if path.startswith("/gate/"):
            self.gate(text).wait(60)
        if path.startswith("/redirect"):
            status, headers = 302, {"Location": f"{self.url}/echo/elsewhere"}
        if path.startswith("/big/"):
            text = "x" * int(text)
        if path.startswith("/header"):
            text = handler.headers.get("authorization", "")
        if path.endswith("/chat/completions"):
            self.asked.append(json.loads(body))
            text = _completion(json.loads(body), query)
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


def _completion(asked: dict[str, Any], _: str) -> str:
    last = str(asked["messages"][-1]["content"])
    said = json.dumps({"answer": last}) if "response_format" in asked else f"said: {last}"
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    return json.dumps({"choices": [{"message": {"content": said}}], "usage": usage})
