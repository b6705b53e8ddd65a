"""The ConfigMap `<workflow>-current`, and what workloads that watch it carry."""

import hashlib
import json
from dataclasses import replace

from belay.api.names import (
    ANNOTATION_REVISION,
    LABEL_WORKFLOW,
    POINTER_FILE,
    POINTER_SUFFIX,
)
from belay.api.reports import Reports
from belay.core.workloads.base import Carried, PointerView, WorkloadView
from belay.core.workloads.raw import Raw, foreign_entries, last_manager

File = tuple[str, str, str, str]
"""(kind, object, key, path), as in a projected volume."""


def pointer_name(workflow: str) -> str:
    return f"{workflow}{POINTER_SUFFIX}"


def pointed_file(workflow: str, file: str) -> File:
    """The definition in the ConfigMap, beside current.json."""
    return "configMap", pointer_name(workflow), file, file


def watching(
    view: WorkloadView, reports: Reports | None, raw: Raw | None, workflow: str
) -> WorkloadView:
    """A workload updated in place, with what it carries by the ConfigMap that it watches."""
    if reports is None:
        return view
    pointer = read_pointer(raw, workflow) if raw is not None else None
    mine = pointer is not None and pointer.ours and view.uid in pointer.owners
    carried = pointer.carried if pointer is not None and mine else None
    return replace(view, reports=reports, pointer=pointer, carried=carried)


def read_pointer(raw: Raw, workflow: str) -> PointerView:
    metadata, foreign = raw["metadata"], foreign_entries(raw)
    return PointerView(
        name=str(metadata["name"]),
        uid=str(metadata["uid"]),
        version=str(metadata["resourceVersion"]),
        ours=(metadata.get("labels") or {}).get(LABEL_WORKFLOW) == workflow,
        owners=frozenset(str(o["uid"]) for o in metadata.get("ownerReferences") or []),
        carried=_carried(raw, workflow),
        changed_by=last_manager(foreign),
        edited={str(e.get("operation")) for e in foreign if _writes_data(e)} == {"Update"},
    )


def _carried(raw: Raw, workflow: str) -> Carried | None:
    data = raw.get("data") or {}
    try:
        told = json.loads(data[POINTER_FILE])
        digest, content, file = str(told["digest"]), str(told["contentDigest"]), str(told["file"])
    except (KeyError, TypeError, ValueError):
        return None
    found = hashlib.sha256(str(data.get(file, "")).encode()).hexdigest()
    whole = f"sha256:{found}" == content
    name = (raw["metadata"].get("annotations") or {}).get(ANNOTATION_REVISION, "")
    sources = frozenset({pointed_file(workflow, file)} if whole else ())
    return Carried(digest, content, name, sources)


def _writes_data(entry: Raw) -> bool:
    return "f:data" in (entry.get("fieldsV1") or {})
