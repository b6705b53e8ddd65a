"""deploy/overlays: one revision in three environments, as kustomize builds them."""

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness.cluster import Cluster
from tests.harness.score import score
from tests.harness.setup import ROOT
from tests.samples import TRIAGE

from belay.api.revision import Format, WorkflowRevisionSpec
from belay.core.revisions.read import parse
from belay.core.revisions.revision import Draft, build

Objects = list[dict[str, Any]]
ENVIRONMENTS = ("dev", "staging", "prod")
REVISIONS = ROOT / "deploy/components/triage-revisions"


def built(cluster: Cluster, folder: Path) -> Objects:
    return list(yaml.safe_load_all(cluster.kubectl("kustomize", str(folder))))


@pytest.fixture(scope="module")
def overlays(cluster: Cluster) -> dict[str, Objects]:
    return {name: built(cluster, ROOT / "deploy/overlays" / name) for name in ENVIRONMENTS}


def of_kind(objects: Objects, kind: str) -> Objects:
    return [each for each in objects if each["kind"] == kind]


def test_all_environments_have_the_same_revisions(overlays: dict[str, Objects]) -> None:
    specs = {
        name: [each["spec"] for each in of_kind(objects, "WorkflowRevision")]
        for name, objects in overlays.items()
    }
    assert specs["dev"] == specs["staging"] == specs["prod"] != []


def test_an_overlay_says_which_of_them_is_active(overlays: dict[str, Objects]) -> None:
    wished = {}
    for name, objects in overlays.items():
        (workflow,) = of_kind(objects, "Workflow")
        wished[name] = workflow["spec"]["activeRevision"]
        there = {each["spec"]["revision"] for each in of_kind(objects, "WorkflowRevision")}
        assert wished[name] in there
    assert wished == {"dev": "v2", "staging": "v2", "prod": "v1"}


def test_nothing_comes_after_the_workflow(overlays: dict[str, Objects]) -> None:
    def wave(obj: dict[str, Any]) -> int:
        annotations = obj["metadata"].get("annotations") or {}
        return int(annotations.get("argocd.argoproj.io/sync-wave", "0"))

    for objects in overlays.values():
        assert [each["kind"] for each in objects if wave(each) >= 1] == ["Workflow"]
        first = {each["kind"] for each in objects if wave(each) < 0}
        assert first == {"WorkflowRevision"}


def test_the_targets_keep_their_consent(overlays: dict[str, Objects]) -> None:
    for objects in overlays.values():
        consents = {
            each["metadata"]["name"]: each["metadata"].get("annotations", {})
            for each in of_kind(objects, "Deployment")
        }
        assert consents["triage"]["belay.dev/workflow"] == "triage"


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_an_overlay_has_no_finding(overlays: dict[str, Objects], name: str) -> None:
    assert not score(overlays[name])


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_the_api_server_takes_an_overlay(
    cluster: Cluster, namespace: str, name: str, tmp_path: Path
) -> None:
    overlay = os.path.relpath(ROOT / "deploy/overlays" / name, tmp_path)
    again = {"namespace": namespace, "resources": [overlay]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(again))
    cluster.kubectl("apply", "--server-side", "--dry-run=server", "-k", str(tmp_path))


@pytest.mark.parametrize("name", ["v1", "v2"])
def test_a_shared_revision_is_what_belay_snapshot_makes_of_the_sample(name: str) -> None:
    body = yaml.safe_load((REVISIONS / f"triage-{name}.yaml").read_text())
    document = parse((TRIAGE / f"{name}.yml").read_bytes(), Format.DIFY)
    draft = Draft(workflow="triage", revision=name, form=Format.DIFY, document=document)
    made, kept = build(draft), WorkflowRevisionSpec.model_validate(body["spec"])
    assert (kept.digest, kept.content_digest) == (made.digest, made.content_digest)
    assert kept.definition == made.definition
