"""The application of the end-to-end tests: it behaves as the delivered definition tells it.

It runs in a pod, as a whole, by `python3 -c`; only the standard library is there. A test run starts
hundreds of them, so it imports little and speaks HTTP by hand. Members of the
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
import sys
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PREVIEW = os.environ.get("BELAY_PREVIEW")


def read(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read()


def definition() -> "dict[str, Any]":
    """What was delivered, found by current.json; nothing, where the template carries nothing."""
    folder = "/etc/belay"
    if not os.path.exists(f"{folder}/current.json"):
        return {}
    current = json.loads(read(f"{folder}/current.json"))
    content = f"{folder}/revisions/{current['contentDigest'][7:23]}"
    told: dict[str, Any] = json.loads(read(f"{content}/{current['file']}"))
    bound = f"{content}/bindings"
    names = os.listdir(bound) if os.path.isdir(bound) else []
    files = [name for name in names if os.path.isfile(f"{bound}/{name}")]
    told["bindings"] = {name: read(f"{bound}/{name}") for name in files}
    return told


TOLD = definition()
if not PREVIEW:
    TOLD.update(TOLD.get("live", {}))
if os.path.exists("/switch/told"):
    TOLD.update(json.loads(read("/switch/told")))
if "crash" in TOLD:
    sys.exit(TOLD["crash"])


class Handler(socketserver.StreamRequestHandler):
    """One request for each connection. The answer's body holds all that the process was told."""

    def handle(self) -> None:
        method, path, *_ = [*self.rfile.readline().decode().split(), "", ""]
        headers = {}
        while line := self.rfile.readline().decode().strip():
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        if method == "POST":
            told = json.loads(self.rfile.read(int(headers["content-length"])))
            TOLD.update(told)
            self._answer(200)
            if "exit" in told:
                os._exit(told["exit"])
        elif path == "/ready":
            self._answer(TOLD.get("ready", 200))
        elif method and headers.get("x-key") != TOLD.get("key"):
            self._answer(401)
        elif method:
            time.sleep(TOLD.get("delay", 0))
            self._answer(TOLD.get("code", 200))

    def _answer(self, code: int) -> None:
        body = json.dumps({**TOLD, "preview": PREVIEW}).encode()
        head = f"HTTP/1.0 {code} Told\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)


class Server(socketserver.ThreadingTCPServer):
    """Finishes the requests that it has begun."""

    allow_reuse_address = True
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


if os.path.exists("/tls/tls.crt"):
    import ssl

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
server.serve_forever(poll_interval=0.1)
server.server_close()
