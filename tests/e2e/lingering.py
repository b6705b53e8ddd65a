"""Rollouts of v2 that stand still in a phase, until they are let go."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from tests.e2e.conftest import Begin
from tests.harness.workbench import Bench, carries, uid_name
from tests.harness.workbench_flow import Flow
from tests.harness.workbench_manifests import ANSWERS

from belay.shell.resources import CONFIG_MAPS

Members = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Lingering:
    """How v2 comes to a phase and stays, and what lets it go."""

    options: Members
    """Of the Workflow."""
    v2: Members
    release: Members
    """What the pod that everything waits for is told."""
    deploy: Members = field(default_factory=dict)


_ALOFT = {"preview": "None"}
_PATIENT = {**ANSWERS, "failureThreshold": 100}
LINGERING = {
    "Previewing": Lingering({}, {"ready": 503, "live": {"ready": 200}}, {"ready": 200}),
    "Delivering": Lingering(_ALOFT, {"ready": 503}, {"ready": 200}),
    "Verifying": Lingering({**_ALOFT, "checks": [_PATIENT]}, {"code": 500}, {"code": 200}),
    "Observing": Lingering({**_ALOFT, "window": "5s"}, {"note": "second"}, {}),
    "Reverting": Lingering(
        {**_ALOFT, "window": "60s"}, {"note": "second"}, {"ready": 200}, {"switch": True}
    ),
}


def sampled(count: int, of: int) -> pytest.MarkDecorator:
    """The places `nth` of a sample: so many in each run, all of them with --full."""
    rest = [pytest.param(n, marks=pytest.mark.full) for n in range(count, of)]
    return pytest.mark.parametrize("nth", [*range(count), *rest])


def pick(seed: int, among: Sequence[T], nth: int) -> T:
    """The nth of these in the run's own order."""
    return random.Random(seed).sample(among, len(among))[nth]


async def linger(bench: Bench, begin: Begin, phase: str, **options: Any) -> Flow:
    """Begin with v1 proven, and wish for a v2 that stands still in this phase."""
    lingering = LINGERING[phase]
    flow = await begin(deploy=lingering.deploy, **{**lingering.options, **options})
    await bench.revise("v2", **lingering.v2)
    await flow.wish("v2")
    if phase == "Reverting":
        found = await flow.at("Observing")
        unready = {"metadata": {"name": "switch"}, "data": {"told": '{"ready": 503}'}}
        await bench.apply(CONFIG_MAPS, unready)
        await bench.tell(await new_pod(bench, found["status"]["active"]), code=500)
    await flow.at(phase)
    return flow


async def release(bench: Bench, flow: Flow, phase: str) -> None:
    """Let the rollout go on."""
    members = LINGERING[phase].release
    status = (await flow.now())["status"]
    if phase == "Previewing":
        await bench.tell(f"wf-preview-{status['rollout']['id']}", **members)
    elif members:
        content = status["stable" if phase == "Reverting" else "rollout"]
        await bench.tell(await new_pod(bench, content.get("to", content)), **members)


async def new_pod(bench: Bench, content: Members) -> str:
    """Name of the pod with this content, once there is one."""
    pod = await bench.until_pod(lambda pod: carries(pod, content))
    return uid_name(pod)[1]
