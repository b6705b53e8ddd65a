"""The two ways of writing: what a JSON patch changes, and that it changes nothing else."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.core import world
from tests.unit.core.json_patch import patched
from tests.unit.core.test_argo_rollout import read, rollout
from tests.unit.core.world import KEY, Raw

from belay.core.decision import ApplyTemplate, PatchTemplate
from belay.core.delivery import Delivery
from belay.core.template_write import deliver, withdraw

V1 = Delivery(KEY, world.ref("v1"), "v1", "/etc/belay")
V2 = Delivery(KEY, world.ref("v2"), "v2", "/etc/belay")


def after(raw: Raw, delivery: Delivery | None) -> Raw:
    """The Rollout after a delivery, or after its withdrawal."""
    view = read(raw)
    write = deliver(view, delivery) if delivery else withdraw(view, KEY.namespace)
    assert isinstance(write, PatchTemplate)
    assert write.delivers is (delivery is not None)
    return patched(raw, write.operations)


def with_volumes(*names: str) -> Raw:
    """A Rollout with volumes of its own, each mounted, and a second container."""
    raw = rollout()
    spec = raw["spec"]["template"]["spec"]
    spec["containers"].append({"name": "proxy", "image": "proxy:1"})
    if names:
        spec["volumes"] = [{"name": name, "emptyDir": {}} for name in names]
        mounts = [{"name": name, "mountPath": f"/{name}"} for name in names]
        spec["containers"][0]["volumeMounts"] = mounts
    return raw


def test_a_deployment_is_applied_and_a_rollout_is_patched() -> None:
    assert isinstance(deliver(world.view(), V1), ApplyTemplate)
    write = deliver(read(rollout()), V1)
    assert isinstance(write, PatchTemplate)
    assert (write.api_version, write.target) == ("argoproj.io/v1alpha1", "Rollout triage")
    assert write.told == "delivering to Rollout triage"
    assert withdraw(read(rollout()), "shop").told == "withdrawing from Rollout triage"


def test_a_patch_is_for_the_very_version_that_was_read() -> None:
    write = deliver(read(rollout()), V1)
    assert isinstance(write, PatchTemplate)
    guards = {o["path"]: o["value"] for o in write.operations[:2]}
    assert guards == {"/metadata/uid": "uid-of-triage", "/metadata/resourceVersion": "7"}


def test_a_patch_carries_the_whole_delivery() -> None:
    found = read(after(rollout(), V1))
    assert V1.arrived_at(found)
    (container,) = found.raw["spec"]["template"]["spec"]["containers"]
    assert container["volumeMounts"] == [V1.mount]


@given(
    before=st.lists(st.sampled_from("abc"), unique=True),
    annotated=st.booleans(),
    deliveries=st.lists(st.sampled_from([V1, V2]), max_size=3),
)
def test_a_withdrawal_gives_back_exactly_the_template_that_was(
    before: list[str], annotated: bool, deliveries: list[Delivery]
) -> None:
    raw = with_volumes(*before)
    raw["spec"]["template"]["spec"]["containers"].pop()
    if annotated:
        raw["spec"]["template"]["metadata"]["annotations"] = {"example.com/a": "b"}
    now = deepcopy(raw)
    for delivery in deliveries:
        now = after(now, delivery)
        assert V1.arrived_at(read(now)) is (delivery is V1)
    assert after(now, None) == raw


def test_our_volume_keeps_its_place_so_that_a_revert_is_the_template_that_was() -> None:
    first = after(rollout(), V1)
    first["spec"]["template"]["spec"]["volumes"].append({"name": "late", "emptyDir": {}})
    assert after(after(first, V2), V1) == first


def test_only_the_chosen_container_has_the_mount() -> None:
    raw = with_volumes("a")
    write = deliver(read(raw, container="proxy"), V1)
    assert isinstance(write, PatchTemplate)
    app, proxy = patched(raw, write.operations)["spec"]["template"]["spec"]["containers"]
    assert [m["name"] for m in app["volumeMounts"]] == ["a"]
    assert proxy["volumeMounts"] == [V1.mount]
    moved = deliver(read(patched(raw, write.operations), container="app"), V1)
    assert isinstance(moved, PatchTemplate)
    template = patched(patched(raw, write.operations), moved.operations)["spec"]["template"]
    app, proxy = template["spec"]["containers"]
    assert [m["name"] for m in app["volumeMounts"]] == ["a", "belay"]
    assert "volumeMounts" not in proxy


@pytest.mark.parametrize("delivery", [V1, None])
def test_what_is_there_already_is_not_written(delivery: Delivery | None) -> None:
    raw = after(rollout(), delivery)
    view = read(raw)
    write = deliver(view, delivery) if delivery else withdraw(view, KEY.namespace)
    assert isinstance(write, PatchTemplate)
    assert len(write.operations) == 2


def test_a_template_without_metadata_gets_it_and_loses_it_again() -> None:
    raw = rollout()
    del raw["spec"]["template"]["metadata"]
    delivered = after(raw, V1)
    assert V1.arrived_at(read(delivered))
    assert after(delivered, None)["spec"]["template"]["metadata"] == {}
    assert after(raw, None) == raw
