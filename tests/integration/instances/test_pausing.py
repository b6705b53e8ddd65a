"""Pausing on the real API server, with the real CRDs of Argo Workflows; no controller runs."""

import asyncio
import json
from pathlib import Path

import pytest
from tests.harness.cluster import Cluster
from tests.harness.instance_crds import WORKFLOWS
from tests.integration.instances.pausing import (
    LABELS,
    ROLLOUT,
    body_of,
    kind_named,
    let_go,
    pause,
    view,
)
from typer.testing import CliRunner

from belay.api.instance_kinds import InstanceKind
from belay.api.names import LABEL_PAUSED_AGAIN
from belay.cli.app import app
from belay.core.instances import writes
from belay.shell import orphans
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import Conflict
from belay.shell.instances import write_all
from belay.shell.resources import CRON_JOBS, JOBS


async def test_what_git_resumes_is_paused_once_more_and_marked_so(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...]
) -> None:
    kind = kind_named(kinds, JOBS)
    mine = body_of(JOBS, "run", suspend=False)
    mine["metadata"]["namespace"] = namespace
    await api.apply(JOBS, mine, manager="git")
    await pause(api, kind, namespace)
    for marked in (True, False):
        await api.apply(JOBS, mine, manager="git", force=True)
        assert await pause(api, kind, namespace) == int(marked)
        found = await api.get(JOBS, namespace, "run")
        assert found["metadata"]["labels"][LABEL_PAUSED_AGAIN] == ROLLOUT
        assert found["spec"]["suspend"] is marked
    assert [i.name for i in (await view(api, kind, namespace)).contested] == ["run"]
    await let_go(api, kind, namespace)
    assert (await api.get(JOBS, namespace, "run"))["metadata"]["labels"] == LABELS


@pytest.mark.usefixtures("argo_workflows_crds")
async def test_what_is_cancelled_ends_and_is_not_suspended_any_more(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...]
) -> None:
    """Argo heeds no end of a workflow that is suspended; a step that waits stays as it is."""
    kind = kind_named(kinds, WORKFLOWS)
    node = {"id": "approve", "name": "approve", "type": "Suspend", "phase": "Running"}
    for name in ("stays", "goes"):
        waiting = body_of(WORKFLOWS, name)
        waiting["status"] = {"nodes": {"approve": node}}
        await api.create(WORKFLOWS, namespace, waiting)
    before = (await api.get(WORKFLOWS, namespace, "stays"))["status"]
    assert before["nodes"] == {"approve": node}
    await pause(api, kind, namespace)
    await let_go(api, kind, namespace, "goes")
    gone, stays = [await api.get(WORKFLOWS, namespace, name) for name in ("goes", "stays")]
    assert (gone["spec"]["shutdown"], "suspend" in gone["spec"]) == ("Terminate", False)
    assert "shutdown" not in stays["spec"]
    assert stays["status"] == before


async def test_what_was_deleted_or_replaced_meanwhile_is_neither_made_nor_touched(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...]
) -> None:
    kind = kind_named(kinds, CRON_JOBS)
    for name in ("deleted", "replaced"):
        await api.create(CRON_JOBS, namespace, body_of(CRON_JOBS, name))
    todo = writes.pausing(await view(api, kind, namespace), namespace)
    for name in ("deleted", "replaced"):
        await api.delete(CRON_JOBS, namespace, name)
    await api.create(CRON_JOBS, namespace, body_of(CRON_JOBS, "replaced"))
    ((write, error),) = await write_all(api, todo)
    assert (write.target, type(error)) == ("CronJob replaced", Conflict)
    (left,) = await api.list(CRON_JOBS, namespace)
    assert (left["metadata"]["name"], left["spec"]["suspend"]) == ("replaced", False)


@pytest.mark.usefixtures("crds")
async def test_release_lets_go_of_everything_and_prints_each(
    api: Api,
    cluster: Cluster,
    namespace: str,
    kinds: tuple[InstanceKind, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for resource, name in ((JOBS, "run"), (CRON_JOBS, "nightly")):
        await api.create(resource, namespace, body_of(resource, name))
        await pause(api, kind_named(kinds, resource), namespace)
    await api.create(JOBS, namespace, body_of(JOBS, "theirs", suspend=True))
    search = await orphans.marked(api, orphans.Kinds(kinds), (namespace,))
    assert [m.metadata["name"] for m in await orphans.orphans(api, search.found)] == [
        "run",
        "nightly",
    ]
    monkeypatch.setenv("BELAY_KUBECONFIG", str(cluster.kubeconfig))
    words = ["release", "--all", "-n", namespace]
    said = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert (said.exit_code, said.stderr) == (0, "")
    assert said.stdout.splitlines() == [
        f"Job {namespace}/run goes on",
        f"CronJob {namespace}/nightly goes on",
    ]
    states = {o["metadata"]["name"]: o["spec"]["suspend"] for o in await api.list(JOBS, namespace)}
    assert states == {"run": False, "theirs": True}
    again = await asyncio.to_thread(CliRunner().invoke, app, words)
    assert again.stdout == "nothing is paused by Belay\n"


def test_a_file_of_kinds_that_is_wrong_is_refused_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "kinds.yaml"
    file.write_text(
        json.dumps([{"version": "v1", "resource": "things", "kind": "Thing", "pth": 1}])
    )
    said = CliRunner().invoke(app, ["run", "--instance-kinds", str(file)])
    assert said.exit_code == 2
    assert "0.pth" in said.stderr
