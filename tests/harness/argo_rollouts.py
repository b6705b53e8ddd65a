"""Argo Rollouts from its Go module: the real CRDs and the real controller, built once.

Nothing of it is kept here but its version, in `argo/go.mod`. It is built in its own module, with
the versions that it was released with.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

from tests.harness import network
from tests.harness.cluster import Cluster
from tests.harness.processes import Processes
from tests.harness.readiness import answers
from tests.harness.setup import SetupError, cache_home, run, step
from tests.harness.store import Store, content_key

from belay.shell.resources import Resource

MODULE = Path(__file__).parent / "argo"
_NAME = "github.com/argoproj/argo-rollouts"
_PROGRAM = "rollouts-controller"
_CRDS = ("rollouts", "analysisruns", "analysistemplates", "clusteranalysistemplates", "experiments")


def controller() -> Path:
    """The controller's program; built first if need be (some minutes on two cores)."""
    source, go = _source(), _go()
    toolchain = run([go, "env", "GOVERSION", "GOARCH"], cwd=MODULE)
    key = content_key([MODULE / "go.mod", MODULE / "go.sum", toolchain])
    store = Store(cache_home() / f"argo-{key}")
    if not store.missing([_PROGRAM]):
        return store.folder / _PROGRAM
    with step(f"building the Argo Rollouts controller {source.name.rpartition('@')[2]}"):
        return store.get(_PROGRAM, partial(_compile, go, source))


def crds() -> Path:
    """The folder of its CRDs."""
    return _source() / "manifests/crds"


def install_crds(cluster: Cluster) -> None:
    """Its CRDs, all of them: the controller waits for each."""
    cluster.kubectl("apply", "--server-side", "-k", str(crds()))
    kinds = (Resource("argoproj.io", "v1alpha1", plural, "") for plural in _CRDS)
    cluster.until_served(*kinds)


@contextmanager
def running(program: Path, cluster: Cluster, namespace: str, folder: Path) -> Iterator[None]:
    """`program` at work in one namespace, beside the cluster, as the administrator."""
    metrics, health = network.free_ports(2)
    processes = Processes(folder / "argo", owned=True)
    scope = ["--kubeconfig", cluster.kubeconfig, "--namespaced", "--namespace", namespace]
    ports = [f"--metricsPort={metrics}", f"--healthzPort={health}", "--leader-elect=false"]
    processes.start(_PROGRAM, [program, *map(str, scope), *ports])
    try:
        healthy = partial(answers, f"http://127.0.0.1:{health}/healthz")
        processes.await_("health", _PROGRAM, healthy)
        yield
    finally:
        processes.stop()


@cache
def _source() -> Path:
    """The module in Go's own cache, verified by `go.sum`."""
    told = json.loads(run([_go(), "mod", "download", "-json", _NAME], cwd=MODULE))
    return Path(told["Dir"])


def _go() -> str:
    go = shutil.which("go")
    if go is None:
        raise SetupError("no Go toolchain to build Argo Rollouts with: install Go 1.26 or newer")
    return go


def _compile(go: str, source: Path, path: Path) -> None:
    run(
        [go, "build", "-trimpath", "-ldflags", "-s -w", "-o", path, f"./cmd/{_PROGRAM}"],
        cwd=source,
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
    )
