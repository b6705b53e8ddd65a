"""Defaults and the status subresource of a Workflow."""

from typing import Any

import pytest
from tests.scenario.contract import bodies
from tests.scenario.contract.interface import Api

from belay.shell.errors import (
    Conflict,
    NotFound,
)
from belay.shell.resources import WORKFLOWS

Object = dict[str, Any]


class Statuses:
    """Defaults and the status subresource of a Workflow."""

    async def test_a_workflow_gets_its_defaults(self, api: Api) -> None:
        made = await api.create(WORKFLOWS, bodies.workflow("w"))
        assert made["metadata"]["generation"] == 1
        assert made["spec"]["target"]["mountPath"] == "/etc/belay"
        assert made["spec"]["verification"]["window"] == "1m"
        assert made["spec"]["deadlines"]["preview"] == "2m"

    async def test_a_status_that_nobody_wrote_says_so(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        assert (await api.get(WORKFLOWS, "w"))["status"] == {"observedGeneration": -1}

    async def test_status_is_written_apart_and_counts_no_generation(self, api: Api) -> None:
        made = await api.create(WORKFLOWS, bodies.workflow("w"))
        body = {**bodies.workflow("w", revision="v9"), "status": {"phase": "Pending"}}
        status = await api.apply(WORKFLOWS, body, subresource="status", force=True)

        assert status["status"]["phase"] == "Pending"
        assert status["spec"] == made["spec"]
        assert status["metadata"]["generation"] == 1

        body["status"] = {"phase": "Promoted"}
        spec = await api.apply(WORKFLOWS, body, force=True)
        assert spec["status"]["phase"] == "Pending"
        assert spec["spec"]["activeRevision"] == "v9"
        assert spec["metadata"]["generation"] == 2

    async def test_what_a_status_does_not_say_any_more_is_gone(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        for status in (
            {"phase": "Pending", "conditions": [bodies.condition("Ready", "Unknown"),
                                                bodies.condition("Reconciling", "True")]},
            {"phase": "Promoted", "conditions": [bodies.condition("Ready", "True")]},
        ):  # fmt: skip
            told = await api.apply(
                WORKFLOWS,
                {"metadata": {"name": "w"}, "status": status},
                subresource="status",
                force=True,
            )
        shown = [(c["type"], c["status"]) for c in told["status"]["conditions"]]
        assert shown == [("Ready", "True")]
        assert told["status"]["phase"] == "Promoted"

    async def test_a_list_of_items_that_is_emptied_is_gone(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        many: Object = {"quarantine": [bodies.quarantine()], "history": [bodies.history()]}
        for status in ({"phase": "Pending", **many}, {"phase": "Pending"}):
            told = await api.apply(
                WORKFLOWS,
                {"metadata": {"name": "w"}, "status": status},
                subresource="status",
                force=True,
            )
        assert told["status"] == {"observedGeneration": -1, "phase": "Pending"}

    async def test_a_struct_that_a_status_does_not_have_any_more_is_gone(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        for status in ({"phase": "Observing", "active": bodies.ref()}, {"phase": "Failed"}):
            told = await api.apply(
                WORKFLOWS,
                {"metadata": {"name": "w"}, "status": status},
                subresource="status",
                force=True,
            )
        assert told["status"] == {"observedGeneration": -1, "phase": "Failed"}

    async def test_the_same_status_again_makes_no_new_version(self, api: Api) -> None:
        await api.create(WORKFLOWS, bodies.workflow("w"))
        status = {"phase": "Pending", "conditions": [bodies.condition("Ready", "Unknown")]}
        body = {"metadata": {"name": "w"}, "status": status}
        first, again = [
            await api.apply(WORKFLOWS, body, subresource="status", force=True) for _ in range(2)
        ]
        assert again == first

    async def test_the_status_of_nothing_cannot_be_written(self, api: Api) -> None:
        body = {"metadata": {"name": "w"}, "status": {"phase": "Pending"}}
        with pytest.raises(NotFound):
            await api.apply(WORKFLOWS, body, subresource="status", force=True)

    async def test_a_status_for_a_version_that_is_not_the_newest_conflicts(self, api: Api) -> None:
        made = await api.create(WORKFLOWS, bodies.workflow("w"))
        await api.apply(WORKFLOWS, bodies.workflow("w", revision="v2"), force=True)
        metadata = {k: made["metadata"][k] for k in ("name", "uid", "resourceVersion")}
        with pytest.raises(Conflict):
            await api.apply(
                WORKFLOWS,
                {"metadata": metadata, "status": {"phase": "Pending"}},
                subresource="status",
                force=True,
            )
