"""Waiting for targets: who is woken by what, and when nothing is watched."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.unit.runtime.fake_api import FakeApi, until

from belay.core.keys import Key
from belay.runtime.targets import Followed, Targets
from belay.shell.resources import DEPLOYMENTS, STATEFUL_SETS


def deployments(*names: str) -> Followed:
    return frozenset((DEPLOYMENTS, name) for name in names)


TRIAGE, BILLING = Key("shop", "triage"), Key("shop", "billing")


def owner(kind: str, name: str, *, group: str = "apps/v1", controller: bool = True) -> Any:
    reference = {"apiVersion": group, "kind": kind, "name": name, "controller": controller}
    return {"ownerReferences": [reference]}


class Scene:
    """Targets on an API, and the keys that they woke."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.woken: list[Key] = []
        self._news = asyncio.Event()
        api: Any = self.api
        self.targets = Targets(api, self._wake, linger=0.01)

    def _wake(self, key: Key) -> None:
        self.woken.append(key)
        self._news.set()

    async def wakes(self) -> list[Key]:
        """Keys woken since the last call; waits for at least one."""
        await asyncio.wait_for(self._news.wait(), 5)
        self._news.clear()
        woken, self.woken = self.woken, []
        return sorted(woken)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    task = asyncio.create_task(made.targets.run())
    await asyncio.sleep(0)
    yield made
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def watching(scene: Scene, count: int = 2) -> None:
    await until(lambda: scene.api.watches >= count)


@pytest.mark.parametrize(
    ("name", "metadata"),
    [
        ("triage-5d9c-abcde", owner("ReplicaSet", "triage-api-5d9c")),
        (
            "triage-preview-3",
            owner("Workflow", "triage", group="belay.dev/v1alpha1", controller=False),
        ),
        ("triage-0", owner("StatefulSet", "triage-api")),
    ],
)
async def test_a_pod_wakes_the_workflow_that_it_belongs_to(
    scene: Scene, name: str, metadata: dict[str, Any]
) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage-api"))
    scene.targets.follow(BILLING, "shop", deployments("billing"))
    await watching(scene)
    scene.api.put("shop", name, **metadata)
    assert await scene.wakes() == [TRIAGE]


async def test_only_the_kinds_that_move_are_watched(scene: Scene) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    await watching(scene, 2)
    scene.targets.follow(BILLING, "shop", frozenset({(STATEFUL_SETS, "billing")}))
    await watching(scene, 3)
    scene.targets.follow(TRIAGE, "shop", deployments("triage", "other"))
    await asyncio.sleep(0.05)
    assert scene.api.watches == 3


async def test_a_burst_wakes_once(scene: Scene) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    scene.targets.follow(BILLING, "shop", deployments("billing", "triage"))
    await watching(scene)
    for number in range(50):
        scene.api.put("shop", f"pod-{number}", **owner("ReplicaSet", "triage-5d9c"))
    assert await scene.wakes() == [BILLING, TRIAGE]


async def test_strangers_wake_nobody(scene: Scene) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    await watching(scene)
    scene.api.put("shop", "pod-1", **owner("ReplicaSet", "triage-api-5d9c"))
    scene.api.put("shop", "pod-2", **owner("Workflow", "triage", group="argoproj.io/v1alpha1"))
    scene.api.put("shop", "pod-3")
    scene.api.put("shop", "pod-4", **owner("ReplicaSet", "triage-5d9c"))
    assert await scene.wakes() == [TRIAGE]


async def test_nothing_is_watched_at_rest(scene: Scene) -> None:
    assert scene.targets.watched == frozenset()
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    scene.targets.follow(BILLING, "shop", deployments("billing"))
    assert scene.targets.watched == {"shop"}
    scene.targets.unfollow(TRIAGE)
    await asyncio.sleep(0.05)
    assert scene.targets.watched == {"shop"}
    scene.targets.unfollow(BILLING)
    await until(lambda: not scene.targets.watched)


async def test_a_rollout_right_after_another_keeps_the_watch(scene: Scene) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    await watching(scene)
    scene.targets.unfollow(TRIAGE)
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    await asyncio.sleep(0.05)
    assert scene.targets.watched == {"shop"}
    assert scene.api.watches == 2


async def test_a_watch_that_is_too_old_starts_anew(scene: Scene) -> None:
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    await watching(scene)
    scene.api.put("shop", "pod-1", **owner("ReplicaSet", "triage-1"))
    await scene.wakes()
    scene.api.put("shop", "pod-1", **owner("ReplicaSet", "triage-1"))
    scene.api.break_watches(forget=True)
    scene.api.put("shop", "pod-2", **owner("ReplicaSet", "triage-1"))
    assert await scene.wakes() == [TRIAGE]


async def test_a_bug_in_a_watch_ends_the_whole() -> None:
    scene = Scene()
    scene.targets.follow(TRIAGE, "shop", deployments("triage"))
    scene.api.objects["shop", "odd"] = {}
    task = asyncio.create_task(scene.targets.run())
    await watching(scene)
    scene.api.put("shop", "odd", ownerReferences=[{"kind": "no apiVersion"}])
    with pytest.raises(ExceptionGroup):
        await asyncio.wait_for(task, 5)
