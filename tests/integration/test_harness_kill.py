"""Whatever ends the owner of a cluster, the next one starts, and nothing stays behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.harness import binaries
from tests.harness.cluster import Kind, default_kind
from tests.harness.setup import ROOT, run
from tests.integration.test_harness import web_pod

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(default_kind() is not Kind.LOCAL, reason="needs Linux and root"),
]

CLUSTER = [sys.executable, "-m", "tests.harness"]


@pytest.fixture
def apart() -> Iterator[Path]:
    """A network of its own, because bridge and packet rules are one set per network."""
    name = f"belay-{uuid.uuid4().hex[:8]}"
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    try:
        yield Path("/run/netns") / name
    finally:
        run(["ip", "netns", "delete", name])


@pytest.fixture
def state(apart: Path) -> Iterator[Path]:
    """A folder with a short path, for the sockets in it; cleaned even when the test fails."""
    with tempfile.TemporaryDirectory(prefix="belay-") as folder:
        yield Path(folder)
        run([*inside(apart), *CLUSTER, "down"], cwd=ROOT, env={"XDG_STATE_HOME": folder})


def test_after_kill_9_the_next_start_works_and_nothing_is_left(apart: Path, state: Path) -> None:
    with owner(apart, state) as (first, kubeconfig):
        run_pod(apart, kubeconfig)
        groups = control_groups(state)
        assert len(groups) > 1, "a sandbox and its container"
        first.kill()
        first.wait()
    assert processes(state), "the pod's shim should outlive a kill -9: else this shows nothing"
    assert mounts(state)
    with owner(apart, state) as (second, kubeconfig):
        assert kubectl(apart, kubeconfig, "get", "pods", "--output=name") == ""
        second.send_signal(signal.SIGTERM)
        assert second.wait(30) == 0
    assert processes(state) == []
    assert mounts(state) == []
    assert "belay0" not in run([*inside(apart), "ip", "link"])
    assert run([*inside(apart), "nft", "list", "tables"]) == ""
    assert [group for group in groups if group.exists()] == []
    assert not (state / "belay/local/cluster").exists()


@contextmanager
def owner(apart: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that owns a cluster which is ready, and its kubeconfig."""
    with subprocess.Popen(
        [*inside(apart), *CLUSTER, "hold"],
        cwd=ROOT,
        env={**os.environ, "XDG_STATE_HOME": str(state)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("export KUBECONFIG="), f"no cluster: {line}"
        try:
            yield process, Path(line.strip().partition("=")[2])
        finally:
            process.kill()


def run_pod(apart: Path, kubeconfig: Path) -> None:
    bundle = {**web_pod(), "metadata": {"name": "web", "namespace": "default"}}
    manifest = kubeconfig.parent / "web.json"
    manifest.write_text(json.dumps(bundle))
    kubectl(apart, kubeconfig, "apply", "--filename", str(manifest))
    kubectl(apart, kubeconfig, "wait", "--for=condition=Ready", "pod/web", "--timeout=60s")


def kubectl(apart: Path, kubeconfig: Path, *arguments: str) -> str:
    program = binaries.find(binaries.NODE) / "kubectl"
    return run([*inside(apart), str(program), f"--kubeconfig={kubeconfig}", *arguments])


def inside(apart: Path) -> list[str]:
    return ["nsenter", f"--net={apart}", "--"]


def processes(state: Path) -> list[str]:
    """The command lines that name the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if f"{state}/" in words:
            found.append(words.replace("\0", " "))
    return found


def mounts(state: Path) -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if f" {state}/" in line]


def control_groups(state: Path) -> list[Path]:
    """Those of the containers that run from this folder."""
    tasks = state.glob("belay/local/cluster/containerd/run/*.task/k8s.io/*")
    names = {task.name for task in tasks}
    return [group for group in Path("/sys/fs/cgroup").glob("**/k8s.io/*/") if group.name in names]
