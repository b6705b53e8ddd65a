"""Delivered ConfigMaps: what they hold, and which of them nothing needs any more."""

import asyncio
import hashlib

from belay.api.names import ANNOTATION_REVISION, LABEL_WORKFLOW
from belay.api.status import RevisionRef
from belay.api.workflow import Update
from belay.core.delivery import config_map_name
from belay.core.observed import ConfigMapView, Observed
from belay.core.workloads.pointer import pointer_name
from belay.shell.cluster import Object
from belay.shell.resources import CONFIG_MAPS, HISTORIES, JOBS, PODS
from belay.shell.turn import Turn


def read_config_map(raw: Object, ref: RevisionRef) -> ConfigMapView:
    metadata = raw["metadata"]
    text = (raw.get("data") or {}).get(ref.format.file_name)
    digest = hashlib.sha256(text.encode()).hexdigest() if text is not None else ""
    return ConfigMapView(
        name=metadata["name"],
        uid=metadata["uid"],
        first_name=str((metadata.get("annotations") or {}).get(ANNOTATION_REVISION) or ""),
        owners=frozenset(o["uid"] for o in metadata.get("ownerReferences") or []),
        content=text if f"sha256:{digest}" == ref.content_digest else None,
    )


async def unused_config_maps(turn: Turn, seen: Observed) -> tuple[str, ...]:
    """Delivered ConfigMaps without a role, that nothing in the namespace can start a pod with."""
    namespace, name = turn.key
    labels = f"{LABEL_WORKFLOW}={name}"
    delivered, _ = await turn.cluster.list_metadata(CONFIG_MAPS, namespace, labels=labels)
    roles = [r for r in (seen.status.active, seen.status.stable) if r is not None]
    kept = {config_map_name(name, r.content_digest) for r in roles}
    if any(w.update is Update.IN_PLACE for w in seen.spec.target.workloads):
        kept.add(pointer_name(name))
    surplus = {m["metadata"]["name"] for m in delivered} - kept
    if not surplus:
        return ()
    for spec in await _pod_specs(turn):
        surplus -= _named(spec)
    return tuple(sorted(surplus))


async def _pod_specs(turn: Turn) -> list[Object]:
    """Of all pods, live Jobs and kept templates, of which `kubectl rollout undo` makes pods."""
    resources = (PODS, JOBS, *HISTORIES.values())
    pods, jobs, *kept = await asyncio.gather(
        *(turn.cluster.list(resource, turn.key.namespace) for resource in resources)
    )
    specs = [p["spec"] for p in pods]
    specs += [j["spec"]["template"]["spec"] for j in jobs if _is_live(j)]
    for kind, holders in zip(HISTORIES, kept, strict=True):
        specs += [spec for h in holders if (spec := _kept_spec(kind, h)) is not None]
    return specs


def _kept_spec(kind: str, holder: Object) -> Object | None:
    """ControllerRevisions may be anybody's, of any form."""
    body = holder.get("data") if kind == "ControllerRevision" else holder
    template = ((body or {}).get("spec") or {}).get("template") or {}
    return template.get("spec")


def _is_live(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return not any(
        c["type"] in ("Complete", "Failed") and c["status"] == "True" for c in conditions
    )


def _named(spec: Object) -> set[str]:
    """ConfigMaps that the volumes of a pod spec name."""
    names = set()
    for volume in spec.get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        names |= {
            str(s["configMap"].get("name")) for s in sources if isinstance(s.get("configMap"), dict)
        }
    return names
