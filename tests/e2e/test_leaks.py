"""More rollouts leave no more behind, on real objects; many of them in tests/scenario."""

import pytest
from tests.e2e.conftest import Begin
from tests.harness import workbench_manifests as manifests
from tests.harness.workbench import Bench

from belay.api.names import LABEL_MANAGED
from belay.shell.resources import DEPLOYMENTS, REVISIONS

FEW, SAMPLE, MANY = 3, 5, 20
KEPT = 1


async def test_more_rollouts_leave_no_more_behind(
    bench: Bench, begin: Begin, request: pytest.FixtureRequest
) -> None:
    most = MANY if request.config.getoption("--full") else SAMPLE
    flow = await begin()
    short = {"metadata": {"name": "app"}, "spec": {"revisionHistoryLimit": KEPT}}
    await bench.apply(DEPLOYMENTS, short, "limits")
    flow.manifest = manifests.workflow(window="1s", preview="None", revisionHistoryLimit=KEPT)
    counted = []
    for number in range(1, most + 1):
        revision = f"n{number}"
        await bench.revise(revision, note=revision, labels={LABEL_MANAGED: "true"})
        await flow.wish(revision)
        await flow.at("Promoted")
        if number in (FEW, most):
            await flow.looked_at()
            counted.append(
                {
                    "ConfigMaps": len(await bench.config_maps()),
                    "ReplicaSets": len(await bench.replica_sets()),
                    "revisions": len(await bench.find(REVISIONS, f"{LABEL_MANAGED}=true")),
                }
            )
    few, many = counted
    assert many == few == {"ConfigMaps": KEPT + 1, "ReplicaSets": KEPT + 1, "revisions": KEPT}
