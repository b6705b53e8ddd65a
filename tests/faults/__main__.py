"""`make faults`: all plans, or as many as fit into the time, in an order by the seed."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.faults.plans import Plan, plans_of, shuffled
from tests.faults.runner import Result, Runner, runner
from tests.faults.scenarios import SCENARIOS
from tests.harness.cluster import Kind, running

SLOW = 12.0
"""Seconds after which a plan is named: something waited for its last resort."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 where a violation was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="then no plan is begun")
    parser.add_argument("--at-once", type=int, default=16, help="plans side by side")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--fault", action="append", help="a part of its name")
    parser.add_argument("--index", type=int, action="append")
    parser.add_argument("--most", type=int, help="plans at most")
    parser.add_argument("--logs", action="store_true", help="show what operators said")
    given = parser.parse_args(arguments)
    with (
        running(Kind.CONTROL_PLANE) as cluster,
        tempfile.TemporaryDirectory(prefix="belay-faults-") as folder,
    ):
        cluster.apply_crds()
        return asyncio.run(_main(given, cluster, Path(folder)))


async def _main(given: argparse.Namespace, cluster: object, folder: Path) -> int:
    began = time.monotonic()
    async with runner(cluster, folder) as playing:
        results = await playing.measure(given.scenario or SCENARIOS)
        for result in results:
            _tell(result, logs=given.logs)
        if any(r.violations for r in results):
            return 1
        every = [p for r in results if r.found is not None for p in _plans(r)]
        chosen = [p for p in shuffled(every, given.seed) if _meant(p, given)]
        done: list[Result] = []
        try:
            await _play(playing, chosen[: given.most], given, began, done)
        finally:
            _table(done, len(every), time.monotonic() - began)
    return 1 if any(r.violations for r in done) else 0


def _plans(base: Result) -> list[Plan]:
    assert base.found is not None
    verbs = [call.partition(" ")[0] for call in base.found.calls]
    return list(plans_of(base.plan.scenario, verbs, base.found.watched))


def _meant(plan: Plan, given: argparse.Namespace) -> bool:
    named = given.fault is None or any(part in str(plan.fault) for part in given.fault)
    return named and (given.index is None or plan.index in given.index)


async def _play(
    playing: Runner,
    plans: list[Plan],
    given: argparse.Namespace,
    began: float,
    done: list[Result],
) -> None:
    """What was run until it is interrupted is in `done`."""
    waiting = iter(plans)

    async def lane() -> None:
        for plan in waiting:
            if time.monotonic() - began > given.seconds:
                return
            done.append(await playing.run(plan))
            _tell(done[-1], logs=given.logs)

    async with asyncio.TaskGroup() as lanes:
        for _ in range(given.at_once):
            lanes.create_task(lane())


def _tell(result: Result, *, logs: bool) -> None:
    found = result.found
    if result.plan.fault is None and found is not None:
        counted = f"{len(found.calls)} calls, {found.watched} events"
        phase = found.ending.phase or "gone"
        print(f"{result.plan}: {counted}, {found.written.total()} writes, {phase}", flush=True)
    if result.seconds > SLOW:
        print(f"slow {result.plan}: {result.seconds:.1f} s", flush=True)
    for violation in result.violations:
        print(f"VIOLATION {result.plan}: {violation}", flush=True)
    if result.violations and logs:
        print(result.log, flush=True)


def _table(done: list[Result], every: int, seconds: float) -> None:
    fired, faults = Counter[str](), Counter[str]()
    for result in done:
        faults[str(result.plan.fault)] += 1
        fired[str(result.plan.fault)] += result.fired
    for fault in sorted(faults):
        print(f"  {fault:32} {faults[fault]:5} plans, {fired[fault]:5} came to pass")
    wrong = sum(bool(r.violations) for r in done)
    slow = max((r.seconds for r in done), default=0.0)
    print(
        f"{len(done)} of {every} plans, {sum(fired.values())} came to pass, {wrong} with a "
        f"violation, {seconds:.0f} s, slowest {slow:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
