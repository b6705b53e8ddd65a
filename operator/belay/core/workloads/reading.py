"""From a raw workload, its owned objects and its pods to a `WorkloadView`."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from belay.api.names import (
    ANNOTATION_CONTENT_DIGEST,
    ANNOTATION_CURRENT,
    ANNOTATION_REVISION,
    VOLUME,
)
from belay.api.workflow import Workload
from belay.core.fingerprint import fingerprint
from belay.core.pods import Pod, read_pod
from belay.core.workloads import KINDS
from belay.core.workloads.base import Carried, Completion, FormerPod, Kind, WorkloadView
from belay.core.workloads.history import REVISION_HASH
from belay.core.workloads.raw import Raw, controller_of, foreign_entries, is_seen, last_manager

DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"
_ADDED_BY_CONTROLLERS: Final = ("pod-template-hash", REVISION_HASH)
OURS: Final = (ANNOTATION_CURRENT, ANNOTATION_CONTENT_DIGEST, ANNOTATION_REVISION)


def read_workload(
    wanted: Workload, raw: Raw | None, owned: Sequence[Raw], pods: Iterable[Raw]
) -> WorkloadView:
    """One target; `owned` are the objects that keep its templates, `pods` all its pods."""
    kind = KINDS[wanted.api_version, wanted.kind]
    if raw is None:
        nothing = Completion(done=False, desired=0, updated=0, available=0)
        return WorkloadView(kind, wanted.name, None, None, None, "", "", nothing, ())
    template = kind.template(raw)
    container = choose_container(wanted.container, template)
    in_place = wanted.in_place
    carried = None if in_place else read_carried(template)
    newest = _newest(kind, raw, owned) if carried or in_place else None
    all_pods = list(pods)
    new = [p for p in all_pods if newest is not None and kind.history.made(newest, p)]
    mine = [read_pod(pod, container) for pod in new]
    told = newest is not None or (carried is None and not in_place)
    return WorkloadView(
        kind=kind,
        name=wanted.name,
        raw=raw,
        container=container,
        carried=carried,
        template_hash=template_hash(template),
        changed_by=_last_foreign_manager(raw),
        completion=kind.completion(raw),
        pods=tuple(sorted((p for p in mine if not p.terminating), key=lambda p: p.name)),
        living=_living(kind, all_pods, owned, container),
        former=_former(raw, all_pods, new) if told and kind.waits(raw) else (),
    )


def _newest(kind: Kind, raw: Raw, owned: Sequence[Raw]) -> Raw | None:
    """What keeps the live template; the workload's controller may lag behind that."""
    template = kind.template(raw)
    wanted = (read_carried(template), template_hash(template))
    kept = ((o, kind.history.template(o)) for o in owned)
    if kind.keeps is not None:
        fitting = [o for o, t in kept if kind.keeps(raw, o) and read_carried(t) == wanted[0]]
    else:
        fitting = [o for o, t in kept if (read_carried(t), template_hash(t)) == wanted]
    return max(fitting, key=kind.history.number, default=None)


def _living(
    kind: Kind, pods: list[Raw], owned: Sequence[Raw], container: str | None
) -> tuple[Pod, ...]:
    mine = (p for p in pods if any(kind.history.made(one, p) for one in owned))
    return tuple(p for raw in mine if not (p := read_pod(raw, container)).terminating)


def _former(raw: Raw, pods: list[Raw], new: list[Raw]) -> tuple[FormerPod, ...]:
    own = [p for p in pods if p not in new and controller_of(p) == raw["metadata"]["uid"]]
    return tuple(
        FormerPod(read_pod(pod, mounted_container(pod["spec"])), read_carried(pod))
        for pod in (own if is_seen(raw) else ())
    )


def choose_container(named: str | None, template: Raw) -> str | None:
    """The container to deliver to: as named, by kubectl's default annotation, or the only one."""
    names = [c["name"] for c in template["spec"]["containers"]]
    default = (template.get("metadata") or {}).get("annotations", {}).get(DEFAULT_CONTAINER)
    wanted = named or default or (names[0] if len(names) == 1 else None)
    return wanted if wanted in names else None


def mounted_container(spec: Raw) -> str | None:
    """The container of a pod spec that has our volume mounted."""
    for container in spec["containers"]:
        if any(m["name"] == VOLUME for m in container.get("volumeMounts") or []):
            return str(container["name"])
    return None


def read_carried(template: Raw) -> Carried | None:
    """What a template or a pod carries of Belay; None unless annotations and volume agree."""
    annotations = (template.get("metadata") or {}).get("annotations") or {}
    volume = next((v for v in template["spec"].get("volumes") or [] if v["name"] == VOLUME), None)
    try:
        pointer = json.loads(annotations[ANNOTATION_CURRENT])
        digest, content = str(pointer["digest"]), str(pointer["contentDigest"])
    except (KeyError, TypeError, ValueError):
        return None
    if volume is None or annotations.get(ANNOTATION_CONTENT_DIGEST) != content:
        return None
    sources = frozenset(projected_files(volume))
    mounted = mounted_container(template["spec"]) is not None
    return Carried(digest, content, annotations.get(ANNOTATION_REVISION, ""), sources, mounted)


def projected_files(volume: Mapping[str, Any]) -> Iterable[tuple[str, str, str, str]]:
    """(kind, object, key, path) of each file in a projected volume."""
    for source in (volume.get("projected") or {}).get("sources") or []:
        for kind, body in source.items():
            for item in body.get("items") or []:
                key = item.get("key") or (item.get("fieldRef") or {}).get("fieldPath") or ""
                yield kind, str(body.get("name") or ""), str(key), str(item["path"])


def template_hash(template: Raw) -> str:
    """Digest of a pod template without Belay's fields."""
    metadata = dict(template.get("metadata") or {})
    annotations = {k: v for k, v in (metadata.get("annotations") or {}).items() if k not in OURS}
    metadata["annotations"] = annotations
    labels = metadata.get("labels") or {}
    metadata["labels"] = {k: v for k, v in labels.items() if k not in _ADDED_BY_CONTROLLERS}
    metadata.pop("creationTimestamp", None)
    spec = dict(template["spec"])
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] != VOLUME]
    spec["containers"] = [_without_mount(c) for c in spec["containers"]]
    return fingerprint({"m": metadata, "s": spec})


def _without_mount(container: Mapping[str, Any]) -> dict[str, Any]:
    mounts = [m for m in container.get("volumeMounts") or [] if m["name"] != VOLUME]
    return {**container, "volumeMounts": mounts}


def _last_foreign_manager(raw: Raw) -> str:
    """The manager, not ours, that most lately wrote under `spec.template`."""
    return last_manager(
        e
        for e in foreign_entries(raw)
        if "f:template" in ((e.get("fieldsV1") or {}).get("f:spec") or {})
    )
