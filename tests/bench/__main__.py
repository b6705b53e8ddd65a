"""`make bench`: starts a cluster, measures, and prints a table. Nothing is asserted here."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.bench import in_place
from tests.harness import cluster as clusters
from tests.harness import images, kube, workbench_operator
from tests.harness.cluster import Kind
from tests.harness.setup import SetupError, say


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cluster", type=Kind, default=clusters.default_kind())
    parser.add_argument("--swaps", type=int, default=60, help="rollouts to measure")
    parser.add_argument("--pods", type=int, default=2, help="pods of the target")
    told = parser.parse_args()
    try:
        with (
            clusters.running(told.cluster, [images.base]) as cluster,
            tempfile.TemporaryDirectory() as folder,
            kube.namespace(cluster) as busy,
            kube.namespace(cluster) as quiet,
        ):
            home = Path(folder)
            cluster.apply_crds()
            kubeconfig = workbench_operator.install(cluster, home)
            operator = workbench_operator.Operator(kubeconfig, (busy,), home / "operator.log")
            operator.start()
            try:
                place = in_place.Place(cluster, operator, kubeconfig, busy, quiet)
                asyncio.run(in_place.measure(place, told.swaps, told.pods))
            finally:
                operator.close()
    except SetupError as error:
        say(f"bench: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
