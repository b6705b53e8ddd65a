"""The application of the end-to-end tests: it behaves as the delivered definition tells it.

It runs in a pod, as a whole, by `python3 -c`; only the standard library is there. Members of the
definition, all optional: `crash` (exit code at start), `code` of the answer to any path, `ready`
(code for the readiness probe), `delay` of an answer in seconds, `key` (401 unless this is sent as
X-Key), `live` (members that count in live pods only, not in a preview). The file /switch/told has
members too; it is read once, at start. POST /tell changes members of this one
process, and `exit` ends it. With a certificate in /tls it answers on port 8443 by TLS, too, and on
port 9090 by the gRPC health protocol: for services whose name ends with Resting, NOT_SERVING.
"""

import json
import os
import signal
import socketserver
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PREVIEW = os.environ.get("BELAY_PREVIEW")


def definition() -> dict[str, Any]:
    """What was delivered, found by current.json; nothing, where the template carries nothing."""
    folder = Path("/etc/belay")
    if not (folder / "current.json").exists():
        return {}
    current = json.loads((folder / "current.json").read_text())
    content = folder / "revisions" / current["contentDigest"][7:23]
    told: dict[str, Any] = json.loads((content / current["file"]).read_text())
    bound = [file for file in content.glob("bindings/*") if file.is_file()]
    told["bindings"] = {file.name: file.read_text() for file in bound}
    return told


TOLD = definition()
if not PREVIEW:
    TOLD.update(TOLD.get("live", {}))
if Path("/switch/told").exists():
    TOLD.update(json.loads(Path("/switch/told").read_text()))
if "crash" in TOLD:
    sys.exit(TOLD["crash"])


class Handler(BaseHTTPRequestHandler):
    """The answer's body holds all that the process was told."""

    def do_GET(self) -> None:
        if self.path == "/ready":
            self._answer(TOLD.get("ready", 200))
        elif self.headers.get("X-Key") != TOLD.get("key"):
            self._answer(401)
        else:
            time.sleep(TOLD.get("delay", 0))
            self._answer(TOLD.get("code", 200))

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        TOLD.update(told)
        self._answer(200)
        if "exit" in told:
            os._exit(told["exit"])

    def _answer(self, code: int) -> None:
        body = json.dumps({**TOLD, "preview": PREVIEW}).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be silent."""


class Server(ThreadingHTTPServer):
    """Finishes the requests that it has begun."""

    daemon_threads = False
    request_queue_size = 128


class Health(socketserver.StreamRequestHandler):
    """gRPC health, HTTP/2 by hand: it reads no headers, and answers each request in full."""

    def handle(self) -> None:
        self.rfile.read(len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
        self._frame(4, 0, 0, b"")
        while head := self.rfile.read(9):
            body = self.rfile.read(int.from_bytes(head[:3], "big"))
            kind, flags, stream = head[3], head[4], int.from_bytes(head[5:], "big")
            if kind == 4 and not flags & 1:
                self._frame(4, 1, 0, b"")
            if kind == 0 and flags & 1:
                status = 2 if body.endswith(b"Resting") else 1
                self._frame(1, 4, stream, b"\x88\x0f\x10\x10application/grpc")
                self._frame(0, 0, stream, bytes((0, 0, 0, 0, 2, 8, status)))
                self._frame(1, 5, stream, b"\x00\x0bgrpc-status\x010")

    def _frame(self, kind: int, flags: int, stream: int, body: bytes) -> None:
        head = len(body).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
        self.wfile.write(head + body)


def beside(running: socketserver.TCPServer) -> None:
    threading.Thread(target=running.serve_forever, daemon=True).start()


if Path("/tls/tls.crt").exists():
    by_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    by_tls.load_cert_chain("/tls/tls.crt", "/tls/tls.key")
    secured = Server(("", 8443), Handler)
    secured.socket = by_tls.wrap_socket(secured.socket, server_side=True)
    beside(secured)
    beside(socketserver.ThreadingTCPServer(("", 9090), Health))

server = Server(("", 8080), Handler)


def end(*_: object) -> None:
    """Serve on while Services still send requests here, then finish what was begun."""
    linger = float(os.environ.get("LINGER", "0"))
    threading.Timer(linger, server.shutdown).start()


signal.signal(signal.SIGTERM, end)
server.serve_forever(poll_interval=0.05)
server.server_close()
