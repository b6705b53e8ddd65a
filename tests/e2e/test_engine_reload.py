"""What pods of a real engine are told by reload, and what they use for new runs afterwards."""

import asyncio

from tests.e2e.lingering import pick, sampled
from tests.e2e.runs import TOKEN, Letters, letter, letters
from tests.e2e.test_engine import all_succeed, nothing_is_held, runner_image
from tests.harness.workbench import SECONDS, Bench
from tests.harness.workbench_flow import ready

__all__ = ["runner_image"]


@sampled(1, 2)
async def test_all_pods_use_the_content_that_their_workflow_says(
    bench: Bench, seed: int, nth: int
) -> None:
    """What an engine cannot build, none of them; what a pod took by itself, not for long."""
    some = await letters(bench, update="Reload")
    (v1,) = await used(some)
    if pick(seed, ["a content that is rejected", "a pod that strays"], nth).startswith("a content"):
        await rejected(some)
        assert await used(some) == {v1}
        return
    await some.flow.wish("v2")
    await some.flow.at("Promoted")
    (v2,) = await used(some)
    await stray(some, v2, v1)
    async with asyncio.timeout(SECONDS):
        while await used(some) != {v2}:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
    await some.flow.until(lambda f: ready(f)["status"] == "True")
    assert "Drifted" in await bench.reasons(some.flow.name)


async def rejected(some: Letters) -> None:
    runs = await some.start(4)
    broken = letter(some.slow, "v4")
    graph = broken["workflow"]["graph"]
    graph["nodes"] = [node for node in graph["nodes"] if node["data"]["type"] != "start"]
    await some.bench.revise("v4", flow=some.flow.name, **broken)
    await some.flow.wish("v4")
    found = await some.flow.at("Reverted")
    assert ready(found)["reason"] == "RevisionRejected"
    await all_succeed(some, runs, "v1")
    await nothing_is_held(some)


async def stray(some: Letters, active: str, other: str) -> None:
    """Somebody calls the admin port of one pod."""
    pod, *_ = await some.pods()
    url = f"http://{pod['status']['podIP']}:8081/engine/v1/active"
    body = {"contentDigest": other, "ifActive": active}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with some.bench.http.put(url, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    assert await used(some) == {active, other}


async def used(some: Letters) -> set[str]:
    """What pods begin new runs with."""
    headers, found = {"Authorization": f"Bearer {TOKEN}"}, set[str]()
    for pod in await some.pods():
        url = f"http://{pod['status']['podIP']}:8081/engine/v1/revisions"
        async with some.bench.http.get(url, headers=headers) as answer:
            found.add((await answer.json())["active"]["contentDigest"])
    return found
