"""Creating, reading, replacing, deleting and listing."""

from typing import Any

import pytest
from tests.scenario.contract import bodies
from tests.scenario.contract.interface import ANOTHER_UID, Api

from belay.shell.errors import (
    AlreadyExists,
    Conflict,
    NotFound,
)
from belay.shell.resources import CONFIG_MAPS, PODS

Object = dict[str, Any]


class Objects:
    """Creating, reading, replacing, deleting and listing."""

    async def test_a_created_object_can_be_read_and_is_new(self, api: Api) -> None:
        made = await api.create(CONFIG_MAPS, bodies.config_map("a", x="1"))

        found = await api.get(CONFIG_MAPS, "a")
        assert found == made
        assert found["data"] == {"x": "1"}
        assert {"uid", "resourceVersion", "creationTimestamp"} <= set(found["metadata"])
        assert "generation" not in found["metadata"]

    async def test_creating_it_again_says_that_it_exists(self, api: Api) -> None:
        await api.create(CONFIG_MAPS, bodies.config_map("a"))
        with pytest.raises(AlreadyExists):
            await api.create(CONFIG_MAPS, bodies.config_map("a"))

    async def test_what_is_not_there_is_not_found(self, api: Api) -> None:
        with pytest.raises(NotFound):
            await api.get(CONFIG_MAPS, "a")
        with pytest.raises(NotFound):
            await api.delete(CONFIG_MAPS, "a")
        with pytest.raises(NotFound):
            await api.cluster.replace(CONFIG_MAPS, api.namespace, bodies.config_map("a"))

    async def test_replacing_needs_the_version_that_was_read(self, api: Api) -> None:
        old = await api.create(CONFIG_MAPS, bodies.config_map("a", x="1"))
        new = await api.cluster.replace(CONFIG_MAPS, api.namespace, {**old, "data": {"x": "2"}})
        assert new["metadata"]["resourceVersion"] != old["metadata"]["resourceVersion"]

        with pytest.raises(Conflict):
            await api.cluster.replace(CONFIG_MAPS, api.namespace, {**old, "data": {"x": "3"}})

    async def test_a_deletion_may_insist_on_the_uid(self, api: Api) -> None:
        made = await api.create(CONFIG_MAPS, bodies.config_map("a"))
        with pytest.raises(Conflict):
            await api.delete(CONFIG_MAPS, "a", uid=ANOTHER_UID)

        await api.delete(CONFIG_MAPS, "a", uid=made["metadata"]["uid"])
        with pytest.raises(NotFound):
            await api.get(CONFIG_MAPS, "a")

    async def test_a_pod_on_a_node_ends_in_its_own_time_and_at_once_without_grace(
        self, api: Api
    ) -> None:
        await api.create(PODS, bodies.pod("a", node="nowhere"))
        await api.delete(PODS, "a", grace=30)

        dying = await api.get(PODS, "a")
        assert dying["metadata"]["deletionGracePeriodSeconds"] == 30
        assert "deletionTimestamp" in dying["metadata"]

        await api.delete(PODS, "a", grace=0)
        with pytest.raises(NotFound):
            await api.get(PODS, "a")

    @pytest.mark.parametrize(
        ("selector", "found"),
        [
            ("app=a", ["one", "two"]),
            ("app=a,tier!=web", ["two"]),
            ("tier", ["one"]),
            ("!tier", ["three", "two"]),
            ("app in (a, b)", ["one", "three", "two"]),
            ("app notin (a)", ["three"]),
            (None, ["one", "three", "two"]),
        ],
    )
    async def test_lists_select_by_labels(
        self, api: Api, selector: str | None, found: list[str]
    ) -> None:
        labels = {"one": {"app": "a", "tier": "web"}, "two": {"app": "a"}, "three": {"app": "b"}}
        for name, of_it in labels.items():
            await api.create(CONFIG_MAPS, bodies.config_map(name, labels=of_it))

        listed = await api.cluster.list(CONFIG_MAPS, api.namespace, labels=selector)
        metadata, version = await api.cluster.list_metadata(
            CONFIG_MAPS, api.namespace, labels=selector
        )

        mine = [o["metadata"]["name"] for o in listed if o["metadata"]["name"] in labels]
        assert mine == found
        assert [m["metadata"]["name"] for m in metadata] == [o["metadata"]["name"] for o in listed]
        assert all("data" not in m for m in metadata)
        assert int(version) >= max(int(o["metadata"]["resourceVersion"]) for o in listed)
