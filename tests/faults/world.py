"""`make world`: leaders that are lost in every phase, and a world that breaks."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import median
from typing import TypeVar

from tests.faults.neighbours import beside_poison
from tests.faults.outages import Outage, World
from tests.faults.records import Line, Records
from tests.faults.replicas import Handover, How, Shift, hand_over, late_writes, shifts
from tests.faults.rounds import Verdict, play, spots
from tests.faults.runner import Runner, runner
from tests.faults.scenarios import SCENARIOS
from tests.harness.cluster import Cluster, Kind, running

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Gives 1 where a violation was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.world", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--handovers", type=int, help="at most, chosen by the seed; else all")
    parser.add_argument("--outages", type=int, help="at most, chosen by the seed; else all")
    parser.add_argument("--spots", type=int, help="in each outage, chosen by the seed; else all")
    parser.add_argument("--poison", type=int, default=1000, help="hostile Workflows to store")
    parser.add_argument("--scenarios", type=int, help="at most, chosen by the seed; else all")
    parser.add_argument("--scenario", choices=SCENARIOS, action="append")
    parser.add_argument("--only", help="a part of the name of what is played")
    parser.add_argument("--at-once", type=int, default=10)
    parser.add_argument("--logs", action="store_true", help="show what operators said")
    parser.add_argument("--results", type=Path, help="go on from this file, and add to it")
    given = parser.parse_args(arguments)
    return visit(given, Records(given.results))


def visit(given: argparse.Namespace, records: Records) -> int:
    """What the records do not have yet; gives 1 where a violation was found."""
    with (
        running(Kind.CONTROL_PLANE) as cluster,
        tempfile.TemporaryDirectory(prefix="belay-world-") as folder,
    ):
        cluster.apply_crds()
        return asyncio.run(_main(given, records, cluster, Path(folder)))


async def _main(given: argparse.Namespace, records: Records, cluster: Cluster, folder: Path) -> int:
    async with runner(cluster, folder) as playing:
        names = given.scenario or list(SCENARIOS)
        names = Random(f"{given.seed}-scenarios").sample(names, given.scenarios or len(names))
        for result in await playing.measure(names):
            if result.violations:
                print(f"VIOLATION {result.plan}: {result.violations}")
                return 1
        wrong = await _lose_leaders(playing, given, records, cluster)
        if "poison" not in records.done("poison"):
            wrong += await _poison(playing, given, records)
        wrong += await _break(
            playing, given, records, World(cluster, playing.api, folder / "clock")
        )
    return 1 if wrong else 0


async def _lose_leaders(
    playing: Runner, given: argparse.Namespace, records: Records, cluster: Cluster
) -> int:
    """Every way in every phase; gives how many are wrong."""
    before = records.done("handover")
    meant = [s for s in shifts(playing.bases) if given.only is None or given.only in str(s)]
    Random(f"{given.seed}-shifts").shuffle(meant)
    chosen = [s for s in meant[: given.handovers] if str(s) not in before]
    done = await _hand_over(playing, chosen, given.at_once)
    audit = cluster.audit()
    assert audit is not None
    late = {one.namespace: "" for one in done}
    for namespace, entry in late_writes(audit, list(late)):
        late[namespace] = f"written after another led: {entry}"
    done = [
        replace(d, violations=(*d.violations, late[d.namespace])) if late[d.namespace] else d
        for d in done
    ]
    for one in done:
        took = one.led or 0.0
        records.add(Line("handover", str(one.shift), one.shift.how, one.violations, seconds=took))
    return _report(done, logs=given.logs)


async def _poison(playing: Runner, given: argparse.Namespace, records: Records) -> int:
    """Gives 1 where something is wrong."""
    beside = await beside_poison(playing, given.seed, given.poison)
    print(f"{beside.stored} hostile Workflows: {dict(beside.ends)}")
    print(f"beside them a promotion in {beside.seconds:.2f} s", flush=True)
    for violation in beside.violations:
        print(f"VIOLATION beside poison: {violation}")
    kind = f"{beside.stored} hostile Workflows, stored beside a promotion"
    records.add(Line("poison", "poison", kind, beside.violations, seconds=beside.seconds))
    return int(bool(beside.violations))


async def _break(playing: Runner, given: argparse.Namespace, records: Records, world: World) -> int:
    """Every outage, for some rollouts at a time; gives how many are wrong."""
    random = Random(f"{given.seed}-outages")
    outages = [o for o in Outage if given.only is None or given.only in o]
    random.shuffle(outages)
    before = records.done("outage")
    wrong = count = 0
    for outage in outages[: given.outages]:
        every = spots(playing.bases)
        meant = random.sample(every, min(given.spots or len(every), len(every)))
        chosen = [spot for spot in meant if f"{outage}, {spot}" not in before]
        for few in batched(chosen, given.at_once):
            for verdict in await play(playing, world, outage, few, given.seed):
                _pronounce(verdict, records, logs=given.logs)
                count += verdict.came_to_pass
                wrong += bool(verdict.violations)
    print(f"{count} rollouts met an outage, {wrong} with a violation")
    return wrong


def _pronounce(verdict: Verdict, records: Records, *, logs: bool) -> None:
    told = verdict.end if verdict.came_to_pass else "was not there in time"
    print(f"{verdict}: {told}, {verdict.seconds:.1f} s", flush=True)
    for violation in verdict.violations:
        print(f"VIOLATION {verdict}: {violation}", flush=True)
    if verdict.violations and logs:
        print(verdict.log, flush=True)
    records.add(
        Line(
            "outage",
            str(verdict),
            verdict.outage,
            verdict.violations,
            verdict.came_to_pass,
            round(verdict.seconds, 1),
        )
    )


def batched(spots: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(spots), size):
        yield spots[start : start + size]


async def _hand_over(playing: Runner, chosen: Iterable[Shift], at_once: int) -> list[Handover]:
    waiting = iter(chosen)
    done: list[Handover] = []

    async def lane() -> None:
        for shift in waiting:
            done.append(await hand_over(playing, shift))
            _tell(done[-1])

    async with asyncio.TaskGroup() as lanes:
        for _ in range(at_once):
            lanes.create_task(lane())
    return done


def _tell(one: Handover) -> None:
    times = f"lease after {one.led:.2f} s" if one.led is not None else "no handover"
    if one.wrote is not None:
        times += f", first write after {one.wrote:.2f} s"
    print(f"{one.shift}: {times}", flush=True)
    for violation in one.violations:
        print(f"VIOLATION {one.shift}: {violation}", flush=True)


def _report(done: Sequence[Handover], *, logs: bool) -> int:
    """Gives how many are wrong."""
    for one in done:
        if one.violations and logs:
            print(one.log)
    for how in How:
        led = [one.led for one in done if one.shift.how is how and one.led is not None]
        if led:
            print(
                f"{how}: {len(led)} times, lease after {median(led):.2f} s, at most {max(led):.2f}"
            )
    wrong = sum(bool(one.violations) for one in done)
    print(f"{len(done)} handovers, {wrong} with a violation")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
