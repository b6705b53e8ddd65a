"""`make faults`: all plans, or as many as fit into the time, in an order by the seed."""

import argparse
import asyncio
import math
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from random import Random

from tests.faults.plans import Plan, plans_of, shuffled
from tests.faults.records import Line, Records
from tests.faults.runner import Result, Runner, runner
from tests.faults.scenarios import SCENARIOS
from tests.harness.cluster import Cluster, Kind, running

SLOW = 12.0
"""Seconds after which a plan is named: something waited for its last resort."""
PER_CLUSTER = 1_000
"""Plans after which a new control plane takes over: nobody deletes their namespaces."""
PART = "plan"


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 where a violation was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0, help="of plans; then none is begun")
    parser.add_argument("--at-once", type=int, default=16, help="plans side by side")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--scenarios", type=int, help="at most, chosen by the seed; else all")
    parser.add_argument("--fault", action="append", help="a part of its name")
    parser.add_argument("--index", type=int, action="append")
    parser.add_argument("--most", type=int, help="plans at most")
    parser.add_argument("--logs", action="store_true", help="show what operators said")
    parser.add_argument("--results", type=Path, help="go on from this file, and add to it")
    given = parser.parse_args(arguments)
    if given.scenarios is not None:
        names = given.scenario or list(SCENARIOS)
        given.scenario = Random(f"{given.seed}-scenarios").sample(names, given.scenarios)
    return play(given, Records(given.results))


def play(given: argparse.Namespace, records: Records) -> int:
    """On as many control planes as it takes; gives 1 where a violation was found."""
    began = time.monotonic()
    batches = _Batches(given, records)
    try:
        while batches.left:
            with (
                running(Kind.CONTROL_PLANE) as cluster,
                tempfile.TemporaryDirectory(prefix="belay-faults-") as folder,
            ):
                cluster.apply_crds()
                if not asyncio.run(batches.play(cluster, Path(folder))):
                    return 1
    finally:
        _table(records, time.monotonic() - began)
    return int(any(line.violations for line in records.last if line.part == PART))


class _Batches:
    """As many plans at a time as one control plane is to see."""

    def __init__(self, given: argparse.Namespace, records: Records) -> None:
        self._given = given
        self._records = records
        self._until = math.inf
        self._done = records.done(PART)
        self.left = True
        """Whether there is more, and time for it."""

    async def play(self, cluster: Cluster, folder: Path) -> bool:
        """The next ones; False where not even the undisturbed runs are as they should be."""
        given = self._given
        async with runner(cluster, folder) as playing:
            results = await playing.measure(given.scenario or SCENARIOS)
            for result in results:
                _tell(result, logs=given.logs)
                if result.found is not None:
                    verbs = [call.partition(" ")[0] for call in result.found.calls]
                    self._records.count(result.plan.scenario, verbs, result.found.watched)
            if any(r.violations for r in results):
                return False
            self._until = min(self._until, time.monotonic() + given.seconds)
            plans = list(self._plans())
            await self._play(playing, plans[:PER_CLUSTER])
            self.left = len(plans) > PER_CLUSTER and time.monotonic() < self._until
            return True

    def _plans(self) -> Iterator[Plan]:
        """What is asked for, and not yet played."""
        given = self._given
        chosen = (p for p in shuffled(_every(self._records), given.seed) if _meant(p, given))
        return (p for p in islice(chosen, given.most) if str(p) not in self._done)

    async def _play(self, playing: Runner, plans: Sequence[Plan]) -> None:
        waiting = iter(plans)

        async def lane() -> None:
            for plan in waiting:
                if time.monotonic() > self._until:
                    return
                self._done.add(str(plan))
                result = await playing.run(plan)
                self._records.add(_line(result))
                _tell(result, logs=self._given.logs)

        async with asyncio.TaskGroup() as lanes:
            for _ in range(self._given.at_once):
                lanes.create_task(lane())


def _every(records: Records) -> list[Plan]:
    counted = ((name, *records.calls[name]) for name in SCENARIOS if name in records.calls)
    return [plan for name, verbs, events in counted for plan in plans_of(name, verbs, events)]


def _meant(plan: Plan, given: argparse.Namespace) -> bool:
    wanted = given.scenario is None or plan.scenario in given.scenario
    named = given.fault is None or any(part in str(plan.fault) for part in given.fault)
    return wanted and named and (given.index is None or plan.index in given.index)


def _line(result: Result) -> Line:
    plan, seconds = result.plan, round(result.seconds, 1)
    return Line(PART, str(plan), str(plan.fault), result.violations, result.fired, seconds)


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


def _table(records: Records, seconds: float) -> None:
    """Of all that the records have."""
    done = [line for line in records.last if line.part == PART]
    fired, faults = Counter[str](), Counter[str]()
    for line in done:
        faults[line.kind] += 1
        fired[line.kind] += line.came_to_pass
    for fault in sorted(faults):
        print(f"  {fault:40} {faults[fault]:5} plans, {fired[fault]:5} came to pass")
    wrong = sum(bool(line.violations) for line in done)
    slow = max((line.seconds for line in done), default=0.0)
    print(
        f"{len(done)} of {len(_every(records))} plans, {sum(fired.values())} came to pass, "
        f"{wrong} with a violation, {seconds:.0f} s, slowest {slow:.1f} s"
    )


if __name__ == "__main__":
    sys.exit(main())
