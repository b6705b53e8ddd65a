"""The way back from a bad revision by new pods, against a bare undo of the same Deployment.

A bare undo, a revision that fails in its preview and one that fails in live pods take turns, so
that all see the same machine. A user asks through the Service all the time.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean
from typing import Any

from tests.bench.in_place import Place, opened
from tests.bench.report import Report, ms
from tests.harness import workbench_manifests as manifests
from tests.harness.merging import merge
from tests.harness.workbench import Bench, written
from tests.harness.workbench_client import asking
from tests.harness.workbench_flow import Flow

from belay.core.workloads import KINDS
from belay.shell.resources import DEPLOYMENTS

Object = dict[str, Any]
PODS = 2
BARE = "bare"
"""The same Deployment, which nobody serves."""


@dataclass(slots=True)
class _Turns:
    """Seconds of each turn."""

    bare: list[float] = field(default_factory=list)
    ordered: list[float] = field(default_factory=list)
    """From the write of the verdict until the template is put back."""
    back: list[float] = field(default_factory=list)
    """From the write of the verdict until all pods run the stable revision."""
    asked: int = 0
    failed: int = 0
    """Of users, while bad revisions were in their preview."""


async def measure(place: Place, turns: int, report: Report) -> None:
    """Measure, and tell what came out."""
    took = _Turns()
    async with opened(place) as bench:
        flow = await _deployed(bench)
        url = await bench.address()
        for turn in range(turns):
            took.bare.append(await _undone(bench, str(turn)))
            async with asking(url) as answers:
                await _wished(bench, flow, f"aside{turn}", preview="Pod")
                await flow.at("Reverted")
            took.asked += answers.total
            took.failed += answers.failed
            ordered, back = await _back(bench, flow, f"live{turn}")
            took.ordered.append(ordered)
            took.back.append(back)
    _tell(report, took)


async def _undone(bench: Bench, turn: str) -> float:
    """Seconds of a bare `kubectl rollout undo`, as soon as a rollout is complete."""
    await _templated(bench, turn)
    began = datetime.now(UTC)
    await _templated(bench, None)
    return (datetime.now(UTC) - began).total_seconds()


async def _templated(bench: Bench, turn: str | None) -> None:
    """Give the template another annotation, and wait until all pods have it."""
    template = {"metadata": {"annotations": {"example.com/turn": turn}}}
    found = await merge(
        bench.api, DEPLOYMENTS, bench.namespace, BARE, {"spec": {"template": template}}
    )
    newest = found["metadata"]["generation"]
    await bench.until(
        DEPLOYMENTS, BARE, lambda d: d["metadata"]["generation"] >= newest and _is_complete(d)
    )


async def _back(bench: Bench, flow: Flow, revision: str) -> tuple[float, float]:
    """Seconds from the verdict until the template is put back, and until all pods run it."""
    mark = bench.mark()
    await _wished(bench, flow, revision, preview="None")
    await bench.until_runs(revision)
    await bench.until_runs("v1")
    ended = datetime.now(UTC)
    await flow.at("Reverted")
    calls = [c for c in bench.calls(mark) if c.is_write and not c.dry_run]
    *_, back = [c for c in calls if written(c) == "patch deployments"]
    told = [c for c in calls if written(c) == "patch workflows/status"]
    verdict = max(c.received for c in told if c.received < back.received)
    return (back.answered - verdict).total_seconds(), (ended - verdict).total_seconds()


async def _wished(bench: Bench, flow: Flow, revision: str, *, preview: str) -> None:
    await bench.revise(revision, code=500, note=revision)
    flow.spec["verification"]["preview"] = preview
    await flow.wish(revision)


def _is_complete(found: Object) -> bool:
    return KINDS["apps/v1", "Deployment"].completion(found).done


async def _deployed(bench: Bench) -> Flow:
    for name in ("app", BARE):
        await bench.deploy(name, replicas=PODS, flow="wf" if name == "app" else None, linger=1)
    await bench.until(DEPLOYMENTS, BARE, _is_complete)
    await bench.revise("v1", note="first")
    flow = Flow(bench, manifests.workflow(window="0s", preview="None"))
    await flow.apply()
    await flow.at("Promoted")
    return flow


def _tell(report: Report, took: _Turns) -> None:
    """Means, for kubelet asks for readiness once a second: a pod is ready in one or in two."""
    bare, back = fmean(took.bare), fmean(took.back)
    report.text(f"By new pods: {PODS} pods, {len(took.bare)} turns.")
    report.table(
        ["what", "measured, mean", "budget"],
        [
            ["bare undo, nothing proven", f"{bare:.2f} s", ""],
            ["failing verdict to the template put back", ms(fmean(took.ordered)), ""],
            ["failing verdict to all pods on stable", f"{back:.2f} s, {back / bare:.2f} of bare",
             "1.2 of bare"],
            ["requests through the Service while a bad revision is in its preview",
             f"{took.asked:,}, {took.failed} failed", "0 failed"],
        ],
    )  # fmt: skip
