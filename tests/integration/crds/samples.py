"""Objects that are right, for tests to make wrong in one place."""

import base64
import gzip
from typing import Any

ZEROS = f"sha256:{'0' * 64}"
ONES = f"sha256:{'1' * 64}"


def workflow(name: str = "triage", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "Workflow",
        "metadata": {"name": name},
        "spec": {
            "activeRevision": "v1",
            "target": {"workloads": [{"kind": "Deployment", "name": "triage"}]},
            **spec,
        },
    }


def check(name: str = "answers", **fields: Any) -> dict[str, Any]:
    return {"name": name, "http": {"port": 8080}, **fields}


def verified_by(*checks: dict[str, Any]) -> dict[str, Any]:
    """A Workflow with these checks."""
    return workflow(verification={"checks": list(checks)})


def asking(**http: Any) -> dict[str, Any]:
    """A Workflow with one check that asks this."""
    return verified_by(check(http={"port": 8080, **http}))


def target(**fields: Any) -> dict[str, Any]:
    return {"workloads": [{"kind": "Deployment", "name": "triage"}], **fields}


def revision(name: str = "triage-v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "belay.dev/v1alpha1",
        "kind": "WorkflowRevision",
        "metadata": {"name": name},
        "spec": {
            "workflowName": "triage",
            "revision": "v1",
            "definition": "{}",
            "format": "JSON",
            "mediaType": "application/json",
            "digest": ZEROS,
            "contentDigest": ONES,
            **spec,
        },
    }


def full_revision() -> dict[str, Any]:
    """A revision in which every field is set, and none to its default."""
    return revision(
        definition=base64.b64encode(gzip.compress(b"{}", mtime=0)).decode(),
        encoding="Gzip",
        bindings=[
            {"name": "CRM_KEY", "secretKeyRef": {"name": "triage", "key": "crm"}},
            {"name": "region", "configMapKeyRef": {"name": "triage", "key": "region"}},
        ],
        author="mai",
        message="shorter prompt",
        source={"file": "triage.yml", "git": {"commit": "0123abc", "dirty": True}},
    )
