"""Runs of a real engine that somebody brings back from their backup."""

import asyncio
from typing import Any

import pytest
from tests.e2e.lingering import pick, sampled
from tests.e2e.runs import letters
from tests.e2e.test_engine import all_succeed, nothing_is_held, runner_image
from tests.harness.workbench import Bench, Object
from tests.harness.workbench_flow import Flow

from belay.shell.resources import EVENTS

__all__ = ["runner_image"]

RUNS = 4


async def restored(flow: Flow, token: str) -> Object:
    """Ask, and wait for what came of it."""
    await flow.annotate("restore", token)
    found = await flow.until(lambda w: flow.answered(w) and "endedAt" in w["status"]["restore"])
    told: Object = found["status"]["restore"]
    return told


@pytest.mark.usefixtures("own_place")
@sampled(1, 2)
async def test_runs_of_a_pod_that_is_killed_after_they_went_on_are_given_to_another_one(
    bench: Bench, seed: int, nth: int
) -> None:
    some = await letters(bench, update=pick(seed, ["Rolling", "Reload"], nth))
    runs = await some.start(RUNS, 4.0)
    await some.flow.wish("v2")
    found = await some.flow.at("Promoted")
    backup = found["status"]["rollout"]["backup"]
    assert found["status"]["rollout"]["instances"]["resumed"] == RUNS
    told = await restored(some.flow, backup)
    assert told["reason"] == "Restored"
    assert told["message"] == f"{RUNS} were in pods already"
    its = await killed(bench, some, runs)
    told = await restored(some.flow, f"{backup}/1")
    assert told["reason"] == "RestoreFailed"
    assert f"{len(its)} had gone on before and are in no pod" in told["message"]
    told = await restored(some.flow, f"{backup}/all/2")
    assert (told["reason"], told["restored"]) == ("Restored", len(its)), told
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)
    said = {(e["reason"], e["type"]) for e in await bench.find(EVENTS, "")}
    assert said >= {("Restored", "Normal"), ("RestoreFailed", "Warning")}


async def killed(bench: Bench, some: Any, runs: dict[str, str]) -> set[str]:
    """Kill the pod that has most of these runs, at once; which it had."""
    where: dict[str, set[str]] = {}
    for run, told in (await some.found()).items():
        if run in runs:
            where.setdefault(told["at"], set()).add(run)
    address = max(where, key=lambda at: len(where[at]))
    victim = next(p for p in await some.pods() if p["status"]["podIP"] == address)
    name = victim["metadata"]["name"]
    forced = ["--namespace", bench.namespace, "--grace-period=0", "--force"]
    await asyncio.to_thread(bench.cluster.kubectl, "delete", "pod", name, *forced)
    return where[address]
