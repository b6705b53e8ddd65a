"""The network to many is lost at once: nobody is blamed, and all goes on when it is back."""

import asyncio

import pytest
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow, ready
from tests.harness.workbench_manifests import ANSWERS

COUNT = 6
QUICK = {**ANSWERS, "timeout": "500ms"}


async def suspended(bench: Bench) -> bool:
    """What the alert watches."""
    async with bench.http.get(f"{bench.operator.health}/metrics") as answer:
        return "belay_probing_suspended 1.0" in (await answer.text()).splitlines()


async def told_all(bench: Bench, names: list[str], delay: int) -> None:
    """Ready they stay: the path of the readiness probe answers on."""
    pods = [pod["metadata"]["name"] for name in names for pod in await bench.pods(name)]
    assert len(pods) == len(names)
    await asyncio.gather(*(bench.tell(pod, delay=delay) for pod in pods))


@pytest.mark.usefixtures("own_place")
async def test_six_that_fall_silent_together_are_held_and_then_promoted(bench: Bench) -> None:
    names = [f"wf-{n}" for n in range(COUNT)]

    async def begun(name: str) -> Flow:
        await bench.deploy(name, flow=name)
        await bench.revise("v1", flow=name, note=name)
        spec = {"targets": [name], "checks": [QUICK], "window": "8s", "preview": "None"}
        return Flow(bench, manifests.workflow(name, **spec))

    flows = await asyncio.gather(*map(begun, names))
    await asyncio.gather(*(flow.apply() for flow in flows))
    await asyncio.gather(*(flow.at("Observing") for flow in flows))
    assert not await suspended(bench)
    await told_all(bench, names, 60)
    said = await asyncio.gather(*(flow.says("ProbingSuspended") for flow in flows))
    assert all("Workflows that are probed fell silent together" in message for message in said)
    assert await suspended(bench)
    await told_all(bench, names, 0)
    for found in await asyncio.gather(*(flow.at("Promoted") for flow in flows)):
        assert ready(found)["reason"] == "Promoted"
        assert found["status"]["rollout"]["outcome"] == "Promoted"
    assert not await suspended(bench)
