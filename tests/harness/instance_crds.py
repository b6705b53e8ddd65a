"""The real CRDs of kinds of running instances, from Go modules; nothing of them is kept here."""

import json
import shutil
from pathlib import Path
from typing import Final

from tests.harness.cluster import Cluster
from tests.harness.setup import SetupError, run

from belay.shell.resources import Resource

MODULE = Path(__file__).parent / "instance-kinds"
WORKFLOWS = Resource("argoproj.io", "v1alpha1", "workflows", "Workflow")
CRON_WORKFLOWS = Resource("argoproj.io", "v1alpha1", "cronworkflows", "CronWorkflow")
JOB_SETS = Resource("jobset.x-k8s.io", "v1alpha2", "jobsets", "JobSet")
WORKLOADS = Resource("kueue.x-k8s.io", "v1beta1", "workloads", "Workload")
RAY_JOBS = Resource("ray.io", "v1", "rayjobs", "RayJob")
TRAIN_JOBS = Resource("trainer.kubeflow.org", "v1alpha1", "trainjobs", "TrainJob")
_SOURCES: Final = {
    "argoproj.io": ("github.com/argoproj/argo-workflows/v3", "manifests/base/crds/full"),
    "jobset.x-k8s.io": ("sigs.k8s.io/jobset", "config/components/crd/bases"),
    "kueue.x-k8s.io": ("sigs.k8s.io/kueue", "config/components/crd/bases"),
    "ray.io": ("github.com/ray-project/kuberay/ray-operator", "config/crd/bases"),
    "trainer.kubeflow.org": ("github.com/kubeflow/trainer/v2", "manifests/base/crds"),
}
"""By group: the module, and where its CRDs are in it."""


def crd(kind: Resource) -> Path:
    """The file of its CRD with the whole schema, verified by `go.sum`."""
    go = shutil.which("go")
    if go is None:
        raise SetupError(f"no Go toolchain to fetch {kind.group} with: install Go 1.26 or newer")
    module, folder = _SOURCES[kind.group]
    told = json.loads(run([go, "mod", "download", "-json", module], cwd=MODULE))
    return Path(told["Dir"]) / folder / f"{kind.group}_{kind.plural}.yaml"


def install(cluster: Cluster, *kinds: Resource) -> None:
    for kind in kinds:
        cluster.kubectl("apply", "--server-side", "-f", str(crd(kind)))
    cluster.until_served(*kinds)
