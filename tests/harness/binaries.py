"""The programs of Kubernetes and etcd: taken from KUBEBUILDER_ASSETS, or built once from source."""

import os
import re
import shutil
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from tests.harness.setup import SetupError, cache_home, run, say, step
from tests.harness.store import Store, content_key

MODULE = Path(__file__).parent / "tools"
CONTROL_PLANE = ("etcd", "kube-apiserver", "kubectl")
NODE = (*CONTROL_PLANE, "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")


def find(names: Sequence[str]) -> Path:
    """The folder that holds all of `names`; built first if need be (six minutes on two cores)."""
    given = os.environ.get("KUBEBUILDER_ASSETS")
    if given:
        lacking = [name for name in names if not os.access(Path(given) / name, os.X_OK)]
        if not lacking:
            return Path(given)
        say(f"  KUBEBUILDER_ASSETS={given} lacks {', '.join(lacking)}: building all of them")
    return _build(names)


def versions() -> dict[str, str]:
    """The pinned versions, by module: from go.mod, the one place that names them."""
    text = (MODULE / "go.mod").read_text()
    found = dict(re.findall(r"^\t(\S+) (v\S+)$", text, re.MULTILINE))
    return {"kubernetes": found["k8s.io/kubernetes"], "etcd": found["go.etcd.io/etcd/server/v3"]}


def _build(names: Sequence[str]) -> Path:
    go = shutil.which("go")
    if go is None:
        raise SetupError(
            "no Go toolchain to build Kubernetes with. Install Go 1.26 or newer, or set "
            f"KUBEBUILDER_ASSETS to a folder that holds {', '.join(names)}; or use a cluster that "
            "is there: CLUSTER=existing"
        )
    toolchain = run([go, "env", "GOVERSION", "GOARCH"], cwd=MODULE)
    key = content_key([MODULE / "go.mod", MODULE / "go.sum", toolchain])
    store = Store(cache_home() / f"binaries-{key}")
    missing = store.missing(names)
    began = time.monotonic()
    for place, name in enumerate(missing, 1):
        with step(f"building {name} ({place} of {len(missing)})"):
            store.get(name, partial(_compile, go, name))
    if missing:
        say(f"  built {len(missing)} programs in {time.monotonic() - began:.0f} s")
    return store.folder


def _compile(go: str, name: str, path: Path) -> None:
    kubernetes = versions()["kubernetes"]
    major, minor, _ = kubernetes.removeprefix("v").split(".")
    stamps = {"Version": kubernetes, "Major": major, "Minor": minor, "TreeState": "clean"}
    package = "go.etcd.io/etcd/server/v3" if name == "etcd" else f"k8s.io/kubernetes/cmd/{name}"
    flags = [f"-X k8s.io/component-base/version.git{key}={value}" for key, value in stamps.items()]
    run(
        [go, "build", "-trimpath", "-ldflags", " ".join(["-s", "-w", *flags]), "-o", path, package],
        cwd=MODULE,
        env={"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
    )
