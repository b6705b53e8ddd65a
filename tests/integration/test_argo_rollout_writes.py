"""Our fields in an Argo Rollout: the real API server with the real CRD. Nobody loses anything."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Cluster
from tests.unit.core import world

from belay.api.names import MANAGER_DELIVERY
from belay.api.workflow import TargetApiVersion, TargetKind, Workload
from belay.core.decision import PatchTemplate, WriteTemplate
from belay.core.delivery import Delivery
from belay.core.keys import Key
from belay.core.template_write import deliver, withdraw
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import read_workload
from belay.shell.act import act
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import Conflict, FieldConflict, Invalid
from belay.shell.resources import ARGO_ROLLOUTS
from belay.shell.turn import Turn

Object = dict[str, Any]

WANTED = Workload(kind=TargetKind.ROLLOUT, api_version=TargetApiVersion.ARGO, name="app")
NOBODY: Any = None
"""Pods are not asked here."""


@dataclass(slots=True)
class Place:
    """One Rollout in a namespace of its own; no controller moves it."""

    api: Api
    key: Key

    def delivery(self, revision: str) -> Delivery:
        return Delivery(self.key, world.ref(revision), revision, "/etc/belay")

    async def make(self) -> Object:
        body = manifests.deployment("app", switch=True)
        body["metadata"]["namespace"] = self.key.namespace
        body |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
        body["spec"]["strategy"] = {"canary": {}}
        return await self.api.apply(ARGO_ROLLOUTS, body, manager="user", force=True)

    async def now(self) -> Object:
        return await self.api.get(ARGO_ROLLOUTS, self.key.namespace, "app")

    async def read(self) -> WorkloadView:
        return read_workload(WANTED, await self.now(), [], [])

    async def write(self, write: WriteTemplate) -> None:
        assert isinstance(write, PatchTemplate)
        assert await act(Turn(self.api, self.key), (write,), NOBODY) is None

    async def change(self, *operations: Object) -> None:
        """Somebody else's patch."""
        path = (ARGO_ROLLOUTS, self.key.namespace, "app")
        await self.api.patch(*path, operations, manager="somebody")


@pytest.fixture
async def place(argo_crds: None, cluster: Cluster, namespace: str) -> AsyncIterator[Place]:
    async with await Api.connect(str(cluster.kubeconfig)) as api:
        yield Place(api, Key(namespace, "wf-1"))


def volumes(found: Object) -> list[str]:
    return [v["name"] for v in found["spec"]["template"]["spec"]["volumes"]]


def add_volume(name: str) -> Object:
    value = {"name": name, "configMap": {"name": name, "items": [{"key": "k", "path": "p"}]}}
    return {"op": "add", "path": "/spec/template/spec/volumes/-", "value": value}


async def test_a_delivery_lands_whole_and_its_withdrawal_leaves_no_trace(place: Place) -> None:
    before = (await place.make())["spec"]
    for revision in ("v1", "v2"):
        delivery = place.delivery(revision)
        await place.write(deliver(await place.read(), delivery))
        view = await place.read()
        assert delivery.arrived_at(view)
        assert view.raw is not None
        assert volumes(view.raw) == ["switch", "belay"]
        assert view.changed_by == "user"
    managers = {entry["manager"] for entry in (await place.now())["metadata"]["managedFields"]}
    assert managers == {"user", MANAGER_DELIVERY}
    await place.write(withdraw(await place.read(), place.key.namespace))
    assert (await place.now())["spec"] == before


async def test_a_change_that_came_in_between_is_not_lost(place: Place) -> None:
    await place.make()
    stale = deliver(await place.read(), place.delivery("v1"))
    await place.change(add_volume("late"))
    with pytest.raises(Conflict):
        await place.write(stale)
    assert volumes(await place.now()) == ["switch", "late"]
    await place.write(deliver(await place.read(), place.delivery("v1")))
    assert volumes(await place.now()) == ["switch", "late", "belay"]


async def test_a_namesake_made_meanwhile_is_not_written_to(place: Place) -> None:
    await place.make()
    stale = deliver(await place.read(), place.delivery("v1"))
    await place.api.delete(ARGO_ROLLOUTS, place.key.namespace, "app")
    with pytest.raises(Conflict):
        await place.write(stale)
    await place.make()
    with pytest.raises(Conflict):
        await place.write(stale)
    assert volumes(await place.now()) == ["switch"]


def of_another(field: str) -> Callable[[Object], Object]:
    def changed(operation: Object) -> Object:
        mine = operation["path"] == f"/metadata/{field}"
        return {**operation, "value": "1"} if mine else operation

    return changed


@pytest.mark.parametrize("field", ["uid", "resourceVersion"])
async def test_each_of_the_two_guards_holds_alone(place: Place, field: str) -> None:
    await place.make()
    write = deliver(await place.read(), place.delivery("v1"))
    assert isinstance(write, PatchTemplate)
    forged = tuple(map(of_another(field), write.operations))
    other = PatchTemplate(write.api_version, write.kind, write.name, forged, delivers=True)
    with pytest.raises(Conflict):
        await place.write(other)


async def test_a_dry_run_changes_nothing_and_says_what_would_be_refused(place: Place) -> None:
    before = await place.make()
    write = deliver(await place.read(), place.delivery("v1"))
    assert isinstance(write, PatchTemplate)
    where = (ARGO_ROLLOUTS, place.key.namespace, "app")
    manager = {"manager": MANAGER_DELIVERY, "dry_run": True}
    answer = await place.api.patch(*where, write.operations, **manager)
    assert volumes(answer) == ["switch", "belay"]
    assert await place.now() == before
    wrong = {"op": "replace", "path": "/spec/replicas", "value": "many"}
    with pytest.raises(Invalid):
        await place.api.patch(*where, [wrong], **manager)


async def test_an_apply_of_the_list_of_volumes_is_refused_rather_than_dropping_ours(
    place: Place,
) -> None:
    """Why an apply of ours would not do either: the list has one owner, as a whole."""
    await place.make()
    await place.write(deliver(await place.read(), place.delivery("v1")))
    body = manifests.deployment("app", switch=True)
    body["metadata"] |= {"namespace": place.key.namespace}
    body |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    body["spec"]["strategy"] = {"canary": {}}
    with pytest.raises(FieldConflict):
        await place.api.apply(ARGO_ROLLOUTS, body, manager="user")
    del body["spec"]["template"]["spec"]["volumes"]
    await place.api.apply(ARGO_ROLLOUTS, body, manager="user")
    assert volumes(await place.now()) == ["switch", "belay"]
