"""Server-side apply."""

from typing import Any

import pytest
from tests.scenario.contract import bodies
from tests.scenario.contract.interface import ANOTHER_UID, Api, owned

from belay.shell.errors import (
    ApiError,
    Conflict,
    FieldConflict,
    Invalid,
    NotFound,
    is_uid_mismatch,
)
from belay.shell.resources import CONFIG_MAPS, DEPLOYMENTS

Object = dict[str, Any]


class Applying:
    """Server-side apply."""

    async def test_apply_creates_and_the_same_again_changes_nothing(self, api: Api) -> None:
        first = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"))
        again = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"))

        assert again == first
        assert owned(first, "one") == {"f:data": {"f:x": {}}}

    async def test_applying_another_value_to_a_field_of_another_manager_conflicts(
        self, api: Api
    ) -> None:
        await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1", y="1"), manager="one")
        with pytest.raises(FieldConflict) as conflict:
            await api.apply(CONFIG_MAPS, bodies.config_map("a", x="2"), manager="two")

        assert [c["field"] for c in conflict.value.causes] == [".data.x"]
        assert '"one"' in conflict.value.causes[0]["message"]
        assert (await api.get(CONFIG_MAPS, "a"))["data"] == {"x": "1", "y": "1"}

    async def test_force_takes_the_field_away_from_its_owner(self, api: Api) -> None:
        await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1", y="1"), manager="one")
        taken = await api.apply(
            CONFIG_MAPS, bodies.config_map("a", x="2"), manager="two", force=True
        )

        assert taken["data"] == {"x": "2", "y": "1"}
        assert owned(taken, "one") == {"f:data": {"f:y": {}}}
        assert owned(taken, "two") == {"f:data": {"f:x": {}}}

    async def test_a_field_of_the_same_value_is_shared_and_stays_until_both_let_go(
        self, api: Api
    ) -> None:
        await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"), manager="one")
        await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"), manager="two")

        left = await api.apply(CONFIG_MAPS, bodies.config_map("a"), manager="one")
        assert left["data"] == {"x": "1"}
        assert owned(left, "one") is None
        left = await api.apply(CONFIG_MAPS, bodies.config_map("a"), manager="two")
        assert "data" not in left

    async def test_replacing_takes_what_it_changes(self, api: Api) -> None:
        made = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1", y="1"))
        changed = {**made, "data": {"x": "2", "y": "1"}}
        new = await api.cluster.replace(CONFIG_MAPS, api.namespace, changed)

        assert owned(new, "one") == {"f:data": {"f:y": {}}}
        with pytest.raises(FieldConflict):
            await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1", y="1"))

    async def test_a_dry_run_answers_what_would_be_and_writes_nothing(self, api: Api) -> None:
        made = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"))
        tried = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="2"), dry_run=True)
        await api.apply(CONFIG_MAPS, bodies.config_map("b"), dry_run=True)

        assert tried["data"] == {"x": "2"}
        assert await api.get(CONFIG_MAPS, "a") == made
        with pytest.raises(NotFound):
            await api.get(CONFIG_MAPS, "b")

    async def test_an_apply_with_a_uid_never_creates_the_object_again(self, api: Api) -> None:
        body = bodies.config_map("a", x="1")
        body["metadata"]["uid"] = ANOTHER_UID
        with pytest.raises(Conflict) as gone:
            await api.apply(CONFIG_MAPS, body)
        assert is_uid_mismatch(gone.value)

    async def test_an_apply_with_a_uid_spares_the_object_that_came_after_it(self, api: Api) -> None:
        await api.create(CONFIG_MAPS, bodies.config_map("a", x="1"))
        body = bodies.config_map("a", x="1")
        body["metadata"]["uid"] = ANOTHER_UID
        with pytest.raises(ApiError) as replaced:
            await api.apply(CONFIG_MAPS, body)
        assert replaced.value.code in (409, 422)
        assert is_uid_mismatch(replaced.value)

    async def test_an_apply_with_a_stale_version_conflicts(self, api: Api) -> None:
        old = await api.apply(CONFIG_MAPS, bodies.config_map("a", x="1"))
        await api.apply(CONFIG_MAPS, bodies.config_map("a", x="2"))
        body = bodies.config_map("a", x="3")
        body["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
        with pytest.raises(Conflict):
            await api.apply(CONFIG_MAPS, body)

    async def test_an_apply_with_a_version_alone_creates_what_is_gone(self, api: Api) -> None:
        body = bodies.config_map("a", x="1")
        body["metadata"]["resourceVersion"] = "1"
        assert (await api.apply(CONFIG_MAPS, body))["data"] == {"x": "1"}

    async def test_an_immutable_config_map_keeps_its_data_and_gets_new_owners(
        self, api: Api
    ) -> None:
        body = {**bodies.config_map("a", x="1"), "immutable": True}
        await api.apply(CONFIG_MAPS, body)
        with pytest.raises(Invalid):
            await api.apply(CONFIG_MAPS, {**body, "data": {"x": "2"}})

        body["metadata"]["ownerReferences"] = [bodies.owner("d", "uid-of-d")]
        assert (await api.apply(CONFIG_MAPS, body))["data"] == {"x": "1"}

    async def test_leaving_out_the_data_of_an_immutable_config_map_is_refused(
        self, api: Api
    ) -> None:
        body = {**bodies.config_map("a", x="1"), "immutable": True}
        await api.apply(CONFIG_MAPS, body)
        with pytest.raises(Invalid):
            await api.apply(CONFIG_MAPS, bodies.config_map("a"))

    async def test_a_delivery_adds_to_a_template_and_leaves_no_trace_when_withdrawn(
        self, api: Api
    ) -> None:
        own = await api.create(DEPLOYMENTS, bodies.deployment("d"))
        uid = own["metadata"]["uid"]

        told = await api.apply(DEPLOYMENTS, bodies.delivery("d", uid, "v1"))
        template = told["spec"]["template"]
        assert template["metadata"]["annotations"] == {"own": "1", "content": "v1"}
        assert [v["name"] for v in template["spec"]["volumes"]] == ["tmp", "belay"]
        mounts = template["spec"]["containers"][0]["volumeMounts"]
        assert [m["mountPath"] for m in mounts] == ["/tmp", "/etc/belay"]
        assert template["spec"]["volumes"][1]["projected"]["defaultMode"] == 420
        assert told["metadata"]["generation"] == own["metadata"]["generation"] + 1

        again = await api.apply(DEPLOYMENTS, bodies.delivery("d", uid, "v1"))
        assert again["metadata"]["generation"] == told["metadata"]["generation"]

        back = await api.apply(DEPLOYMENTS, {"metadata": {"name": "d", "uid": uid}})
        assert back["spec"]["template"] == own["spec"]["template"]
        assert owned(back, "one") is None

    async def test_a_delivery_shows_in_managed_fields_that_it_wrote_the_template(
        self, api: Api
    ) -> None:
        own = await api.create(DEPLOYMENTS, bodies.deployment("d"))
        told = await api.apply(DEPLOYMENTS, bodies.delivery("d", own["metadata"]["uid"], "v1"))

        mine = owned(told, "one")
        assert mine is not None
        template = mine["f:spec"]["f:template"]
        assert set(template["f:metadata"]["f:annotations"]) == {"f:content"}
        assert list(template["f:spec"]["f:volumes"]) == ['k:{"name":"belay"}']
        containers = template["f:spec"]["f:containers"]
        assert list(containers) == ['k:{"name":"app"}']
        mounts = containers['k:{"name":"app"}']["f:volumeMounts"]
        assert list(mounts) == ['k:{"mountPath":"/etc/belay"}']

    async def test_a_container_that_is_not_there_cannot_be_delivered_to(self, api: Api) -> None:
        own = await api.create(DEPLOYMENTS, bodies.deployment("d"))
        body = bodies.delivery("d", own["metadata"]["uid"], "v1")
        body["spec"]["template"]["spec"]["containers"][0]["name"] = "sidecar"
        with pytest.raises(Invalid, match="image"):
            await api.apply(DEPLOYMENTS, body, dry_run=True)

    async def test_a_deployment_counts_changes_of_its_spec_and_its_annotations(
        self, api: Api
    ) -> None:
        await api.create(DEPLOYMENTS, bodies.deployment("d"))

        async def generation_after(replicas: int, **metadata: Any) -> int:
            body = {"metadata": {"name": "d", **metadata}, "spec": {"replicas": replicas}}
            told = await api.apply(DEPLOYMENTS, body, force=True)
            return int(told["metadata"]["generation"])

        assert await generation_after(0) == 1
        assert await generation_after(0, labels={"a": "b"}) == 1
        assert await generation_after(0, annotations={"a": "b"}) == 2
        assert await generation_after(1, annotations={"a": "b"}) == 3
