"""Every kind of the sample against its real CRD; what controllers say is written in their place."""

from typing import Any

import pytest
from tests.conftest import InstallKinds
from tests.harness.instance_crds import (
    CRON_WORKFLOWS,
    JOB_SETS,
    RAY_JOBS,
    TRAIN_JOBS,
    WORKFLOWS,
    WORKLOADS,
)
from tests.harness.merging import merge
from tests.integration.instances.pausing import (
    LABELS,
    body_of,
    kind_named,
    let_go,
    pause,
    view,
    written,
)
from tests.unit.core import world

from belay.api.instance_kinds import InstanceKind
from belay.api.instances import InstanceResource, Instances, LabelSelector, Policy
from belay.api.names import LABEL_PAUSED_BY
from belay.core.decision import InstanceWrite
from belay.core.instances import writes
from belay.core.instances.view import Look, at
from belay.core.keys import Key
from belay.core.observed import Observed
from belay.shell.cluster import Cluster as Api
from belay.shell.instances import find
from belay.shell.resources import CRON_JOBS, JOBS, Resource
from belay.shell.turn import Turn

BUILT_IN = (JOBS, CRON_JOBS, WORKFLOWS, CRON_WORKFLOWS)
OTHERS = (JOB_SETS, WORKLOADS, RAY_JOBS, TRAIN_JOBS)
QUEUE = "kueue.x-k8s.io/queue-name"
JOB_UID = "kueue.x-k8s.io/job-uid"


def conditions(*true: str) -> dict[str, Any]:
    told = {"status": "True", "reason": "Said", "message": "so"}
    when = {"lastTransitionTime": "2026-01-01T00:00:00Z"}
    return {"conditions": [{"type": name, **told, **when} for name in true]}


SAID: dict[Resource, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    JOB_SETS: ({}, conditions("Suspended"), conditions("Completed")),
    WORKLOADS: (
        conditions("Evicted", "QuotaReserved"),
        conditions("Evicted"),
        conditions("Finished"),
    ),
    RAY_JOBS: (
        {"jobDeploymentStatus": "Suspending"},
        {"jobDeploymentStatus": "Suspended"},
        {"jobDeploymentStatus": "Complete"},
    ),
    TRAIN_JOBS: ({}, conditions("Suspended"), conditions("Complete")),
}
"""What a controller says of an instance that pauses, that stands still, and that is finished."""


@pytest.fixture(params=[*BUILT_IN, *OTHERS], ids=lambda r: r.kind)
def resource(request: pytest.FixtureRequest, seed: int, install_kinds: InstallKinds) -> Resource:
    """All in a full run; else one that takes long to install, by the seed."""
    found: Resource = request.param
    left_out = found in OTHERS and found != OTHERS[seed % len(OTHERS)]
    if left_out and not request.config.getoption("--full"):
        pytest.skip("a part of the whole matrix: make test-full")
    if found not in (JOBS, CRON_JOBS):
        install_kinds(found)
    return found


async def test_to_let_go_brings_back_exactly_what_was_there(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...], resource: Resource
) -> None:
    """Whether the owner had said nothing, runs or pauses it; by its own apply or by create."""
    kind = kind_named(kinds, resource)
    field = kind.path.removeprefix("spec.")
    runs, paused = not kind.paused_value, kind.paused_value
    for name, more in (("silent", {}), ("said", {field: runs}), ("theirs", {field: paused})):
        await api.create(resource, namespace, body_of(resource, name, **more))
    applied = body_of(resource, "applied", **{field: runs})
    applied["metadata"]["namespace"] = namespace
    await api.apply(resource, applied, manager="git")
    before = {o["metadata"]["name"]: o for o in await api.list(resource, namespace)}

    assert await pause(api, kind, namespace) == 3
    during = await api.list(resource, namespace)
    assert all(at(o, kind.path) == paused for o in during)
    labelled = {o["metadata"]["name"] for o in during if LABEL_PAUSED_BY in o["metadata"]["labels"]}
    assert labelled == {"silent", "said", "applied"}

    await let_go(api, kind, namespace)
    for after in await api.list(resource, namespace):
        was = before[after["metadata"]["name"]]
        assert after["metadata"]["labels"] == LABELS
        assert after["spec"].get(field, runs) == was["spec"].get(field, runs)
        assert {k: v for k, v in after["spec"].items() if k != field} == {
            k: v for k, v in was["spec"].items() if k != field
        }
        assert "belay-pause" not in str(after["metadata"]["managedFields"])


@pytest.mark.parametrize("resource", SAID, ids=lambda r: r.kind, indirect=True)
async def test_paused_and_finished_are_what_its_controller_says(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...], resource: Resource
) -> None:
    kind = kind_named(kinds, resource)
    await api.create(resource, namespace, body_of(resource, "run"))
    await pause(api, kind, namespace)
    moving, still, finished = SAID[resource]
    for status, pending, stands in ((moving, 1, 0), (still, 0, 1), (finished, 0, 0)):
        await merge(api, resource, namespace, "run", {"status": status}, "status")
        found = await view(api, kind, namespace)
        assert (len(found.pending), len(found.paused)) == (pending, stands), status


async def test_jobs_of_a_queue_are_paused_by_their_workloads(
    api: Api, namespace: str, kinds: tuple[InstanceKind, ...], install_kinds: InstallKinds
) -> None:
    """The Job's own field is Kueue's. One that no Workload manages is paused by itself."""
    install_kinds(WORKLOADS)
    queued = {**LABELS, QUEUE: "all"}
    for name in ("queued", "plain", "unknown"):
        job = body_of(JOBS, name)
        job["metadata"]["labels"] = LABELS if name == "plain" else queued
        made = await api.create(JOBS, namespace, job)
        if name == "queued":
            workload = body_of(WORKLOADS, "job-queued")
            workload["metadata"]["labels"] = {JOB_UID: made["metadata"]["uid"]}
            await api.create(WORKLOADS, namespace, workload)

    async def to_pause() -> tuple[InstanceWrite, ...]:
        return writes.pausing(await looked_for(api, namespace, kinds), namespace)

    async def to_let_go() -> tuple[InstanceWrite, ...]:
        held = (await looked_for(api, namespace, kinds)).held
        return writes.letting_go(held, frozenset(), namespace)

    found = await looked_for(api, namespace, kinds)
    assert {i.told for i in found.to_pause} == {"Workload job-queued", "Job plain", "Job unknown"}
    assert await written(api, to_pause) == 3
    assert not (await api.get(WORKLOADS, namespace, "job-queued"))["spec"]["active"]
    assert not (await api.get(JOBS, namespace, "queued"))["spec"]["suspend"]
    assert await written(api, to_let_go) == 3
    assert (await api.get(WORKLOADS, namespace, "job-queued"))["spec"]["active"]
    without = tuple(k for k in kinds if k.kind != "Workload")
    (unseen,) = (await looked_for(api, namespace, without)).unseen
    assert "Job queued is managed by a Workload of kueue.x-k8s.io" in unseen.message


async def looked_for(api: Api, namespace: str, kinds: tuple[InstanceKind, ...]) -> Any:
    """As a pass in Pausing does."""
    jobs = InstanceResource(
        kind="Job", selector=LabelSelector(match_labels=LABELS), policy=Policy.PAUSE
    )
    spec = world.spec("v1", instances=Instances(resources=[jobs]))
    seen: Observed = world.observed(spec=spec, instance_kinds=kinds)
    return await find(Turn(api, Key(namespace, "wf")), seen, Look.WANTED)
