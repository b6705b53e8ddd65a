"""The operator process on a real API server: leading, standing by, ending."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from queue import Empty, Queue

import pytest
from tests.harness.cluster import Cluster
from tests.harness.network import free_ports
from tests.harness.setup import ROOT

PROGRAM = ROOT / "tests" / "integration" / "runtime_program.py"
SECONDS = 20.0


class Process:
    """One operator process; its lines can be awaited."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        (self.port,) = free_ports(1)
        self._process = subprocess.Popen(
            [sys.executable, PROGRAM, cluster.kubeconfig, namespace, str(self.port)],
            env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._news: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def says(self, pattern: str) -> str:
        """Wait for a line that matches."""
        end = time.monotonic() + SECONDS
        while True:
            try:
                line = self._news.get(timeout=max(0.0, end - time.monotonic()))
            except Empty:
                pytest.fail(f"no {pattern!r} in:\n" + "\n".join(self.lines))
            if re.search(pattern, line):
                return line

    def health(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def ends(self) -> int:
        """Wait for the end; gives the exit code."""
        code = self._process.wait(SECONDS)
        self._reader.join(SECONDS)
        return code

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())
            self._news.put(line.rstrip())


Start = Callable[[], Process]


@pytest.fixture
def start(cluster: Cluster, namespace: str, crds: None) -> Iterator[Start]:
    started: list[Process] = []

    def begin() -> Process:
        started.append(Process(cluster, namespace))
        return started[-1]

    yield begin
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


def create_workflow(cluster: Cluster, namespace: str, name: str) -> None:
    body = {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "activeRevision": "v1",
            "target": {"workloads": [{"kind": "Deployment", "name": name}]},
        },
    }
    cluster.kubectl("create", "-f", "-", stdin=json.dumps(body))


def test_a_new_process_leads_looks_at_what_is_there_and_is_ready(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    create_workflow(cluster, namespace, "triage")
    process = start()
    process.says("leading")
    process.says(rf"pass {namespace}/triage")
    assert process.health("/readyz") == (200, "ok\n")
    assert process.health("/livez") == (200, "ok\n")
    status, metrics = process.health("/metrics")
    assert status == 200
    assert "belay_leader 1.0" in metrics
    assert 'belay_api_requests_total{code="200",resource="workflows",verb="list"}' in metrics


def test_a_workflow_that_changes_or_goes_is_looked_at(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    process = start()
    process.says("leading")
    create_workflow(cluster, namespace, "triage")
    process.says(rf"pass {namespace}/triage")
    patch = '{"spec":{"activeRevision":"v2"}}'
    where = ["-n", namespace, "workflows.belay.dev", "triage"]
    cluster.kubectl("patch", *where, "--type=merge", "-p", patch)
    process.says(rf"pass {namespace}/triage")
    cluster.kubectl("delete", *where)
    process.says(rf"forget {namespace}/triage")
    process.says(rf"pass {namespace}/triage")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_leader_in_good_order(start: Start, number: signal.Signals) -> None:
    process = start()
    process.says("leading")
    process.send(number)
    assert process.ends() == 0
    assert process.lines[-1].endswith("ended"), "\n".join(process.lines)
    assert "closed" in process.lines


def test_a_signal_ends_a_standby_too(start: Start) -> None:
    leader = start()
    leader.says("leading")
    standby = start()
    wait_ready(standby)
    assert "belay_leader 0.0" in standby.health("/metrics")[1]
    standby.send(signal.SIGTERM)
    assert standby.ends() == 0


def test_a_standby_carries_on_within_five_seconds_of_a_killed_leader(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    create_workflow(cluster, namespace, "triage")
    leader = start()
    leader.says(rf"pass {namespace}/triage")
    standby = start()
    wait_ready(standby)
    killed = time.monotonic()
    leader.send(signal.SIGKILL)
    standby.says(rf"pass {namespace}/triage")
    assert time.monotonic() - killed < 5


def test_a_leader_that_ends_in_good_order_hands_over_at_once(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    create_workflow(cluster, namespace, "triage")
    leader = start()
    leader.says(rf"pass {namespace}/triage")
    standby = start()
    wait_ready(standby)
    leader.send(signal.SIGTERM)
    assert leader.ends() == 0
    ended = time.monotonic()
    standby.says(rf"pass {namespace}/triage")
    assert time.monotonic() - ended < 2


def test_a_leader_whose_lease_somebody_took_ends_to_start_afresh(
    cluster: Cluster, namespace: str, start: Start
) -> None:
    leader = start()
    leader.says("leading")
    patch = '{"spec":{"holderIdentity":"somebody-else"}}'
    cluster.kubectl("patch", "-n", namespace, "lease", "belay", "--type=merge", "-p", patch)
    assert leader.ends() == 1
    assert any("somebody-else leads" in line for line in leader.lines)


def test_a_port_in_use_is_told_in_one_line(cluster: Cluster, namespace: str, start: Start) -> None:
    first = start()
    first.says("leading")
    run = subprocess.run(
        [sys.executable, PROGRAM, cluster.kubeconfig, namespace, str(first.port)],
        env={**os.environ, "PYTHONPATH": str(ROOT / "operator")},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert run.returncode == 1
    assert "address already in use" in run.stderr
    assert "Traceback" not in run.stderr


def wait_ready(process: Process) -> None:
    process.says("health and metrics on port")
    end = time.monotonic() + SECONDS
    while process.health("/readyz")[0] != 200:
        assert time.monotonic() < end, process.lines
        time.sleep(0.02)
