"""Nothing leaks: after many rollouts there is as much of everything as after a few."""

from collections import Counter

import pytest
from tests.scenario import memory
from tests.scenario.scene import NAMESPACE, Scene
from tests.scenario.stage import Story, play

from belay.shell.resources import CONFIG_MAPS, PODS, REPLICA_SETS, REVISIONS

FEW, SAMPLE, MANY = 12, 24, 200
"""Rollouts; each a multiple of the kinds below, so that both counts follow the same kind."""
LIVES: tuple[dict[str, float], ...] = ({}, {"wrong_after": 0}, {"wrong_after": 4}, {})
"""Promoted, caught in the preview, reverted from live pods, promoted."""
KEPT = 3


def test_many_rollouts_leave_what_a_few_left(request: pytest.FixtureRequest) -> None:
    most = MANY if request.config.getoption("--full") else SAMPLE
    few, many = _after(FEW), _after(most)
    assert many == few
    assert few["workflowrevisions"] == KEPT, few
    assert few["configmaps"] == KEPT + 1


def _after(rollouts: int) -> Counter[str]:
    """Objects in the cluster, metric series, and what the operator has in memory."""
    found: Counter[str] = Counter()

    async def plot(scene: Scene) -> None:
        scene.workload(history=KEPT, replicas=1)
        for number in range(rollouts):
            name = f"v{number}"
            scene.publish(name, managed=True, **LIVES[number % len(LIVES)])
            if number == 0:
                window = {"window": "6s", "preview": "Pod"}
                scene.workflow(name, verification=window, revisionHistoryLimit=KEPT)
            else:
                scene.wants(name)
            await scene.rest()
        await scene.passes(1200)
        assert scene.seen()["status"]["history"][0]["id"] == f"{rollouts}-1"
        for resource in (CONFIG_MAPS, PODS, REPLICA_SETS, REVISIONS):
            found[resource.plural] = len(scene.server.list(resource, NAMESPACE))
        text = b"".join(scene.machine.parts.metrics.exposition()).decode()
        found["series"] = sum(not line.startswith("#") for line in text.splitlines())
        found.update(memory.census(scene.machine))

    play(Story("many", "Many rollouts", "One after the other.", plot))
    return found
