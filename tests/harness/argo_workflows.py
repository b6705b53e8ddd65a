"""The real CRDs of Argo Workflows, from its Go module; nothing of them is kept here."""

import json
import shutil
from pathlib import Path

from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError, run

from belay.shell.resources import Resource

MODULE = Path(__file__).parent / "argo-workflows"
_NAME = "github.com/argoproj/argo-workflows/v3"
WORKFLOWS = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow")
CRON_WORKFLOWS = Resource("argoproj.io", "v1alpha1", "cronworkflows", "CronWorkflow")


def crds() -> Path:
    """The folder of its CRDs with their whole schemas, verified by `go.sum`."""
    go = shutil.which("go")
    if go is None:
        raise SetupError("no Go toolchain to fetch Argo Workflows with: install Go 1.26 or newer")
    told = json.loads(run([go, "mod", "download", "-json", _NAME], cwd=MODULE))
    return Path(told["Dir"]) / "manifests/base/crds/full"


def install(cluster: Cluster, folder: Path) -> None:
    """Both kinds that run: the others have no instances."""
    for kind in (WORKFLOWS, CRON_WORKFLOWS):
        file = folder / f"argoproj.io_{kind.plural}.yaml"
        cluster.kubectl("apply", "--server-side", "-f", str(file))
    cluster.until_served(WORKFLOWS, CRON_WORKFLOWS)
