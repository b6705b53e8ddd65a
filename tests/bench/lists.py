"""How long a list of the newest state waits for the server's cache, soon after another one."""

import asyncio
import statistics
import time
from collections.abc import Sequence

from tests.bench.report import Report
from tests.harness.cluster import Cluster

from belay.shell.cluster import Cluster as Api
from belay.shell.resources import CONFIG_MAPS, PODS

GAPS = (0.010, 0.025, 0.050, 0.075, 0.120)
"""Seconds between two lists."""
TIMES = 30
APART = 0.25
"""Seconds in which the server forgets that it has asked etcd."""
NAMESPACE = "default"


async def measure(cluster: Cluster, report: Report) -> None:
    """Each list comes right after a write of another kind, as in a swap."""
    async with await Api.connect(str(cluster.kubeconfig), user_agent="belay-bench") as api:
        rows = [await _pairs(api, gap) for gap in GAPS]
    report.table(["second list, after the first", "first, p50", "second, p50"], rows)


async def _pairs(api: Api, gap: float) -> list[str]:
    first, second = [], []
    for _ in range(TIMES):
        await asyncio.sleep(APART)
        first.append(await _listed(api))
        await asyncio.sleep(gap)
        second.append(await _listed(api))
    return [f"{gap * 1000:.0f} ms", _told(first), _told(second)]


async def _listed(api: Api) -> float:
    metadata = {"name": "listed", "namespace": NAMESPACE}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    await api.apply(CONFIG_MAPS, {**body, "data": {"at": str(time.time())}}, manager="bench")
    began = time.perf_counter()
    await api.list(PODS, NAMESPACE, labels="app=none")
    return time.perf_counter() - began


def _told(took: Sequence[float]) -> str:
    return f"{statistics.median(took) * 1000:.1f} ms"
