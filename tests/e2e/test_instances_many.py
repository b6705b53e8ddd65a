"""Many instances at once; of Argo Workflows there are the real CRDs, and no controller."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import InstallKinds
from tests.e2e.conftest import Begin
from tests.e2e.test_instances import LABELS, fates
from tests.harness.audit import Entry
from tests.harness.cluster import Cluster
from tests.harness.instance_crds import CRON_WORKFLOWS, WORKFLOWS
from tests.harness.setup import ROOT
from tests.harness.workbench import SECONDS, Bench
from tests.harness.workbench_operator import Operator

from belay.api.names import LABEL_PAUSED_BY
from belay.shell.resources import CONFIG_MAPS

SELECTED = {"kind": "Workflow", "group": WORKFLOWS.group, "selector": {"matchLabels": LABELS}}
INSTANCES = {"resources": [SELECTED]}
FLOW = {"entrypoint": "main", "templates": [{"name": "main", "container": {"image": "none"}}]}
MOST_STATUS = 4096
"""Bytes."""


@pytest.fixture
def own_place(
    cluster: Cluster,
    operator_kubeconfig: Path,
    namespace: str,
    tmp_path: Path,
    install_kinds: InstallKinds,
) -> Iterator[tuple[str, Operator]]:
    """An operator that knows the kinds of the sample, with the rights for them."""
    install_kinds(WORKFLOWS, CRON_WORKFLOWS)
    sample = yaml.safe_load_all((ROOT / "deploy/samples/instance-kinds.yaml").read_text())
    parts = {part["kind"]: part for part in sample}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(parts["ClusterRole"]))
    kinds = tmp_path / "kinds.yaml"
    kinds.write_text(parts["ConfigMap"]["data"]["kinds.yaml"])
    log = tmp_path / "operator.log"
    options = ("--instance-kinds", str(kinds))
    running = Operator(operator_kubeconfig, (namespace,), log, options)
    running.start()
    yield namespace, running
    running.close()


async def start(bench: Bench, count: int) -> None:
    """Every tenth is suspended by its owner."""
    slots = asyncio.Semaphore(16)

    async def one(number: int) -> None:
        spec: dict[str, Any] = {**FLOW, **({"suspend": True} if number % 10 == 0 else {})}
        head = {"apiVersion": WORKFLOWS.api_version, "kind": WORKFLOWS.kind}
        body = {**head, "metadata": {"name": f"w{number}", "labels": LABELS}, "spec": spec}
        async with slots:
            await bench.api.create(WORKFLOWS, bench.namespace, body)

    await asyncio.gather(*(one(number) for number in range(count)))


@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("own_place")
async def test_each_of_many_argo_workflows_is_written_once_to_pause_and_once_to_go_on(
    bench: Bench, begin: Begin, request: pytest.FixtureRequest
) -> None:
    """2,000 in a full run. Their number shows neither in the status nor in what others wait for."""
    count = 2000 if request.config.getoption("--full") else 60
    await start(bench, count)
    flow = await begin(preview="None", instances=INSTANCES, deadlines={"pause": "10m"})
    before = memory(bench)
    await bench.revise("v2", note="second")
    mark = bench.mark()
    await flow.wish("v2")
    found = await flow.at("Promoted", seconds=300)
    theirs, mine = count // 10, count - count // 10
    expected = {"found": count, "alreadySuspended": theirs, "paused": mine, "resumed": mine}
    assert fates(found) == expected
    left = await bench.find(WORKFLOWS)
    assert sum(bool(o["spec"].get("suspend")) for o in left) == theirs
    assert not any(LABEL_PAUSED_BY in o["metadata"]["labels"] for o in left)
    written = [c for c in bench.calls(mark) if c.group == WORKFLOWS.group and c.is_write]
    assert set(Counter(c.name for c in written).values()) == {2}
    assert len(written) == 2 * mine
    status = len(json.dumps(found["status"]))
    assert status < MOST_STATUS
    record = await bench.get(CONFIG_MAPS, f"wf-instances-{found['status']['rollout']['id']}")
    lines = {name: len(packed) for name, packed in record["binaryData"].items()}
    print(
        f"{count} Argo Workflows, {mine} paused in {seconds(written[:mine]):.1f} s and let go in "
        f"{seconds(written[mine:]):.1f} s by {len(written)} writes; status {status} bytes, "
        f"account {lines} (base64); operator {before} before, {memory(bench)} after"
    )


@pytest.mark.full
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("own_place")
async def test_a_newer_wish_is_heard_while_many_are_being_paused(
    bench: Bench, begin: Begin
) -> None:
    await start(bench, 600)
    mine = 540
    flow = await begin(preview="None", instances=INSTANCES, deadlines={"pause": "10m"})
    for revision in ("v2", "v3"):
        await bench.revise(revision, note=revision)
    mark = bench.mark()
    await flow.wish("v2")
    await written(bench, mark, 100)
    asked = datetime.now(UTC)
    await flow.wish("v3")
    found = await flow.until(lambda w: w["status"]["rollout"]["to"]["revision"] == "v3")
    begun = datetime.fromisoformat(found["status"]["rollout"]["startedAt"])
    told = [c for c in bench.calls(mark) if c.group == WORKFLOWS.group and c.is_write]
    assert len(told) < mine / 2
    await flow.at("Promoted", seconds=300)
    told = [c for c in bench.calls(mark) if c.group == WORKFLOWS.group and c.is_write]
    assert set(Counter(c.name for c in told).values()) == {2}
    print(f"{(begun - asked).total_seconds():.1f} s from the newer wish to its rollout")


async def written(bench: Bench, mark: Any, count: int) -> None:
    """Wait until so many instances were written to."""
    async with asyncio.timeout(SECONDS):
        while bench.writes(mark)[f"patch {WORKFLOWS.plural}"] < count:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def seconds(calls: list[Entry]) -> float:
    first, last = min(c.received for c in calls), max(c.answered for c in calls)
    return (last - first).total_seconds()


def memory(bench: Bench) -> str:
    """What the operator's process holds, and held at most."""
    status = Path(f"/proc/{bench.operator.pid}/status").read_text()
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return f"{int(found['VmRSS']) // 1024} MiB RSS ({int(found['VmHWM']) // 1024} at most)"
