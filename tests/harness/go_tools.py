"""Programs from their Go modules, built once, with the versions that they were released with.

Nothing of them is kept here but their versions, in `<name>/go.mod`.
"""

import json
import shutil
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from tests.harness import binaries
from tests.harness.setup import SetupError, cache_home, run, step
from tests.harness.store import Store, content_key


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: the folder of its go.mod, its module, and the package in it."""

    name: str
    module: str
    package: str


HELM = Tool("helm", "helm.sh/helm/v3", "./cmd/helm")
ARGO_CD = Tool("argo-cd", "github.com/argoproj/argo-cd/v3", "./cmd")
KUBE_SCORE = Tool("kube-score", "github.com/zegl/kube-score", "./cmd/kube-score")


@cache
def program(tool: Tool) -> Path:
    """The program; built first if need be (minutes on two cores)."""
    go, folder = _go(tool), Path(__file__).parent / tool.name
    toolchain = run([go, "env", "GOVERSION", "GOARCH"], cwd=folder)
    key = content_key([folder / "go.mod", folder / "go.sum", toolchain, *_stamps(tool)])
    store = Store(cache_home() / f"{tool.name}-{key}")
    if not store.missing([tool.name]):
        return store.folder / tool.name
    with step(f"building {tool.name}"):
        return store.get(tool.name, partial(_compile, tool, go))


@cache
def source(tool: Tool) -> Path:
    """The module in Go's own cache, verified by `go.sum`."""
    folder = Path(__file__).parent / tool.name
    told = json.loads(run([_go(tool), "mod", "download", "-json", tool.module], cwd=folder))
    return Path(told["Dir"])


def _compile(tool: Tool, go: str, path: Path) -> None:
    flags = " ".join(["-s", "-w", *_stamps(tool)])
    run(
        [go, "build", "-trimpath", "-ldflags", flags, "-o", path, tool.package],
        cwd=source(tool),
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
    )


def _stamps(tool: Tool) -> list[str]:
    """Helm renders charts for the Kubernetes that it was told here, where it sees no cluster."""
    if tool is not HELM:
        return []
    major, minor, _ = binaries.versions()["kubernetes"].removeprefix("v").split(".")
    parts = {"Major": major, "Minor": minor}
    where = (f"{HELM.module}/pkg/chartutil", f"{HELM.module}/pkg/lint/rules")
    return [f"-X {each}.k8sVersion{part}={to}" for each in where for part, to in parts.items()]


def _go(tool: Tool) -> str:
    go = shutil.which("go")
    if go is None:
        raise SetupError(f"no Go toolchain to build {tool.name} with: install Go 1.26 or newer")
    return go
