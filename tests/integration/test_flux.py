"""deploy/flux: what Flux's own CRDs make of the samples."""

import json
from typing import Any

import pytest
import yaml
from tests.conftest import Once
from tests.harness import flux_crds
from tests.harness.cluster import Cluster, Kind
from tests.harness.setup import ROOT, SetupError

from belay.api.names import API_VERSION

SAMPLES = list(yaml.safe_load_all((ROOT / "deploy/flux/triage.yaml").read_text()))


def sample(kind: str) -> Any:
    (found,) = [each for each in SAMPLES if each["kind"] == kind]
    return found


def test_the_api_server_takes_the_samples_with_the_crds_of_flux(
    cluster: Cluster, once: Once, namespace: str
) -> None:
    """Strictly: a field that Flux does not know is an error, too."""
    if cluster.kind is Kind.EXISTING:
        pytest.skip("would put Flux's CRDs onto a cluster that is somebody's own")
    try:
        once("flux-crds", lambda _: flux_crds.install(cluster))
    except SetupError as error:
        pytest.skip(f"needs the CRDs of Flux: {error}")
    for each in SAMPLES:
        moved = {**each, "metadata": {**each["metadata"], "namespace": namespace}}
        cluster.kubectl(
            "create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=json.dumps(moved)
        )


def test_flux_waits_for_the_workflow_of_the_overlay_that_it_applies(cluster: Cluster) -> None:
    kustomization = sample("Kustomization")["spec"]
    assert kustomization["sourceRef"]["name"] == sample("GitRepository")["metadata"]["name"]
    overlay = cluster.kubectl("kustomize", str(ROOT / kustomization["path"]))
    (workflow,) = [each for each in yaml.safe_load_all(overlay) if each["kind"] == "Workflow"]
    about = {key: workflow["metadata"][key] for key in ("name", "namespace")}
    awaited = {"apiVersion": API_VERSION, "kind": "Workflow", **about}
    assert kustomization["healthChecks"] == [awaited]
