"""Instances of every kind that the sample names, and what Belay does to them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import yaml
from tests.harness.instance_crds import (
    CRON_WORKFLOWS,
    JOB_SETS,
    RAY_JOBS,
    TRAIN_JOBS,
    WORKFLOWS,
    WORKLOADS,
)
from tests.harness.setup import ROOT

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import Policy
from belay.core.decision import InstanceWrite
from belay.core.instances import writes
from belay.core.instances.view import Instances, read_instance
from belay.shell.cluster import Cluster as Api
from belay.shell.errors import Conflict
from belay.shell.instances import resource_of, write_all
from belay.shell.resources import CRON_JOBS, JOBS, Resource

OWNER, ROLLOUT = "00000000-0000-0000-0000-0000000000aa", "2-1"
LABELS = {"run-of": "wf"}
_POD: Final = {
    "spec": {"containers": [{"name": "main", "image": "none"}], "restartPolicy": "Never"}
}
_FLOW: Final = {
    "entrypoint": "main",
    "templates": [{"name": "main", "container": {"image": "none"}}],
}
SPECS: Final[dict[Resource, dict[str, Any]]] = {
    WORKFLOWS: _FLOW,
    CRON_WORKFLOWS: {"schedules": ["0 0 1 1 *"], "workflowSpec": _FLOW},
    JOBS: {"template": _POD},
    CRON_JOBS: {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": _POD}}},
    JOB_SETS: {"replicatedJobs": [{"name": "all", "template": {"spec": {"template": _POD}}}]},
    WORKLOADS: {"queueName": "all", "podSets": [{"name": "main", "count": 1, "template": _POD}]},
    RAY_JOBS: {
        "entrypoint": "python job.py",
        "rayClusterSpec": {"headGroupSpec": {"rayStartParams": {}, "template": _POD}},
    },
    TRAIN_JOBS: {"runtimeRef": {"name": "torch-distributed"}},
}


def sample(folder: Path) -> Path:
    """The file as the sample's ConfigMap holds it."""
    manifests = yaml.safe_load_all((ROOT / "deploy/samples/instance-kinds.yaml").read_text())
    file = folder / "kinds.yaml"
    file.write_text(next(m for m in manifests if m["kind"] == "ConfigMap")["data"]["kinds.yaml"])
    return file


def body_of(resource: Resource, name: str, **more: Any) -> dict[str, Any]:
    return {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {"name": name, "labels": LABELS},
        "spec": {**SPECS[resource], **more},
    }


async def view(api: Api, kind: InstanceKind, namespace: str) -> Instances:
    raws = await api.list(resource_of(kind), namespace, labels="run-of=wf")
    paused = kind.model_copy(update={"default": Policy.PAUSE})
    return Instances(OWNER, ROLLOUT, tuple(read_instance(paused, r, None, ()) for r in raws))


async def pause(api: Api, kind: InstanceKind, namespace: str) -> int:
    async def todo() -> tuple[InstanceWrite, ...]:
        return writes.pausing(await view(api, kind, namespace), namespace)

    return await written(api, todo)


async def let_go(api: Api, kind: InstanceKind, namespace: str, *cancelled: str) -> None:
    async def todo() -> tuple[InstanceWrite, ...]:
        held = (await view(api, kind, namespace)).held
        uids = frozenset(i.uid for i in held if i.name in cancelled)
        return writes.letting_go(held, uids, namespace)

    await written(api, todo)


async def written(api: Api, todo: Callable[[], Awaitable[tuple[InstanceWrite, ...]]]) -> int:
    """How many were written, as passes do: what was changed after it was read is read again.

    The cluster's own controllers write to the instances meanwhile.
    """
    number = 0
    while True:
        found = await todo()
        failed = await write_all(api, found)
        number += len(found) - len(failed)
        if not failed:
            return number
        assert all(isinstance(error, Conflict) for _, error in failed), failed


def kind_named(kinds: tuple[InstanceKind, ...], resource: Resource) -> InstanceKind:
    return next(k for k in kinds if (k.group, k.kind) == (resource.group, resource.kind))
