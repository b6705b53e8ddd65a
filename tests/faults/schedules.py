"""`make schedules`: random schedules of the model, played by a real operator on a real API server.

The model's disturbances come at the same places of the run: after as many writes of the status, and
at a call of the same kind. What only the model can do (to have time pass) is left out.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.faults import ending, people
from tests.faults.ending import Ending, Found
from tests.faults.moments import Schedule, playable, read
from tests.faults.operators import Operator
from tests.faults.patience import Patience
from tests.faults.plans import Plan
from tests.faults.proxy import Proxy
from tests.faults.runner import HANGS, PATIENCE, QUIET, RESYNC, Runner, broke, runner
from tests.faults.scenarios import FLOW, THEIRS, Place
from tests.faults.stage import Stage
from tests.harness import workbench_manifests as manifests
from tests.harness.cluster import Kind, running
from tests.model import oracles
from tests.model.disturbances import NEUTRAL
from tests.model.scenarios import SCENARIOS
from tests.model.steps import natural

from belay.api.words import Outcome
from belay.shell.resources import JOBS, WORKFLOWS

Object = dict[str, Any]
_JOBS: Final = {"kind": "Job", "selector": {"matchLabels": {"run-of": FLOW}}, "policy": "Pause"}
_SOON: Final = {
    **dict.fromkeys(("preview", "deliver", "verify", "pause", "resume"), "8s"),
    "revert": "20s",
}
"""Deadlines: a pod that is never ready is waited for, and so is a verdict."""
_UNCLEAR: Final = {"unclear-late": "Revert", "unclear-promoted": "Promote"}
"""What to do with what is Inconclusive, by the scenario's name; else it is held."""
_REAL: Final = {
    "unclear-promoted": "v10",
    "unclear-late": "v8",
    "unclear": "v7",
    "wrong": "v4",
    "late": "v5",
    "unready": "v6",
    "held": "v4",
}
"""What v2 of the model is here, by a word in the scenario's name; else it is v2."""
_BAD: Final = frozenset(_REAL.values()) - {"v10"}
LASTS: Final = 2 * RESYNC
"""Seconds after which an end that is not right is taken for one: a periodic list is due before."""
_ENDS: Final = frozenset(str(o) for o in Outcome) | {"Pending"}
_SWEPT: Final = frozenset({"status lost"})
"""After these the sweeper lets go what is paused, within minutes."""


@dataclass(frozen=True, slots=True)
class Played:
    """What came of one."""

    schedule: Schedule
    came: int
    """Moments that came to pass."""
    end: str
    violations: tuple[str, ...]
    seconds: float
    log: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 where a violation was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.schedules", description=__doc__)
    parser.add_argument("--seed", type=int, default=Random().randrange(10**6))
    parser.add_argument("--most", type=int, default=40, help="schedules")
    parser.add_argument("--total", type=int, default=4, help="disturbances of one, at most")
    parser.add_argument("--at-once", type=int, default=12, help="schedules side by side")
    parser.add_argument("--replay", metavar="PLAN", help="as the model or a violation printed it")
    parser.add_argument("--logs", action="store_true", help="show what operators said")
    given = parser.parse_args(arguments)
    chosen = islice(playable(given.seed, given.total), given.most)
    schedules = [read(given.replay)] if given.replay else list(chosen)
    print(f"{len(schedules)} schedules, seed {given.seed}", flush=True)
    began = time.monotonic()
    with (
        running(Kind.CONTROL_PLANE) as cluster,
        tempfile.TemporaryDirectory(prefix="belay-schedules-") as folder,
    ):
        cluster.apply_crds()
        played = asyncio.run(_all(cluster, Path(folder), schedules, given))
    moments = sum(len(p.schedule.moments) for p in played)
    wrong = sum(bool(p.violations) for p in played)
    print(
        f"{len(played)} schedules, {sum(p.came for p in played)} of {moments} disturbances came "
        f"to pass, {wrong} with a violation, {time.monotonic() - began:.0f} s"
    )
    return int(wrong > 0)


async def _all(
    cluster: Any, folder: Path, schedules: Sequence[Schedule], given: argparse.Namespace
) -> list[Played]:
    played: list[Played] = []
    waiting = iter(schedules)

    async def lane() -> None:
        for schedule in waiting:
            played.append(await play(playing, schedule))
            _tell(played[-1], logs=given.logs, all_of_it=bool(given.replay))

    async with runner(cluster, folder) as playing, asyncio.TaskGroup() as lanes:
        for _ in range(given.at_once):
            lanes.create_task(lane())
    return played


def _tell(played: Played, *, logs: bool, all_of_it: bool) -> None:
    model = played.schedule.end.cluster.status.status.phase
    for violation in played.violations:
        print(f"VIOLATION {played.schedule}: {violation}", flush=True)
    if played.violations or all_of_it:
        print(
            f"{played.schedule}\n  here {played.end}, in the model {model}, {played.seconds:.1f} s"
        )
        print(f'  again: python -m tests.faults.schedules --replay "{played.schedule.plan}"')
    if logs and (played.violations or all_of_it):
        print(played.log, flush=True)


async def play(runner: Runner, schedule: Schedule) -> Played:
    """In a namespace and with an operator of its own."""
    namespace = f"s-{uuid.uuid4().hex[:10]}"
    place = Place(runner.api, runner.standin, namespace)
    log = runner.folder / f"{namespace}.log"
    operator = Operator(
        runner.zygote, runner.folder / f"{namespace}.json", namespace, log, resync=RESYNC
    )
    stage = Stage(schedule.moments, lambda what: people.act(place, what), operator.kill)
    proxy = Proxy(runner.upstream, namespace, operator.kill)
    began, found, wrong = time.monotonic(), None, list[str]()
    try:
        operator.kubeconfig.write_text(runner.kubeconfig(await proxy.open()))
        async with asyncio.timeout(HANGS):
            found = await _play(schedule, place, operator, proxy, stage)
            wrong = [w async for w in _judge(schedule, place, stage, found)]
    except Exception as error:  # noqa: BLE001 - what breaks the test is a finding too
        wrong = [broke(error)]
    finally:
        await operator.close()
        await proxy.close()
    end = f"{found.ending.phase} {found.ending.active}" if found is not None else "broken"
    told = log.read_text() if log.exists() else ""
    seconds = time.monotonic() - began
    return Played(schedule, len(stage.came), end, tuple(wrong), seconds, told)


async def _play(
    schedule: Schedule, place: Place, operator: Operator, proxy: Proxy, stage: Stage
) -> Found:
    new = schedule.scenario.startswith("first")
    await place.make(("v1", "v1.again", _real(schedule.scenario, "v2"), "v3"))
    spec = _spec(schedule.scenario)
    if "paused" in schedule.scenario:
        for name in ("run", THEIRS):
            body = manifests.job(name, labels={"run-of": FLOW}, suspend=name == THEIRS)
            await place.api.create(JOBS, place.namespace, body)
    if not new:
        await place.creates("v1", **{**spec, "preview": "None", "window": "0s"})
    await operator.start()
    if not new and not await place.until_phase("Promoted"):
        raise AssertionError(f"v1 is at {place.workflow.get('status')}")
    await asyncio.sleep(QUIET)
    proxy.stage, proxy.heard = stage, stage.heard
    proxy.arm(Plan(schedule.scenario))
    acting = asyncio.create_task(stage.run())
    try:
        await _begin(schedule, place, spec, new=new)
        return await _until_rest(place, proxy, stage)
    finally:
        acting.cancel()
        with suppress(asyncio.CancelledError):
            await acting


def _spec(scenario: str) -> Object:
    """What differs from a plain Workflow."""
    late = {"window": "30s"} if _real(scenario, "v2") == "v5" else {"window": "1s"}
    more: Object = {"preview": "Pod" if "preview" in scenario else "None", **late}
    if "paused" in scenario:
        more["instances"] = {"resources": [_JOBS]}
    if scenario == "held":
        more["onFailure"] = "Hold"
    if scenario in _UNCLEAR:
        more["onInconclusive"] = _UNCLEAR[scenario]
    return {**more, "deadlines": _SOON}


def _real(scenario: str, name: str) -> str:
    """What a revision of the model is called here."""
    if name != "v2":
        return name
    return next((real for word, real in _REAL.items() if word in scenario), "v2")


async def _begin(schedule: Schedule, place: Place, spec: Object, *, new: bool) -> None:
    wish = _real(schedule.scenario, SCENARIOS[schedule.scenario].wish)
    if new:
        await place.creates(wish, **spec)
        return
    verification = {"preview": spec["preview"], "window": spec["window"]}
    body = {"spec": {"activeRevision": wish, "verification": verification}}
    await place.patch(WORKFLOWS, FLOW, body)


async def _until_rest(place: Place, proxy: Proxy, stage: Stage) -> Found:
    """Until nothing of the schedule is left, and for the right end, or any that lasts."""
    patience, lasts = Patience(PATIENCE), Patience(LASTS)
    while True:
        await place.until(_is_over(place), max(patience.left, 0.1))
        before = len(proxy.written)
        await asyncio.sleep(QUIET)
        late = tuple(proxy.written[before:])
        if late and not patience.is_over:
            continue
        if (place.workflow.get("spec") or {}).get("suspend"):
            await people.act(place, "lift")
            continue
        if not patience.is_over and await stage.at_rest():
            lasts = Patience(LASTS)
            continue
        found = replace(await ending.read(place, proxy), writes_at_rest=late)
        wish = place.workflow["spec"]["activeRevision"]
        good = not any(judged(found, frozenset(m.what for m in stage.came), wish))
        if good or lasts.is_over:
            return found


def _is_over(place: Place) -> Any:
    def over(workflow: Object) -> bool:
        status = workflow.get("status") or {}
        seen = status.get("observedGeneration") == workflow["metadata"]["generation"]
        at_rest = status.get("phase") in _ENDS or bool(workflow["spec"].get("suspend"))
        return seen and workflow["metadata"]["generation"] >= place.generation and at_rest

    return over


async def _judge(
    schedule: Schedule, place: Place, stage: Stage, found: Found
) -> AsyncIterator[str]:
    """What the model's oracles say of an end, here of a real one."""
    had = frozenset(m.what for m in stage.came)
    if "paused" in schedule.scenario and not had & _SWEPT:
        for job in await place.api.list(JOBS, place.namespace):
            name = job["metadata"]["name"]
            if bool(job["spec"].get("suspend")) != (name == THEIRS):
                yield f"Job {name} is left paused, or is not any more"
    for told in judged(found, had, place.workflow["spec"]["activeRevision"]):
        yield told
    over = not natural(schedule.end, SCENARIOS[schedule.scenario].world)
    if over and had <= NEUTRAL and len(stage.came) == len(schedule.moments):
        for told in same(schedule, found.ending):
            yield told


def judged(found: Found, had: frozenset[str], wish: str) -> Iterator[str]:
    """What does not hold of an end, after these disturbances and with this wish at last."""
    end = found.ending
    if found.writes_at_rest:
        yield f"writes at rest: {', '.join(found.writes_at_rest)}"
    if end.phase not in _ENDS:
        yield f"ends {end.phase or 'without a phase'}: {end.conditions}"
    if end.previews and "status lost" not in had:
        yield f"preview pods are left: {', '.join(end.previews)}"
    conditions = {kind: status for kind, status, _ in end.conditions}
    if conditions.get("Ready") != "True" and not all(found.messages):
        yield f"not ready, and nothing says why: {end.conditions}"
    twice = [told for told, number in found.events.items() if number > 1]
    if twice:
        yield f"events told twice: {', '.join(twice)}"
    if not had & oracles.MOVED_BY_OTHERS:
        yield from _settled(end, had, wish)


def _settled(end: Ending, had: frozenset[str], wish: str) -> Iterator[str]:
    """What runs is what is called active, and a good wish comes true."""
    left = end.phase in (Outcome.HELD, Outcome.REVERT_FAILED)
    if _content(end.runs) != _content(end.active) and not (left and not end.active):
        yield f"{end.runs} runs, {end.active} is active"
    if end.active in _BAD and not left:
        yield f"{end.active} runs at {end.phase}, and is bad"
    if wish in _BAD or had & oracles.OTHER_WORDS:
        return
    if (end.phase, end.stable) != (Outcome.PROMOTED, wish):
        yield f"{wish} is wanted and good, {end.stable} is stable, {end.phase}"


def _content(name: str | None) -> str:
    """The name under which a content may have come first, or later."""
    return (name or "").removesuffix(".again")


def same(schedule: Schedule, end: Ending) -> Iterator[str]:
    """After what is to leave no trace, the end of the model."""
    phase, active, stable, carries, quarantine, history = oracles.ending(schedule.end)

    def real(name: str | None) -> str:
        return _real(schedule.scenario, name or "")

    wanted = (
        phase,
        real(active),
        real(stable),
        real(carries),
        tuple(map(real, quarantine)),
        tuple((real(name), outcome) for name, outcome in history),
    )
    known = tuple((name, outcome) for name, outcome, _ in end.history)
    here = (end.phase, end.active, end.stable, end.runs or "", end.quarantined, known)
    if here != wanted:
        yield f"ends {here}, in the model {wanted}"


if __name__ == "__main__":
    sys.exit(main())
