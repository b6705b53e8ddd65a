"""The CRDs of Flux that deploy/flux uses, from the Go modules of its controllers.

Nothing of them is kept here but their versions, in `flux/go.mod`.
"""

import json
import shutil
from pathlib import Path

from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError, run

from belay.shell.resources import Resource

_MODULE = Path(__file__).parent / "flux"
_CRDS = {
    "github.com/fluxcd/kustomize-controller": ("kustomize.toolkit.fluxcd.io", "kustomizations"),
    "github.com/fluxcd/source-controller": ("source.toolkit.fluxcd.io", "gitrepositories"),
}


def install(cluster: Cluster) -> None:
    """Raises `SetupError` where they cannot be had."""
    go = shutil.which("go")
    if go is None:
        raise SetupError("no Go toolchain to download Flux's modules with")
    for module, (group, plural) in _CRDS.items():
        told = json.loads(run([go, "mod", "download", "-json", module], cwd=_MODULE))
        file = Path(told["Dir"]) / f"config/crd/bases/{group}_{plural}.yaml"
        cluster.kubectl("apply", "--server-side", "-f", str(file))
        cluster.until_served(Resource(group, "v1", plural, ""))
