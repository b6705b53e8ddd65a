"""The record of a rollout's instances on the real API server."""

from dataclasses import replace

import pytest
from tests.harness.workbench_manifests import workflow

from belay.core.decision import AccountFor
from belay.core.keys import Key
from belay.shell import account
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import Conflict
from belay.shell.packed import unpack
from belay.shell.resources import CONFIG_MAPS, WORKFLOWS
from belay.shell.turn import Turn

NAME = "wf-instances-2-1"


@pytest.fixture
async def uid(api: Api, namespace: str, crds: None) -> str:
    """A Workflow's: what nobody owns is taken away."""
    body = {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind, **workflow("wf")}
    return str((await api.create(WORKFLOWS, namespace, body))["metadata"]["uid"])


def told(uid: str, stage: str, result: str) -> AccountFor:
    line = {
        "kind": "Job",
        "name": "one",
        "uid": "u",
        "result": result,
        "at": "2026-01-01T00:00:00Z",
    }
    return AccountFor(
        workflow="wf", uid=uid, name=NAME, stage=stage, lines=(line,), kept=frozenset({NAME})
    )


async def result(api: Api, namespace: str, stage: str) -> str:
    found = await api.get(CONFIG_MAPS, namespace, NAME)
    ((line,),) = [unpack(found["binaryData"][f"{stage}.json.gz"])]
    return str(line["result"])


@pytest.mark.parametrize("there_before", [False, True])
async def test_the_late_write_of_an_operator_that_died_changes_nothing(
    api: Api, namespace: str, uid: str, there_before: bool
) -> None:
    key = Key(namespace, "wf")
    if there_before:
        await account.keep(Turn(api, key), told(uid, "pausing", "paused"))
    died = Turn(api, key)
    await died.get(CONFIG_MAPS, NAME)
    await account.keep(Turn(api, key), told(uid, "resuming", "restarted"))
    with pytest.raises(Conflict):
        await account.keep(died, told(uid, "resuming", "resumed"))
    assert await result(api, namespace, "resuming") == "restarted"


async def test_stages_stand_side_by_side_and_what_is_told_already_is_not_written_again(
    api: Api, namespace: str, uid: str
) -> None:
    key = Key(namespace, "wf")
    await account.keep(Turn(api, key), told(uid, "pausing", "paused"))
    await account.keep(Turn(api, key), told(uid, "resuming", "resumed"))
    before = await api.get(CONFIG_MAPS, namespace, NAME)
    later = told(uid, "resuming", "resumed")
    later = replace(later, lines=({**later.lines[0], "at": "2026-01-01T00:01:00Z"},))
    await account.keep(Turn(api, key), later)
    assert await api.get(CONFIG_MAPS, namespace, NAME) == before
    assert await result(api, namespace, "pausing") == "paused"
    assert await result(api, namespace, "resuming") == "resumed"
    await account.keep(Turn(api, key), told(uid, "resuming", "restarted"))
    assert await result(api, namespace, "resuming") == "restarted"
