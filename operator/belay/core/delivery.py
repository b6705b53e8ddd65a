"""What a delivery writes: the ConfigMap, our fields of the pod template, the preview pod."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from belay.api.names import (
    ANNOTATION_CONTENT_DIGEST,
    ANNOTATION_CURRENT,
    ANNOTATION_REVISION,
    API_VERSION,
    LABEL_PREVIEW,
    LABEL_WORKFLOW,
    POINTER_FILE,
    VOLUME,
)
from belay.api.revision import Binding
from belay.api.status import RevisionRef
from belay.core.keys import Key
from belay.core.workloads import PointerView, WorkloadView
from belay.core.workloads.pointer import File, pointed_file, pointer_name

Body = dict[str, Any]

_COMPACT: Final = json.JSONEncoder(separators=(",", ":"))
_CURRENT: Final = f"metadata.annotations['{ANNOTATION_CURRENT}']"
PREVIEW_GRACE: Final = 1
"""Seconds that a preview pod gets to end; nobody is served by it."""
_NOT_OF_A_PREVIEW: Final = ("topologySpreadConstraints", "nodeName", "hostname", "subdomain")
"""By the last two a headless Service would give the pod a name of the live ones."""
PREVIEW_EXTRA_SECONDS: Final = 60
"""How much longer than its deadline a preview pod may live if nobody cleans it up."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One content for the pods of one Workflow."""

    key: Key
    ref: RevisionRef
    first_name: str
    """Name under which this content came first; it stays in the template for ever."""
    mount_path: str

    @property
    def config_map(self) -> str:
        return config_map_name(self.key.name, self.ref.content_digest)

    @property
    def annotations(self) -> dict[str, str]:
        return {
            ANNOTATION_CURRENT: pointer(self.ref),
            ANNOTATION_CONTENT_DIGEST: self.ref.content_digest,
            ANNOTATION_REVISION: self.first_name,
        }

    @property
    def volume(self) -> Body:
        return {"name": VOLUME, "projected": {"sources": [_source(f) for f in self._projected()]}}

    @property
    def mount(self) -> Body:
        return {"name": VOLUME, "mountPath": self.mount_path, "readOnly": True}

    def arrived_at(self, workload: WorkloadView) -> bool:
        """Whether the workload carries exactly this content, by its template or its pointer."""
        carried = workload.carried
        return (
            carried is not None
            and carried.content_digest == self.ref.content_digest
            and carried.digest == self.ref.digest
            and carried.mounted
            and carried.sources == self._files(workload)
        )

    def _files(self, workload: WorkloadView) -> frozenset[File]:
        if workload.in_place:
            return frozenset({pointed_file(self.key.name, self.ref.format.file_name)})
        return frozenset(self._projected())

    def _projected(self) -> tuple[File, ...]:
        folder = f"revisions/{short(self.ref.content_digest)}"
        file_name = self.ref.format.file_name
        return (
            ("downwardAPI", "", _CURRENT, POINTER_FILE),
            ("configMap", self.config_map, file_name, f"{folder}/{file_name}"),
            *(_bound(b, f"{folder}/bindings/{b.name}") for b in self.ref.bindings),
        )


def short(digest: str) -> str:
    """First sixteen hexadecimal digits of a digest."""
    return digest.removeprefix("sha256:")[:16]


def config_map_name(workflow: str, content_digest: str) -> str:
    return f"{workflow}-{short(content_digest)}"


def pointer(ref: RevisionRef) -> str:
    """Content of current.json: {digest, contentDigest, file}."""
    fields = {
        "digest": ref.digest,
        "contentDigest": ref.content_digest,
        "file": ref.format.file_name,
    }
    return _COMPACT.encode(fields)


def config_map(delivery: Delivery, content: str, owners: list[WorkloadView]) -> Body:
    """The immutable ConfigMap of one content, whole: an apply takes away what it leaves out."""
    body = _delivered(delivery.config_map, delivery, owners)
    return {**body, "immutable": True, "data": {delivery.ref.format.file_name: content}}


def pointer_map(
    delivery: Delivery, content: str, owners: list[WorkloadView], there: PointerView | None
) -> Body:
    """The ConfigMap that workloads updated in place watch: pointer and definition in one write."""
    body = _delivered(pointer_name(delivery.key.name), delivery, owners)
    if there is not None:
        body["metadata"] |= {"uid": there.uid, "resourceVersion": there.version}
    data = {POINTER_FILE: pointer(delivery.ref), delivery.ref.format.file_name: content}
    return {**body, "data": data}


def _delivered(name: str, delivery: Delivery, owners: list[WorkloadView]) -> Body:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": delivery.key.namespace,
            "labels": {LABEL_WORKFLOW: delivery.key.name},
            "annotations": {
                ANNOTATION_CONTENT_DIGEST: delivery.ref.content_digest,
                ANNOTATION_REVISION: delivery.first_name,
            },
            "ownerReferences": [_owner_reference(w) for w in owners if w.found],
        },
    }


def template_patch(workload: WorkloadView, delivery: Delivery) -> Body:
    """Our fields of the workload, for server-side apply: volume, mount, annotations, no more."""
    body = withdrawal(workload, delivery.key.namespace)
    body["spec"] = {
        "template": {
            "metadata": {"annotations": delivery.annotations},
            "spec": {
                "volumes": [delivery.volume],
                "containers": [{"name": workload.container, "volumeMounts": [delivery.mount]}],
            },
        }
    }
    return body


def is_copied(workload: WorkloadView) -> bool:
    """Whether our fields were last written by a hand that declares nothing.

    `kubectl rollout undo` and a restore copy a whole template, and own all of it by that. Nobody
    means these fields to stay as they are, so they are taken back; those that an applier declares
    are never.
    """
    if workload.raw is None or workload.carried is None:
        return False
    return any(
        f"f:{ANNOTATION_CURRENT}" in _owned_annotations(e)
        for e in workload.raw["metadata"].get("managedFields") or []
        if e.get("operation") == "Update"
    )


def _owned_annotations(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = entry.get("fieldsV1") or {}
    for name in ("f:spec", "f:template", "f:metadata", "f:annotations"):
        fields = fields.get(name) or {}
    return fields


def withdrawal(workload: WorkloadView, namespace: str) -> Body:
    """None of our fields: applied, it gives the workload its own template back.

    Of the very version that was read, so that a write that comes late, of a leader that leads no
    more, changes nothing.
    """
    assert workload.raw is not None  # noqa: S101
    metadata = {
        "name": workload.name,
        "namespace": namespace,
        "uid": workload.uid,
        "resourceVersion": workload.raw["metadata"]["resourceVersion"],
    }
    return {
        "apiVersion": workload.kind.api_version,
        "kind": workload.kind.kind,
        "metadata": metadata,
    }


def owned_by_workflow(name: str, uid: str) -> Body:
    """An owner reference, so that what is made for a Workflow goes with it."""
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "name": name,
        "uid": uid,
        "controller": False,
        "blockOwnerDeletion": False,
    }


def preview_name(workflow: str, rollout: str) -> str:
    return f"{workflow}-preview-{rollout}"


def preview_pod(
    workload: WorkloadView, delivery: Delivery, workflow_uid: str, rollout: str, seconds: float
) -> Body:
    """One pod of the workload's template with the new content, that nothing selects."""
    assert workload.raw is not None  # noqa: S101
    template = workload.kind.template(workload.raw)
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": preview_name(delivery.key.name, rollout),
            "namespace": delivery.key.namespace,
            "labels": {LABEL_PREVIEW: rollout},
            "annotations": {**annotations, **delivery.annotations},
            "ownerReferences": [owned_by_workflow(delivery.key.name, workflow_uid)],
        },
        "spec": _preview_spec(template["spec"], workload.container, delivery, seconds),
    }


def _preview_spec(
    spec: Mapping[str, Any], container: str | None, delivery: Delivery, seconds: float
) -> Body:
    copied = {k: v for k, v in spec.items() if k not in _NOT_OF_A_PREVIEW}
    affinity = {k: v for k, v in (spec.get("affinity") or {}).items() if k != "podAntiAffinity"}
    copied["affinity"] = affinity or None
    volumes = [v for v in spec.get("volumes") or [] if v["name"] != VOLUME]
    copied["volumes"] = [*volumes, delivery.volume]
    copied["containers"] = [
        _preview_container(c, delivery if c["name"] == container else None)
        for c in spec["containers"]
    ]
    before = [_preview_container(c, None) for c in spec.get("initContainers") or []]
    copied["initContainers"] = before or None
    copied["activeDeadlineSeconds"] = int(seconds) + PREVIEW_EXTRA_SECONDS
    copied["terminationGracePeriodSeconds"] = PREVIEW_GRACE
    return {k: v for k, v in copied.items() if v is not None}


def _preview_container(container: Mapping[str, Any], delivery: Delivery | None) -> Body:
    ports = [{k: v for k, v in p.items() if k != "hostPort"} for p in container.get("ports") or []]
    env = [e for e in container.get("env") or [] if e["name"] != "BELAY_PREVIEW"]
    mounts = [m for m in container.get("volumeMounts") or [] if m["name"] != VOLUME]
    if delivery is not None:
        mounts.append(delivery.mount)
    changed = {"ports": ports, "env": [*env, {"name": "BELAY_PREVIEW", "value": "1"}]}
    # Nobody is served by it, and the API server refuses a sleep that is longer than its grace.
    lifecycle = {k: v for k, v in (container.get("lifecycle") or {}).items() if k != "preStop"}
    kept = {k: v for k, v in container.items() if k != "lifecycle"}
    ending = {"lifecycle": lifecycle} if lifecycle else {}
    return {**kept, **ending, **changed, "volumeMounts": mounts}


def _bound(binding: Binding, path: str) -> File:
    secret, plain = binding.secret_key_ref, binding.config_map_key_ref
    if secret is not None:
        return "secret", secret.name, secret.key, path
    assert plain is not None  # noqa: S101
    return "configMap", plain.name, plain.key, path


def _source(file: File) -> Body:
    kind, name, key, path = file
    if kind == "downwardAPI":
        return {kind: {"items": [{"path": path, "fieldRef": {"fieldPath": key}}]}}
    return {kind: {"name": name, "items": [{"key": key, "path": path}]}}


def _owner_reference(workload: WorkloadView) -> Body:
    return {
        "apiVersion": workload.kind.api_version,
        "kind": workload.kind.kind,
        "name": workload.name,
        "uid": workload.uid,
    }
