"""`make bench`: starts a cluster, measures, and prints a table. Nothing is asserted here."""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import decide, engine, in_place, lists, many, report, rolling, runs, scale, soak
from tests.harness import cluster as clusters
from tests.harness import images, kube, workbench_operator
from tests.harness.cluster import Cluster, Kind
from tests.harness.setup import SetupError, say

_ETCD_BYTES = 8 * 2**30


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cluster", type=Kind, default=clusters.default_kind())
    parser.add_argument("--swaps", type=int, default=60, help="rollouts to measure")
    parser.add_argument("--turns", type=int, default=20, help="ways back by new pods to measure")
    parser.add_argument("--pods", type=int, default=2, help="pods of the target")
    parser.add_argument(
        "--runs", type=int, help="measure changes under so many runs of an engine instead"
    )
    parser.add_argument(
        "--engine",
        type=int,
        help="measure the reference runner against its engine, by so many runs",
    )
    parser.add_argument(
        "--scale", type=_sizes, metavar="N,N", help="Workflows at rest, on a control plane"
    )
    parser.add_argument(
        "--many", type=_sizes, metavar="N,N", help="Workflows patched together, there"
    )
    parser.add_argument(
        "--soak", type=float, metavar="SECONDS", help="one rollout a second for so long, there"
    )
    parser.add_argument(
        "--lists", action="store_true", help="measure what one list makes the next one wait, there"
    )
    parser.add_argument("--decide", action="store_true", help="measure `decide`, by its phases")
    parser.add_argument("--idle", type=float, default=120, help="seconds at rest, of --scale")
    parser.add_argument("--write", action="store_true", help="write the tables into the docs")
    told = parser.parse_args()
    try:
        if told.engine is not None:
            engine.measure(told.engine)
        elif told.scale is not None:
            _scale(told)
        elif told.many is not None:
            _many(told)
        elif told.soak is not None:
            _soak(told)
        elif told.lists:
            _lists()
        elif told.decide:
            _decide(told)
        else:
            _with_pods(told)
    except SetupError as error:
        say(f"bench: {error}")
        return 1
    return 0


def _sizes(text: str) -> list[int]:
    return sorted(int(word) for word in text.split(","))


def _scale(told: argparse.Namespace) -> None:
    with _plane(controllers=False) as (cluster, home, kubeconfig):
        found = report.started("scale", cluster)
        measured = scale.measure(cluster, kubeconfig, home, told.scale, told.idle, found)
        asyncio.run(measured)
        if told.write:
            found.write()


def _many(told: argparse.Namespace) -> None:
    with _plane(controllers=True) as (cluster, home, kubeconfig):
        found = report.started("many", cluster)
        place = many.Place(cluster.kubeconfig, kubeconfig, home)
        asyncio.run(many.measure(place, told.many, found))
        if told.write:
            found.write()


def _soak(told: argparse.Namespace) -> None:
    with _plane(controllers=True) as (cluster, home, kubeconfig):
        found = report.started("soak", cluster)
        place = many.Place(cluster.kubeconfig, kubeconfig, home)
        asyncio.run(soak.measure(place, told.soak, found))
        if told.write:
            found.write()


def _lists() -> None:
    with _plane(controllers=False) as (cluster, _, _):
        asyncio.run(lists.measure(cluster, report.started("lists", cluster)))


def _decide(told: argparse.Namespace) -> None:
    found = report.started("decide")
    decide.measure(found)
    if told.write:
        found.write()


@contextmanager
def _plane(*, controllers: bool) -> Iterator[tuple[Cluster, Path, Path]]:
    """A control plane of our own with the CRDs, a folder, and the operator's kubeconfig."""
    with (
        clusters.own_control_plane(controllers=controllers, most_bytes=_ETCD_BYTES) as cluster,
        tempfile.TemporaryDirectory() as folder,
    ):
        cluster.apply_crds()
        home = Path(folder)
        yield cluster, home, workbench_operator.install(cluster, home, duration="12h")


def _with_pods(told: argparse.Namespace) -> None:
    needed = [images.base] if told.runs is None else [images.base, images.runner]
    with (
        clusters.running(told.cluster, needed) as cluster,
        tempfile.TemporaryDirectory() as folder,
        kube.namespace(cluster) as busy,
        kube.namespace(cluster) as other,
    ):
        home = Path(folder)
        cluster.apply_crds()
        kubeconfig = workbench_operator.install(cluster, home)
        served = (busy,) if told.runs is None else (busy, other)
        operator = workbench_operator.Operator(kubeconfig, served, home / "operator.log")
        operator.start()
        try:
            if told.runs is None:
                place = in_place.Place(cluster, operator, kubeconfig, busy, other)
                found = report.started("pods", cluster)
                asyncio.run(in_place.measure(place, told.swaps, told.pods, found))
                asyncio.run(rolling.measure(place, told.turns, found))
                if told.write:
                    found.write()
            else:
                asyncio.run(runs.measure(cluster, operator, served, told.runs))
        finally:
            operator.close()


if __name__ == "__main__":
    sys.exit(main())
