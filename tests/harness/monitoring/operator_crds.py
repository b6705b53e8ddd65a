"""The CRDs of the Prometheus operator, from its Go module.

Nothing of it is kept here but its version, in `prometheus-operator/go.mod`.
"""

import json
import shutil
from functools import cache
from pathlib import Path

from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError, run

from belay.shell.resources import Resource

_MODULE = Path(__file__).parent / "prometheus-operator"
_GROUP = "monitoring.coreos.com"
_KINDS = ("servicemonitors", "prometheusrules")


def install(cluster: Cluster) -> None:
    """Those that deploy/monitoring uses. Raises `SetupError` where they cannot be had."""
    for plural in _KINDS:
        file = _source() / f"example/prometheus-operator-crd/{_GROUP}_{plural}.yaml"
        cluster.kubectl("apply", "--server-side", "-f", str(file))
    cluster.until_served(*(Resource(_GROUP, "v1", plural, "") for plural in _KINDS))


@cache
def _source() -> Path:
    """The module in Go's own cache, verified by `go.sum`."""
    go = shutil.which("go")
    if go is None:
        raise SetupError("no Go toolchain to download the Prometheus operator's module with")
    return Path(json.loads(run([go, "mod", "download", "-json"], cwd=_MODULE))["Dir"])
