"""Many Workflows at once."""

import asyncio
import time

from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow

COUNT = 25


async def test_many_workflows_at_once_are_all_promoted(bench: Bench) -> None:
    names = [f"wf-{n:02}" for n in range(COUNT)]

    async def one(name: str) -> None:
        await bench.deploy(name, flow=name)
        await bench.until_runs(None, name)
        await bench.revise("v1", flow=name, note=name)
        flow = Flow(bench, manifests.workflow(name, targets=[name], preview="None"))
        flows.append(flow)

    flows: list[Flow] = []
    await asyncio.gather(*(one(name) for name in names))
    began = time.monotonic()
    await asyncio.gather(*(flow.apply() for flow in flows))
    await asyncio.gather(*(flow.at("Promoted") for flow in flows))
    print(f"{COUNT} first activations at once: {time.monotonic() - began:.1f} s")
