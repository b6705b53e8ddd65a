"""The sample application, as its pods run it: real processes on loopback."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.harness.network import free_ports
from tests.samples import TRIAGE

BILLING = "I was charged twice for one invoice"


def call(port: int, path: str, body: bytes | None = None) -> tuple[int, Any]:
    """Status and parsed body of one request."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body)
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def run(port: int, ticket: str) -> tuple[int, Any]:
    return call(port, "/run", json.dumps({"inputs": {"ticket": ticket}}).encode())


@contextmanager
def process(
    program: str, port: int, ready: str, **environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A program of the sample, from its first answer on."""
    command = [sys.executable, "-I", str(TRIAGE / program)]
    with subprocess.Popen(command, env={**os.environ, **environment, "PORT": str(port)}) as started:
        try:
            end = time.monotonic() + 10
            while True:
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{port}{ready}", timeout=1):
                        break
                except OSError:
                    assert started.poll() is None, f"{program} ended with {started.returncode}"
                    assert time.monotonic() < end, f"{program} does not answer"
                    time.sleep(0.02)
            yield started
        finally:
            started.kill()


def mount(folder: Path, content: bytes, *, damaged: bool = False) -> Path:
    """The folder as Belay delivers it."""
    digest = hashlib.sha256(content).hexdigest()
    revision = folder / "revisions" / digest[:16]
    revision.mkdir(parents=True)
    (revision / "definition.yaml").write_bytes(content + b" " * damaged)
    pointer = {
        "digest": "sha256:told",
        "contentDigest": f"sha256:{digest}",
        "file": "definition.yaml",
    }
    (folder / "current.json").write_text(json.dumps(pointer))
    return folder


@pytest.fixture(scope="module")
def classifier() -> Iterator[str]:
    (port,) = free_ports(1)
    with process("classifier.py", port, "/"):
        yield f"127.0.0.1:{port}"


@contextmanager
def application(folder: Path, classifier: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    (port,) = free_ports(1)
    settings = {"BELAY_MOUNT": str(folder), "CLASSIFIER": classifier, "DRAIN_SECONDS": "0.5"}
    with process("app.py", port, "/healthz", **settings) as started:
        yield port, started


@pytest.mark.parametrize("name", ["v1", "v2", "v4"])
@pytest.mark.parametrize(
    ("ticket", "queue"), [(BILLING, "billing"), ("The site is down", "outage"), ("Hi", "other")]
)
def test_a_good_revision_answers_every_ticket(
    tmp_path: Path, classifier: str, name: str, ticket: str, queue: str
) -> None:
    folder = mount(tmp_path, (TRIAGE / f"{name}.yml").read_bytes())
    with application(folder, classifier) as (port, _):
        status, answer = run(port, ticket)
    assert (status, answer["digest"], answer["outputs"]["queue"]) == (200, "sha256:told", queue)
    assert ticket in answer["outputs"]["reply"]


def test_the_broken_revision_is_ready_and_its_check_fails(tmp_path: Path, classifier: str) -> None:
    folder = mount(tmp_path, (TRIAGE / "v3.yml").read_bytes())
    with application(folder, classifier) as (port, _):
        assert call(port, "/healthz")[0] == 200
        status, answer = run(port, BILLING)
        assert run(port, "Hi")[0] == 200
    assert status == 500
    assert 'node template-transform "Reply about billing"' in answer["error"]
    assert "no node produces lookup.customer" in answer["error"]


def test_other_nodes_are_refused_by_name(tmp_path: Path, classifier: str) -> None:
    content = (TRIAGE / "v1.yml").read_text().replace('"type": "http-request"', '"type": "llm"')
    with application(mount(tmp_path, content.encode()), classifier) as (port, _):
        status, answer = run(port, BILLING)
    assert status == 500
    assert 'node llm "Classify"' in answer["error"]


def test_before_the_first_delivery_it_is_ready_and_says_so(tmp_path: Path, classifier: str) -> None:
    with application(tmp_path, classifier) as (port, _):
        assert call(port, "/healthz") == (200, {"digest": None})
        assert run(port, BILLING)[0] == 500


def test_a_damaged_definition_does_not_start(tmp_path: Path) -> None:
    folder = mount(tmp_path, (TRIAGE / "v1.yml").read_bytes(), damaged=True)
    (port,) = free_ports(1)
    done = subprocess.run(
        [sys.executable, "-I", str(TRIAGE / "app.py")],
        env={**os.environ, "BELAY_MOUNT": str(folder), "PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode != 0
    assert "is not what current.json promises" in done.stderr


def test_no_request_fails_while_it_ends(tmp_path: Path, classifier: str) -> None:
    folder = mount(tmp_path, (TRIAGE / "v1.yml").read_bytes())
    with application(folder, classifier) as (port, started):
        asked = threading.Event()
        answers: list[int] = []

        def ask() -> None:
            while not asked.is_set():
                answers.append(run(port, BILLING)[0])

        client = threading.Thread(target=ask)
        client.start()
        started.send_signal(signal.SIGTERM)
        # What a load balancer does: it stops sending before the drain is over.
        asked.wait(0.25)
        asked.set()
        client.join()
        assert started.wait(timeout=10) == 0
    assert answers
    assert set(answers) == {200}


def test_the_application_stays_small() -> None:
    assert len((TRIAGE / "app.py").read_text().splitlines()) <= 150
