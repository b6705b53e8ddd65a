"""The reference runner's image runs real DSL under Belay, as the sample ships it."""

from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from tests.harness import images
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow, ready

from belay.shell.resources import DEPLOYMENTS

SAMPLE = ROOT / "deploy/samples/runner"
ADA = {"inputs": {"name": "Ada", "plan": "team"}}


def manifests(name: str) -> Sequence[dict[str, Any]]:
    return list(yaml.safe_load_all((SAMPLE / name).read_text()))


@pytest.fixture
def runner_image(cluster: Cluster) -> None:
    if not cluster.takes_images:
        pytest.skip("the runner's image cannot be brought to the nodes of this cluster")
    cluster.load_image(images.runner())


async def test_the_sample_goes_from_v1_to_v2_and_comes_back_from_v3(
    bench: Bench, runner_image: None
) -> None:
    (deployment,) = manifests("deployment.yaml")
    deployment["spec"]["replicas"] = 1
    await bench.apply(DEPLOYMENTS, deployment)
    for revision in ("v1", "v2", "v3"):
        (content,) = manifests(f"{revision}.yml")
        await bench.revise(revision, flow="letters", **content)
    (workflow,) = manifests("workflow.yaml")
    workflow["spec"]["verification"]["window"] = "1s"
    flow = Flow(bench, workflow)
    await flow.apply()
    await flow.at("Promoted")
    assert await letter(bench) == "Welcome Ada. Your contact is the support desk."
    await flow.wish("v2")
    await flow.at("Promoted")
    assert (await letter(bench)).startswith("Hello Ada, good to have your team here.")
    await flow.wish("v3")
    found = await flow.at("Reverted")
    assert 'check "writes"' in ready(found)["message"]
    assert (await letter(bench)).startswith("Hello Ada, good to have your team here.")


async def letter(bench: Bench) -> str:
    """What a caller gets from the live pod."""
    (pod,) = [p for p in await bench.pods("letters") if "deletionTimestamp" not in p["metadata"]]
    url = f"http://{pod['status']['podIP']}:8080/v1/workflows/run"
    async with bench.http.post(url, json=ADA) as answer:
        return str((await answer.json())["data"]["outputs"]["letter"])
