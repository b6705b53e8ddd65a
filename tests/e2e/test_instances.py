"""Real Jobs and CronJobs through good and bad changes of their workflow."""

import asyncio
import random
from typing import Any

import pytest
from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import SECONDS, Bench, Object

from belay.api.names import LABEL_PAUSED_BY
from belay.shell.resources import CRON_JOBS, JOBS, PODS, WORKFLOWS

LABELS = {"run-of": "wf"}
_WANTED = {"selector": {"matchLabels": LABELS}, "policy": "Pause"}
INSTANCES: Object = {"resources": [{"kind": "Job", **_WANTED}, {"kind": "CronJob", **_WANTED}]}


async def start(bench: Bench, count: int, rng: random.Random) -> set[str]:
    """Jobs and schedules, some of them suspended by their owner; gives the names of those."""
    theirs = set()
    for number in range(count):
        suspended = rng.random() < 0.3
        name = f"i{number}"
        if suspended:
            theirs.add(name)
        if rng.random() < 0.5:
            body = manifests.job(name, labels=LABELS, suspend=suspended or None)
            await bench.apply(JOBS, body)
        else:
            body = manifests.cron_job("pass", name, labels=LABELS, suspend=suspended)
            await bench.apply(CRON_JOBS, body)
    return theirs


async def every(bench: Bench) -> list[Object]:
    return [o for r in (JOBS, CRON_JOBS) for o in await bench.find(r, "run-of=wf")]


async def suspended(bench: Bench) -> set[str]:
    return {o["metadata"]["name"] for o in await every(bench) if o["spec"].get("suspend")}


async def marked(bench: Bench) -> set[str]:
    found = await every(bench)
    return {o["metadata"]["name"] for o in found if LABEL_PAUSED_BY in o["metadata"]["labels"]}


async def job_pods(bench: Bench) -> int:
    """Pods of Jobs that have not ended."""
    pods = await bench.find(PODS, "batch.kubernetes.io/job-name")
    return sum(p["status"].get("phase") not in ("Succeeded", "Failed") for p in pods)


def fates(found: Object) -> dict[str, int]:
    return dict(found["status"]["rollout"]["instances"])


async def test_what_runs_stands_still_for_a_delivery_and_what_others_suspended_stays_so(
    bench: Bench, begin: Begin, request: pytest.FixtureRequest
) -> None:
    """A good change, then a bad one that is caught at the gate."""
    count = 200 if request.config.getoption("--full") else 16
    theirs = await start(bench, count, random.Random(request.config.getoption("--seed")))
    flow = await begin(preview="None", instances=INSTANCES, deadlines={"pause": "120s"})
    await bench.revise("v2", note="second")
    seen_still: list[bool] = []

    async def look_while_it_is_delivered() -> None:
        await flow.at("Delivering", "Verifying")
        seen_still.append(await suspended(bench) == {f"i{n}" for n in range(count)})
        seen_still.append(await job_pods(bench) == 0)

    await flow.wish("v2")
    looking = asyncio.create_task(look_while_it_is_delivered())
    found = await flow.at("Promoted")
    await looking
    assert seen_still == [True, True]
    assert await suspended(bench) == theirs
    assert await marked(bench) == set()
    told = fates(found)
    assert (told["found"], told.get("alreadySuspended", 0)) == (count, len(theirs))
    assert told.get("resumed", 0) + told.get("restarted", 0) == count - len(theirs)
    await bench.revise("v3", code=500)
    await flow.wish("v3")
    found = await flow.at("Reverted")
    assert await suspended(bench) == theirs
    assert await marked(bench) == set()
    told = fates(found)
    assert told.get("resumed", 0) + told.get("restarted", 0) == count - len(theirs)


@pytest.mark.usefixtures("own_place")
@pytest.mark.parametrize("phase", ["Pausing", "Resuming"])
async def test_a_killed_operator_leaves_nothing_paused(
    bench: Bench, begin: Begin, phase: str
) -> None:
    """SIGKILL right after the first write to an instance in that phase, from the audit log."""
    for name in ("a", "b"):
        await bench.apply(JOBS, manifests.job(name, labels=LABELS))
    flow = await begin(preview="None", instances=INSTANCES)
    await bench.revise("v2", note="second")
    mark = bench.mark()
    await flow.wish("v2")
    writes = 1 if phase == "Pausing" else 3
    await patched(bench, mark, writes)
    bench.operator.kill()
    bench.operator.start()
    await flow.at("Promoted")
    assert await suspended(bench) == await marked(bench) == set()


async def patched(bench: Bench, mark: Any, times: int) -> None:
    """Wait until the operator has written to Jobs so often."""
    async with asyncio.timeout(SECONDS):
        while True:
            if bench.writes(mark)["patch jobs"] >= times:
                return
            await asyncio.sleep(0.02)


@pytest.mark.usefixtures("own_place")
async def test_what_a_deleted_workflow_had_paused_is_let_go_at_the_next_start(
    bench: Bench, begin: Begin
) -> None:
    await bench.apply(JOBS, manifests.job("a", labels=LABELS))
    await bench.apply(JOBS, manifests.job("theirs", labels=LABELS, suspend=True))
    flow = await begin(preview="None", instances=INSTANCES)
    await bench.revise("v2", silent=60)
    await flow.wish("v2")
    await flow.at("Delivering", "Verifying")
    assert await marked(bench) == {"a"}
    bench.operator.kill()
    await bench.delete(WORKFLOWS, flow.name)
    bench.operator.start()
    await bench.until(JOBS, "a", lambda job: not job["spec"].get("suspend"))
    assert await marked(bench) == set()
    assert await suspended(bench) == {"theirs"}
