"""Trouble around a revision is not its fault: it is taken back and not quarantined."""

from typing import Any

import pytest
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench
from tests.harness.workbench_flow import Flow, ready

from belay.shell.resources import DEPLOYMENTS, SECRETS, Resource

QUOTAS = Resource("", "v1", "resourcequotas", "ResourceQuota")
BINDING = {"name": "crm-key", "secretKeyRef": {"name": "crm", "key": "key"}}
LIMITS = {"preview": "10s", "deliver": "10s"}
"""Long enough for a busy kubelet to say what is missing."""
AT_ONCE = {"preview": "3s", "deliver": "3s"}
"""Long enough for the API server to refuse a pod."""


@pytest.fixture(params=["Pod", "None"])
def preview(request: pytest.FixtureRequest, seed: int) -> str:
    """Who meets the trouble first: a preview pod, or the workload itself. One of them, sampled."""
    if request.param_index != seed % 2 and not request.config.getoption("full"):
        pytest.skip("a part of the whole matrix: make test-full")
    return str(request.param)


async def taken_back(flow: Flow, reason: str) -> str:
    """Wait for the end; the revision is neither blamed nor quarantined."""
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == reason, ready(found)
    assert not found["status"].get("quarantine")
    await flow.bench.until_runs("v1")
    return str(ready(found)["message"])


async def test_a_missing_secret_of_a_binding(preview: str, bench: Bench, begin: Begin) -> None:
    flow = await begin(preview=preview, deadlines=LIMITS)
    await bench.revise("v2", bindings=[BINDING], note="second")
    await flow.wish("v2")
    assert '"crm" not found' in await taken_back(flow, "EnvironmentMount")
    await bench.apply(SECRETS, {"metadata": {"name": "crm"}, "stringData": {"key": "hidden"}})
    flow.spec["deadlines"] = {}
    await flow.apply()
    await flow.at("Promoted")


async def test_an_image_that_is_not_there(bench: Bench, begin: Begin) -> None:
    flow = await begin(deadlines=LIMITS)
    image = {"name": "app", "image": "localhost/nothing:1"}
    spec: dict[str, Any] = {"template": {"spec": {"containers": [image]}}}
    await bench.apply(DEPLOYMENTS, {"metadata": {"name": "app"}, "spec": spec}, "somebody")
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    found = await flow.at("Reverted")
    assert ready(found)["reason"] == "EnvironmentImage"
    assert "ErrImageNeverPull" in ready(found)["message"]
    assert not found["status"].get("quarantine")


@pytest.mark.parametrize("preview", ["Pod", "None"])
async def test_a_quota_without_room(bench: Bench, begin: Begin, preview: str) -> None:
    flow = await begin(preview=preview, deadlines=AT_ONCE)
    quota = {"metadata": {"name": "tight"}, "spec": {"hard": {"pods": "1"}}}
    await bench.apply(QUOTAS, quota)
    await bench.until(QUOTAS, "tight", lambda found: "pods" in found["status"].get("used", {}))
    await bench.revise("v2", note="second")
    await flow.wish("v2")
    assert "exceeded quota: tight" in await taken_back(flow, "EnvironmentQuota")
