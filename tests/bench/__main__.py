"""`make bench`: starts a cluster, measures, and prints a table. Nothing is asserted here."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.bench import engine, in_place, runs
from tests.harness import cluster as clusters
from tests.harness import images, kube, workbench_operator
from tests.harness.cluster import Kind
from tests.harness.setup import SetupError, say


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cluster", type=Kind, default=clusters.default_kind())
    parser.add_argument("--swaps", type=int, default=60, help="rollouts to measure")
    parser.add_argument("--pods", type=int, default=2, help="pods of the target")
    parser.add_argument(
        "--runs", type=int, help="measure changes under so many runs of an engine instead"
    )
    parser.add_argument(
        "--engine",
        type=int,
        help="measure the reference runner against its engine, by so many runs",
    )
    told = parser.parse_args()
    needed = [images.base] if told.runs is None else [images.base, images.runner]
    try:
        if told.engine is not None:
            engine.measure(told.engine)
            return 0
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
                    asyncio.run(in_place.measure(place, told.swaps, told.pods))
                else:
                    asyncio.run(runs.measure(cluster, operator, served, told.runs))
            finally:
                operator.close()
    except SetupError as error:
        say(f"bench: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
