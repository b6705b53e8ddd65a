"""Pausing on the real API server, with the real CRDs of Argo Workflows; no controller runs."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import Once
from tests.harness import argo_workflows
from tests.harness.argo_workflows import CRON_WORKFLOWS, WORKFLOWS
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT, SetupError
from typer.testing import CliRunner

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import Policy
from belay.api.names import LABEL_PAUSED_AGAIN, LABEL_PAUSED_BY
from belay.cli.app import app
from belay.cli.instances import read_kinds
from belay.core.instances import writes
from belay.core.instances.view import Instances, read_instance
from belay.shell import orphans
from belay.shell.cluster import Cluster as Api
from belay.shell.instances import resource_of, write_all
from belay.shell.resources import CRON_JOBS, JOBS, Resource

OWNER, ROLLOUT = "00000000-0000-0000-0000-0000000000aa", "2-1"
LABELS = {"run-of": "wf"}


@pytest.fixture(scope="session")
def argo_workflows_crds(cluster: Cluster, once: Once) -> None:
    if cluster.kind == "existing":
        pytest.skip("would put the CRDs of Argo Workflows onto a cluster that is somebody's own")
    try:
        folder = argo_workflows.crds()
    except SetupError as error:
        pytest.skip(f"needs the CRDs of Argo Workflows: {error}")
    once("argo-workflows-crds", lambda _: argo_workflows.install(cluster, folder))


@pytest.fixture
async def api(cluster: Cluster) -> AsyncIterator[Api]:
    async with await Api.connect(str(cluster.kubeconfig), user_agent="belay-test") as found:
        yield found


@pytest.fixture(scope="session")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[InstanceKind, ...]:
    """The shipped ones, and those of the sample."""
    return read_kinds(sample(tmp_path_factory.mktemp("kinds")))


def sample(folder: Path) -> Path:
    """The file as the sample's ConfigMap holds it."""
    manifests = yaml.safe_load_all((ROOT / "deploy/samples/instance-kinds.yaml").read_text())
    file = folder / "kinds.yaml"
    file.write_text(next(m for m in manifests if m["kind"] == "ConfigMap")["data"]["kinds.yaml"])
    return file


def body(resource: Resource, name: str, suspend: bool | None = None) -> dict[str, Any]:
    pod = {"containers": [{"name": "main", "image": "none"}], "restartPolicy": "Never"}
    flow = {
        "entrypoint": "main",
        "templates": [{"name": "main", "container": {"image": "none"}}],
    }
    job = {"template": {"spec": pod}}
    spec = {
        WORKFLOWS.plural: flow,
        CRON_WORKFLOWS.plural: {"schedules": ["0 0 1 1 *"], "workflowSpec": flow},
        JOBS.plural: job,
        CRON_JOBS.plural: {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job}},
    }[resource.plural]
    more = {} if suspend is None else {"suspend": suspend}
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "labels": LABELS},
        "spec": spec | more,
    }


async def view(api: Api, kind: InstanceKind, namespace: str) -> Instances:
    raws = await api.list(resource_of(kind), namespace, labels="run-of=wf")
    paused = kind.model_copy(update={"default": Policy.PAUSE})
    return Instances(OWNER, ROLLOUT, tuple(read_instance(paused, r, None, ()) for r in raws))


async def pause(api: Api, kind: InstanceKind, namespace: str) -> int:
    todo = writes.pausing(await view(api, kind, namespace), namespace)
    assert await write_all(api, todo) == []
    return len(todo)


async def let_go(api: Api, kind: InstanceKind, namespace: str, *cancelled: str) -> None:
    held = (await view(api, kind, namespace)).held
    uids = frozenset(i.uid for i in held if i.name in cancelled)
    assert await write_all(api, writes.letting_go(held, uids, namespace)) == []


def kind_named(kinds: tuple[InstanceKind, ...], resource: Resource) -> InstanceKind:
    return next(k for k in kinds if (k.group, k.kind) == (resource.group, resource.kind))


RESOURCES = [pytest.param(r, id=r.kind) for r in (JOBS, CRON_JOBS, WORKFLOWS, CRON_WORKFLOWS)]


@pytest.mark.usefixtures("argo_workflows_crds")
@pytest.mark.parametrize("resource", RESOURCES)
async def test_to_let_go_brings_back_exactly_what_was_there(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...], resource: Resource
) -> None:
    """Whether the owner had said nothing, false or true; by its own apply or by create."""
    kind = kind_named(kinds, resource)
    for name, suspend in (("silent", None), ("false", False), ("theirs", True)):
        await api.create(resource, namespace, body(resource, name, suspend))
    applied = body(resource, "applied", suspend=False)
    applied["metadata"]["namespace"] = namespace
    await api.apply(resource, applied, manager="git")
    before = {o["metadata"]["name"]: o for o in await api.list(resource, namespace)}

    assert await pause(api, kind, namespace) == 3
    during = await api.list(resource, namespace)
    assert all(o["spec"]["suspend"] for o in during)
    labelled = {o["metadata"]["name"] for o in during if LABEL_PAUSED_BY in o["metadata"]["labels"]}
    assert labelled == {"silent", "false", "applied"}

    await let_go(api, kind, namespace)
    for after in await api.list(resource, namespace):
        was = before[after["metadata"]["name"]]
        assert after["metadata"]["labels"] == LABELS
        assert after["spec"].get("suspend", False) == was["spec"].get("suspend", False)
        assert {k: v for k, v in after["spec"].items() if k != "suspend"} == {
            k: v for k, v in was["spec"].items() if k != "suspend"
        }
        assert "belay-pause" not in str(after["metadata"]["managedFields"])


async def test_what_git_resumes_is_paused_once_more_and_marked_so(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...]
) -> None:
    kind = kind_named(kinds, JOBS)
    mine = body(JOBS, "run", suspend=False)
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
        waiting = body(WORKFLOWS, name)
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
        await api.create(CRON_JOBS, namespace, body(CRON_JOBS, name))
    todo = writes.pausing(await view(api, kind, namespace), namespace)
    for name in ("deleted", "replaced"):
        await api.delete(CRON_JOBS, namespace, name)
    await api.create(CRON_JOBS, namespace, body(CRON_JOBS, "replaced"))
    assert await write_all(api, todo) == []
    (left,) = await api.list(CRON_JOBS, namespace)
    assert (left["metadata"]["name"], left["spec"]["suspend"]) == ("replaced", False)


@pytest.mark.usefixtures("argo_workflows_crds")
async def test_thousands_of_workflows_are_paused_and_let_go(
    api: Api,
    namespace: str,
    kinds: tuple[InstanceKind, ...],
    request: pytest.FixtureRequest,
) -> None:
    kind = kind_named(kinds, WORKFLOWS)
    count = 2000 if request.config.getoption("--full") else 200
    slots = asyncio.Semaphore(16)

    async def make(number: int) -> None:
        async with slots:
            suspend = True if number % 10 == 0 else None
            await api.create(WORKFLOWS, namespace, body(WORKFLOWS, f"w{number}", suspend))

    await asyncio.gather(*(make(n) for n in range(count)))
    assert await pause(api, kind, namespace) == count * 9 // 10
    found = await view(api, kind, namespace)
    assert (len(found.paused), len(found.already_suspended)) == (count * 9 // 10, count // 10)
    await let_go(api, kind, namespace)
    found = await view(api, kind, namespace)
    assert (len(found.held), len(found.already_suspended)) == (0, count // 10)


@pytest.mark.usefixtures("crds")
async def test_release_lets_go_of_everything_and_prints_each(
    api: Api,
    cluster: Cluster,
    namespace: str,
    kinds: tuple[InstanceKind, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for resource, name in ((JOBS, "run"), (CRON_JOBS, "nightly")):
        await api.create(resource, namespace, body(resource, name))
        await pause(api, kind_named(kinds, resource), namespace)
    await api.create(JOBS, namespace, body(JOBS, "theirs", suspend=True))
    search = await orphans.marked(api, kinds, (namespace,))
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
