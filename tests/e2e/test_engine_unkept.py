"""Runs of a real engine that cannot be kept: they go on, and nothing is delivered."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.lingering import pick, sampled
from tests.e2e.runs import letters
from tests.e2e.test_engine import all_succeed, nothing_is_held, runner_image
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import ready
from tests.harness.workbench_operator import Operator

from belay.shell.resources import SECRETS, Resource

__all__ = ["runner_image"]

_RUNS = 4
_QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
TROUBLES = {
    "a quota for Secrets": "exceeded quota: full",
    "a full folder": "could not be written: no space left on device",
}


@pytest.fixture
def trouble(seed: int, nth: int) -> str:
    return pick(seed, sorted(TROUBLES), nth)


@pytest.fixture
def own_place(
    operator_kubeconfig: Path, namespace: str, tmp_path: Path, trouble: str
) -> Iterator[tuple[str, Operator]]:
    """An operator that keeps backups in Secrets, or in a folder with room for nothing but names."""
    folder = tmp_path / "backups"
    folder.mkdir()
    options: tuple[str, ...] = ()
    if trouble == "a full folder":
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=4k,nr_inodes=16", "none", folder], check=True
        )
        (folder / "filling").write_bytes(bytes(4096))
        options = ("--backups", str(folder))
    running = Operator(operator_kubeconfig, (namespace,), tmp_path / "operator.log", options)
    try:
        running.start()
        yield namespace, running
        running.close()
    finally:
        if options:
            subprocess.run(["umount", folder], check=True)


@pytest.mark.usefixtures("own_place")
@sampled(1, len(TROUBLES))
async def test_runs_that_cannot_be_kept_go_on_and_nothing_is_delivered(
    bench: Bench, trouble: str
) -> None:
    some = await letters(bench, update="Rolling")
    pods = {p["metadata"]["uid"] for p in await some.pods()}
    runs = await some.start(_RUNS)
    if trouble == "a quota for Secrets":
        there = len(await bench.find(SECRETS))
        quota = {"metadata": {"name": "full"}, "spec": {"hard": {"secrets": str(there)}}}
        await bench.apply(_QUOTAS, quota)
        await bench.until(_QUOTAS, "full", lambda q: q["status"].get("used", {}).get("secrets"))
    await some.flow.wish("v2")
    found = await some.flow.at("Reverted")
    assert ready(found)["reason"] == "BackupFailed"
    assert TROUBLES[trouble] in ready(found)["message"]
    assert not found["status"].get("quarantine")
    assert {p["metadata"]["uid"] for p in await some.pods()} == pods
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)
