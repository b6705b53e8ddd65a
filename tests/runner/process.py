"""The runner as a real process, spoken to over HTTP; every admin answer is held to the contract."""

import contextlib
import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from tests.harness.setup import ROOT
from tests.runner import contract

TOKEN = "a-token-of-the-tests"
PATIENCE = 60.0
HOLDER = "a-workflow"


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def mount(folder: Path, text: str, bindings: Mapping[str, str] | None = None) -> Path:
    """The folder as kubelet makes it of Belay's volume."""
    short = digest(text).removeprefix("sha256:")[:16]
    own = folder / "revisions" / short
    own.mkdir(parents=True, exist_ok=True)
    (own / "definition.yaml").write_text(text)
    for name, value in (bindings or {}).items():
        (own / "bindings").mkdir(exist_ok=True)
        (own / "bindings" / name).write_text(value)
    point(folder, text)
    return folder


def point(folder: Path, text: str) -> None:
    """Let the pointer name this text, as a whole."""
    told = {"digest": "sha256:0", "contentDigest": digest(text), "file": "definition.yaml"}
    fresh = folder / "current.tmp"
    fresh.write_text(json.dumps(told))
    fresh.rename(folder / "current.json")


def eventually(what: str, probe: Callable[[], Any]) -> Any:
    """What the probe gives, once it gives something."""
    until = time.monotonic() + PATIENCE
    while not (found := probe()):
        assert time.monotonic() < until, f"waited {PATIENCE:g} s for {what}"
        time.sleep(0.01)
    return found


class Runner:
    """One process, and both of its ports."""

    def __init__(self, process: "subprocess.Popen[str]", port: int, admin: int, log: Path) -> None:
        self.process, self._log = process, log
        self.port = port
        self.called: set[str] = set()
        hooks = {"response": [self._hold_to_contract]}
        self.admin = httpx.Client(
            base_url=f"http://127.0.0.1:{admin}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            event_hooks=hooks,
            timeout=60,
        )
        self.data = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60)

    # callers

    def run(self, **inputs: Any) -> dict[str, Any]:
        """Start a run and wait for its end; `data` of the answer."""
        return self.started(inputs, response_mode="blocking")

    def begin(self, inputs: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Start a run and do not wait; its id."""
        found: str = self.started(inputs or {}, response_mode="async", **more)["id"]
        return found

    def started(self, inputs: Mapping[str, Any], **more: Any) -> dict[str, Any]:
        response = self.data.post("/v1/workflows/run", json={"inputs": inputs, **more})
        assert response.status_code == 200, response.text
        data: dict[str, Any] = response.json()["data"]
        return data

    def stream(self, inputs: Mapping[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
        """Start a run and read along; events as they come, a ping as `{"event": "ping"}`."""
        body = {"inputs": inputs, "response_mode": "streaming", **more}
        with self.data.stream("POST", "/v1/workflows/run", json=body) as response:
            assert response.status_code == 200, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")
            for line in response.iter_lines():
                if line.startswith("event: "):
                    yield {"event": line.removeprefix("event: ")}
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def result(self, run: str) -> dict[str, Any]:
        data: dict[str, Any] = self.data.get(f"/v1/workflows/run/{run}").json()
        return data

    def ended(self, run: str) -> dict[str, Any]:
        """The run's data, once it is over."""
        live = ("running", "pausing", "paused")
        eventually(f"the end of {run}", lambda: self.result(run)["status"] not in live)
        return self.result(run)

    # Belay

    def info(self) -> dict[str, Any]:
        found: dict[str, Any] = self.admin.get("/engine/v1/info").json()
        return found

    def get(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.admin.get(f"/engine/v1/runs/{run}").json()
        return found

    def paused(self, run: str) -> dict[str, Any]:
        eventually(f"the pause of {run}", lambda: self.get(run)["status"] == "paused")
        return self.get(run)

    def at(self, run: str, name: str) -> None:
        """Wait until this node is at work in the run."""
        eventually(f"{name} at work", lambda: name in self.get(run)["inFlight"])

    def pause(self, run: str, holder: str = HOLDER) -> httpx.Response:
        return self.admin.post(f"/engine/v1/runs/{run}:pause", json={"holder": holder})

    def pause_all(self, **more: Any) -> dict[str, Any]:
        body = {"holder": HOLDER, **more}
        found: dict[str, Any] = self.admin.post("/engine/v1/runs:pause", json=body).json()
        return found

    def envelope(self, run: str) -> dict[str, Any]:
        response = self.admin.get(f"/engine/v1/runs/{run}/envelope")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    def resume(self, holder: str = HOLDER, **what: Any) -> httpx.Response:
        return self.admin.post("/engine/v1/runs:resume", json={"holder": holder, **what})

    def validate(self, text: str, revision: str | None = None, **more: Any) -> httpx.Response:
        body = {"revision": revision, "contentDigest": digest(text), "format": "DifyDSL"}
        return self.admin.post(
            "/engine/v1/revisions:validate", json={**body, "definition": text, **more}
        )

    def activate(self, text: str, before: str | None) -> httpx.Response:
        body = {"contentDigest": digest(text), "ifActive": digest(before) if before else None}
        return self.admin.put("/engine/v1/active", json=body)

    def take(self, text: str) -> None:
        """Make this definition the active one, whatever was."""
        verdict = self.validate(text).json()
        assert verdict["valid"], verdict
        active = self.admin.get("/engine/v1/revisions").json()["active"]
        body = {"contentDigest": digest(text), "ifActive": active and active["contentDigest"]}
        response = self.admin.put("/engine/v1/active", json=body)
        assert response.status_code == 200, response.text

    def intake(self, state: str, holder: str = HOLDER) -> dict[str, Any]:
        body = {"state": state, "holder": holder}
        found: dict[str, Any] = self.admin.put("/engine/v1/intake", json=body).json()
        return found

    # the process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def tell_to_end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def log(self) -> str:
        return self._log.read_text()

    def _hold_to_contract(self, response: httpx.Response) -> None:
        response.read()
        self.called.add(contract.check(response))

    def close(self) -> None:
        self.admin.close()
        self.data.close()
        if self.process.poll() is None:
            self.kill()


@contextmanager
def running(python: Path, folder: Path, *options: str, wait: bool = True) -> Iterator[Runner]:
    """A runner over `folder`/mount, until the block ends."""
    folder.mkdir(parents=True, exist_ok=True)
    token, log = folder / "token", folder / "log"
    token.write_text(TOKEN)
    port, admin = _free_port(), _free_port()
    command = [
        str(python), "-m", "belay_runner", "--host", "127.0.0.1", "--port", str(port),
        "--admin-port", str(admin), "--token-file", str(token), "--mount", str(folder / "mount"),
        *options,
    ]  # fmt: skip
    with log.open("a") as out:
        process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "operator")},
            stdout=out,
            stderr=out,
            text=True,
        )
    runner = Runner(process, port, admin, log)
    try:
        if wait:
            eventually(f"a runner\n{log}", lambda: _answers(runner))
        yield runner
    finally:
        runner.close()


def _answers(runner: Runner) -> bool:
    assert runner.process.poll() is None, runner.log()
    try:
        return runner.admin.get("/livez").status_code == 200
    except httpx.TransportError:
        return False


def _free_port() -> int:
    """Below those that the kernel gives to connections: nobody else takes it meanwhile."""
    while True:
        port = random.randrange(10240, 29999)
        with socket.socket() as found, contextlib.suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
