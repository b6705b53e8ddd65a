"""How our fields of a pod template are written: the two ways, and which kind takes which.

Server-side apply is the rule. Where a kind's schema does not type the list of volumes, an apply
would own the list whole and drop what others have in it. There a JSON patch changes our entry
alone, and names the very version that it was made for: its places in the lists hold for no other,
and it is refused where somebody wrote meanwhile.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from belay.api.names import VOLUME
from belay.core.decision import ApplyTemplate, PatchTemplate, WriteTemplate
from belay.core.delivery import Delivery, is_copied, template_patch, withdrawal
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import OURS

Entry = dict[str, Any]

_TEMPLATE: Final = "/spec/template"


def deliver(workload: WorkloadView, delivery: Delivery) -> WriteTemplate:
    """What gives the workload's template this content."""
    if workload.kind.is_patched:
        return _patch(workload, delivery)
    return ApplyTemplate(template_patch(workload, delivery), force=is_copied(workload))


def withdraw(workload: WorkloadView, namespace: str) -> WriteTemplate:
    """What gives the workload its own template back."""
    if workload.kind.is_patched:
        return _patch(workload, None)
    return ApplyTemplate(withdrawal(workload, namespace))


def _patch(workload: WorkloadView, delivery: Delivery | None) -> PatchTemplate:
    assert workload.raw is not None  # noqa: S101
    metadata = workload.raw["metadata"]
    guards = [
        {"op": "replace", "path": f"/metadata/{field}", "value": metadata[field]}
        for field in ("uid", "resourceVersion")
    ]
    changes = _changes(workload, delivery)
    kind = workload.kind
    operations = (*guards, *changes)
    return PatchTemplate(
        kind.api_version, kind.kind, workload.name, operations, delivers=delivery is not None
    )


def _changes(workload: WorkloadView, delivery: Delivery | None) -> Iterator[Entry]:
    assert workload.raw is not None  # noqa: S101
    template = workload.kind.template(workload.raw)
    metadata, spec = template.get("metadata"), template["spec"]
    before = (metadata or {}).get("annotations")
    after = {k: v for k, v in (before or {}).items() if k not in OURS}
    after |= delivery.annotations if delivery else {}
    if metadata is None:
        yield from _set(f"{_TEMPLATE}/metadata", None, {"annotations": after} if after else {})
    else:
        yield from _set(f"{_TEMPLATE}/metadata/annotations", before, after)
    volumes = spec.get("volumes")
    placed = _placed(volumes or [], delivery.volume if delivery else None)
    yield from _set(f"{_TEMPLATE}/spec/volumes", volumes, placed)
    for place, container in enumerate(spec["containers"]):
        mounts = container.get("volumeMounts")
        here = delivery is not None and container["name"] == workload.container
        mount = delivery.mount if delivery is not None and here else None
        path = f"{_TEMPLATE}/spec/containers/{place}/volumeMounts"
        yield from _set(path, mounts, _placed(mounts or [], mount))


def _placed(entries: Sequence[Mapping[str, Any]], ours: Entry | None) -> list[Mapping[str, Any]]:
    """The list with our entry where it was, or at the end: another order is another template."""
    if ours is None:
        return [e for e in entries if e["name"] != VOLUME]
    if not any(e["name"] == VOLUME for e in entries):
        return [*entries, ours]
    return [ours if e["name"] == VOLUME else e for e in entries]


def _set(path: str, before: Any, after: Any) -> Iterator[Entry]:
    """At most one operation; what is empty without us is not there."""
    if (before or None) == (after or None):
        return
    if not after:
        yield {"op": "remove", "path": path}
    else:
        yield {"op": "add" if before is None else "replace", "path": path, "value": after}
