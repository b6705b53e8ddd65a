"""Runs of a real engine while the operator, the Workflow or a pod of the engine is taken away."""

import asyncio

import pytest
from tests.e2e.lingering import pick, sampled
from tests.e2e.runs import Letters, letters
from tests.e2e.test_engine import all_succeed, counts, nothing_is_held, runner_image
from tests.harness.workbench import SECONDS, Bench, gone
from typer.testing import CliRunner

from belay.api.names import LABEL_PAUSED_BY
from belay.cli.app import app
from belay.shell.packed import unpack
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS, PODS, WORKFLOWS

__all__ = ["runner_image"]

RUNS = 6
PHASES = [
    (update, phase)
    for update in ("Rolling", "Reload")
    for phase in ("Pausing", "BackingUp", "Delivering", "Verifying", "Resuming")
    if (update, phase) != ("Reload", "Verifying")
]
"""With Reload the gate is a part of Delivering."""


@pytest.mark.usefixtures("own_place")
@sampled(1, len(PHASES))
async def test_runs_survive_an_operator_that_is_killed(bench: Bench, seed: int, nth: int) -> None:
    update, phase = pick(seed, PHASES, nth)
    some = await letters(bench, update=update)
    runs = await some.start(RUNS)
    await some.flow.wish("v2")
    await some.flow.at(phase)
    bench.operator.kill()
    bench.operator.start()
    told = counts(await some.flow.at("Promoted"))
    assert (told["paused"], told["resumed"], told.get("lost", 0)) == (RUNS, RUNS, 0)
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)


ORPHANED = [("Delivering", "a new process"), ("Pausing", "belay release")]


@pytest.mark.usefixtures("own_place")
@sampled(1, len(ORPHANED))
async def test_runs_go_on_when_their_workflow_is_deleted_while_the_operator_is_down(
    bench: Bench, seed: int, nth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paused in the memory of their pods, or in nothing but the backup."""
    phase, who = pick(seed, ORPHANED, nth)
    some = await letters(bench)
    runs = await some.start(RUNS)
    before = {p["metadata"]["uid"] for p in await some.pods()}
    template = (await bench.get(DEPLOYMENTS, "letters"))["spec"]["template"]
    await some.flow.wish("v2")
    found = await some.flow.at(phase)
    await bench.until(CONFIG_MAPS, found["status"]["rollout"]["runs"], bool)
    await bench.until(
        DEPLOYMENTS, "letters", lambda d: LABEL_PAUSED_BY in (d["metadata"].get("labels") or {})
    )
    if phase == "Delivering":
        await bench.until(DEPLOYMENTS, "letters", lambda d: d["spec"]["template"] != template)
    bench.operator.kill()
    if phase == "Delivering":
        await replaced(some, before)
    await bench.delete(WORKFLOWS, some.flow.name)
    await gone(bench, WORKFLOWS, some.flow.name)
    if who == "belay release":
        monkeypatch.setenv("BELAY_KUBECONFIG", str(bench.cluster.kubeconfig))
        words = ["release", "--all", "-n", bench.namespace]
        said = await asyncio.to_thread(CliRunner().invoke, app, words)
        assert (said.exit_code, said.stderr) == (0, "")
        assert f"Deployment {bench.namespace}/letters with its engine goes on" in said.stdout
    else:
        bench.operator.start()
        target = await bench.get(DEPLOYMENTS, "letters")
        assert LABEL_PAUSED_BY in target["metadata"]["labels"]
        await bench.until(
            DEPLOYMENTS,
            "letters",
            lambda d: LABEL_PAUSED_BY not in (d["metadata"].get("labels") or {}),
        )
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)


async def replaced(some: Letters, before: set[str]) -> None:
    """Wait until none of these pods is there any more."""
    async with asyncio.timeout(SECONDS):
        while {  # noqa: ASYNC110
            p["metadata"]["uid"] for p in await some.bench.find(PODS, "app=letters")
        } & before:
            await asyncio.sleep(0.2)


async def asked_to_pause(some: Letters) -> None:
    """Wait until no run of a pod goes on unasked: the record comes beside the asking."""
    async with asyncio.timeout(SECONDS):
        while any(told["status"] == "running" for told in (await some.found()).values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("own_place")
@sampled(1, 2)
async def test_runs_of_a_pod_that_is_killed_go_on_elsewhere_or_are_lost_by_name(
    bench: Bench, seed: int, nth: int
) -> None:
    """Killed after its runs were stored, or before: as soon as it is known which there are."""
    stored = pick(seed, [True, False], nth)
    some = await letters(bench, update="Reload")
    runs = await some.start(RUNS)
    victim, *_ = await some.pods()
    its = {r for r, told in (await some.found()).items() if told["at"] == victim["status"]["podIP"]}
    await some.flow.wish("v2")
    found = await some.flow.at("Delivering" if stored else "Pausing")
    record = found["status"]["rollout"]["runs"]
    await bench.until(CONFIG_MAPS, record, bool)
    if not stored:
        await asked_to_pause(some)
    bench.operator.kill()
    name = victim["metadata"]["name"]
    forced = ["--namespace", bench.namespace, "--grace-period=0", "--force"]
    await asyncio.to_thread(bench.cluster.kubectl, "delete", "pod", name, *forced)
    bench.operator.start()
    told = counts(await some.flow.at("Promoted"))
    lost = set() if stored else its & runs.keys()
    assert lost or stored
    assert set(told.get("lostRuns") or ()) == lost
    assert told["resumed"] == RUNS - len(lost)
    kept = unpack((await bench.get(CONFIG_MAPS, record))["binaryData"]["runs"])
    assert {run for run, entry in kept.items() if entry["fate"] == "Lost"} == lost
    await all_succeed(some, {r: text for r, text in runs.items() if r not in lost}, "v1")
    await nothing_is_held(some)
