"""An application that takes a new revision up as it runs: no pod is replaced for it.

It watches the one ConfigMap `<workflow>-current` {current.json, definition} by the API, and
switches as soon as it changes. Where the API cannot be reached, it reads the mounted copy, which
kubelet brings up to date within about a minute. GET /current tells what it runs; POST /run
{"name": ...} answers the greeting of the definition, {"greeting": "Hello {name}"}.
"""

import hashlib
import http.client
import json
import os
import signal
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

POINTER = os.environ.get("BELAY_POINTER", "greeter-current")
MOUNT = Path(os.environ.get("BELAY_MOUNT", "/etc/belay"))
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LOOK_SECONDS, RETRY_SECONDS = 1.0, 0.5
NOTHING: dict[str, Any] = {"digest": None, "contentDigest": None}
Json = dict[str, Any]


class Running:
    """What the process runs now. A revision that cannot be used changes nothing."""

    def __init__(self) -> None:
        self.pointer: Json = NOTHING
        self.greeting = ""

    def take_up(self, files: dict[str, str]) -> None:
        """Switch to the content of the pointer, at once and as a whole; to nothing without one."""
        if not files:
            self.pointer, self.greeting = NOTHING, ""
            return
        pointer = json.loads(files["current.json"])
        text = files[pointer["file"]]
        if f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" != pointer["contentDigest"]:
            print(f"{pointer['file']} is not what current.json promises", flush=True)
            return
        self.greeting = str(json.loads(text)["greeting"])
        self.pointer = pointer

    def answer(self, name: str) -> Json:
        return {"text": self.greeting.format(name=name)}


RUNNING, WATCHED = Running(), threading.Event()


def watch() -> None:
    """Follow the ConfigMap by the API: its state now, then each change of it."""
    while True:
        try:
            for files in changes():
                WATCHED.set()
                attempt(files)
        except (OSError, ValueError, http.client.HTTPException) as error:
            WATCHED.clear()
            print(f"the watch of {POINTER} ended: {error!r}", flush=True)
        time.sleep(RETRY_SECONDS)


def changes() -> Any:
    """The data of the ConfigMap, each time that the API server tells of it."""
    host, port = (os.environ[f"KUBERNETES_SERVICE_{name}"] for name in ("HOST", "PORT"))
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    server = http.client.HTTPSConnection(host, int(port), timeout=330, context=trust)
    query = {"watch": "true", "fieldSelector": f"metadata.name={POINTER}", "timeoutSeconds": 300}
    namespace = (ACCOUNT / "namespace").read_text()
    token = (ACCOUNT / "token").read_text()
    path = f"/api/v1/namespaces/{namespace}/configmaps?{urlencode(query)}"
    server.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = server.getresponse()
    if answer.status != 200:
        raise OSError(f"{answer.status} from the API server: is there a Role for {POINTER}?")
    for line in answer:
        event = json.loads(line)
        if event["type"] in ("ADDED", "MODIFIED", "DELETED"):
            yield {} if event["type"] == "DELETED" else event["object"]["data"]


def look() -> None:
    """Read the mounted copy as long as the API cannot be watched: it may be a minute behind."""
    seen = None
    while True:
        try:
            found = (MOUNT / "current.json").read_text()
            if found != seen and not WATCHED.is_set():
                attempt({file.name: file.read_text() for file in MOUNT.iterdir() if file.is_file()})
                seen = found
        except OSError:
            pass
        time.sleep(LOOK_SECONDS)


def attempt(files: dict[str, str]) -> None:
    try:
        RUNNING.take_up(files)
    except (ValueError, LookupError, TypeError) as error:
        print(f"the new revision cannot be used: {error!r}", flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        known = {"/healthz": {}, "/current": RUNNING.pointer}
        self.answer(200 if self.path in known else 404, known.get(self.path, {}))

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", "0"))
        try:
            self.answer(200, RUNNING.answer(str(json.loads(self.rfile.read(size))["name"])))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            self.answer(500, {"error": repr(error)})

    def answer(self, status: int, body: Json) -> None:
        told = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None: ...


def main() -> None:
    for follow in (watch, look):
        threading.Thread(target=follow, daemon=True).start()
    server = ThreadingHTTPServer(("", int(os.environ.get("PORT", "8080"))), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever()


if __name__ == "__main__":
    main()
