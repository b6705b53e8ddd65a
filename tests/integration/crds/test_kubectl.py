"""What kubectl makes of the CRDs: columns, explanations, and names beside Argo Workflows."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness.cluster import Cluster
from tests.harness.direct import Direct
from tests.integration.crds.conftest import Create, PatchStatus, eventually
from tests.integration.crds.samples import ZEROS, full_revision, workflow
from tests.integration.crds.status import STATUS

from belay.api.crd.kinds import KINDS, Kind
from belay.shell.resources import Resource


def test_get_tells_the_story_in_one_line(
    cluster: Cluster, namespace: str, create: Create, patch_status: PatchStatus
) -> None:
    create(workflow("story", activeRevision="v3"))
    patch_status("story", STATUS.to_api())

    header, line = cluster.kubectl("get", "bwf", "story", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "DESIRED", "ACTIVE", "PHASE", "READY", "AGE"]
    assert line.split()[:5] == ["story", "v3", "v2", "Reverted", "False"]

    wide = cluster.kubectl("get", "bwf", "story", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split()[5:] == ["REASON", "STABLE", "AGE"]
    assert wide[1].split()[5:7] == ["CheckFailed", "v1"]


def test_get_shows_who_claims_to_have_made_a_revision(
    cluster: Cluster, namespace: str, create: Create
) -> None:
    spec = {**full_revision()["spec"], "workflowName": "shown"}
    create({**full_revision(), "metadata": {"name": "shown-v1"}, "spec": spec})

    header, line = cluster.kubectl("get", "bwr", "shown-v1", "-n", namespace).splitlines()

    assert header.split() == ["NAME", "WORKFLOW", "REVISION", "DIGEST", "CLAIMED-BY", "AGE"]
    assert line.split()[:5] == ["shown-v1", "shown", "v1", ZEROS, "mai"]


def object_paths(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Every level that `kubectl explain` has a page for."""
    inner = schema.get("items", schema)
    if "properties" in inner:
        yield path
        for name, field in inner["properties"].items():
            yield from object_paths(field, f"{path}.{name}")


PAGES = [
    page
    for kind in KINDS
    for version in kind.definition()["spec"]["versions"]
    for page in object_paths(version["schema"]["openAPIV3Schema"], kind.plural)
]


SAMPLE = 5
"""Pages that a run of `make test` has kubectl print."""


def undescribed(schema: dict[str, Any], path: str) -> Iterator[str]:
    """Fields without a description, at every depth."""
    if not schema.get("description"):
        yield path
    for name, field in schema.get("items", schema).get("properties", {}).items():
        yield from undescribed(field, f"{path}.{name}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_explain_reads_describes_every_field(api: Direct, crds: None, kind: Kind) -> None:
    def served() -> dict[str, Any]:
        schemas = api.read("/openapi/v3/apis/belay.dev/v1alpha1")["components"]["schemas"]
        return dict(schemas[f"dev.belay.v1alpha1.{kind.name}"])

    schema = eventually(served)

    ours = {k: v for k, v in schema["properties"].items() if k in ("spec", "status")}
    assert "spec" in ours
    assert list(undescribed({**schema, "properties": ours}, kind.plural)) == []


@pytest.fixture
def pages(seed: int, request: pytest.FixtureRequest) -> list[str]:
    """All pages in a full run, else some by the seed."""
    whole = request.config.getoption("--full")
    return PAGES if whole else random.Random(seed).sample(PAGES, SAMPLE)


def test_explain_describes_every_field(cluster: Cluster, crds: None, pages: list[str]) -> None:
    for page in pages:
        explain = ["explain", page, "--api-version=belay.dev/v1alpha1"]

        said = eventually(lambda explain=explain: cluster.kubectl(*explain))

        assert "DESCRIPTION:" in said, page
        assert "<no description>" not in said, page
        assert "<empty>" not in said, page


# As much of Argo Workflows as matters here: its group, and the names that it shares with ours.
ARGO = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: workflows.argoproj.io
spec:
  group: argoproj.io
  scope: Namespaced
  names: {kind: Workflow, plural: workflows, singular: workflow, shortNames: [wf]}
  versions:
  - name: v1alpha1
    served: true
    storage: true
    schema:
      openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
"""


@pytest.fixture
def argo(cluster: Cluster) -> Iterator[None]:
    if cluster.kubectl("get", "crd", "workflows.argoproj.io", "--ignore-not-found"):
        pytest.skip("Argo Workflows is installed here: its CRD is not ours to replace")
    cluster.apply(yaml.safe_load(ARGO))
    cluster.until_served(Resource("argoproj.io", "v1alpha1", "workflows", "Workflow"))
    yield
    cluster.kubectl("delete", "crd", "workflows.argoproj.io", "--wait=false")


def test_our_names_reach_ours_beside_argo_workflows(
    cluster: Cluster, namespace: str, create: Create, argo: None, tmp_path: Path
) -> None:
    create(workflow("ours"))
    theirs = {"apiVersion": "argoproj.io/v1alpha1", "kind": "Workflow"}
    eventually(
        lambda: cluster.kubectl(
            *["create", "-n", namespace, "-f", "-"],
            stdin=json.dumps({**theirs, "metadata": {"name": "theirs"}}),
        )
    )

    def names(resource: str) -> str:
        fresh = ["--cache-dir", str(tmp_path / resource), "-n", namespace, "-o", "name"]
        return cluster.kubectl("get", resource, *fresh)

    # The bare word means theirs: this is why all that we print says bwf or workflows.belay.dev.
    assert names("workflows") == "workflow.argoproj.io/theirs\n"
    assert names("wf") == "workflow.argoproj.io/theirs\n"
    for ours in ("bwf", "workflows.belay.dev", "workflow.belay.dev"):
        assert "workflow.belay.dev/ours\n" in names(ours)
        assert "theirs" not in names(ours)
