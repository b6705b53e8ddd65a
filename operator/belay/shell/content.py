"""Delivered ConfigMaps: what they hold, and which of them nothing needs any more."""

import asyncio
import hashlib

from belay.api.names import ANNOTATION_REVISION, LABEL_WORKFLOW
from belay.api.status import RevisionRef
from belay.core.delivery import config_map_name
from belay.core.observed import ConfigMapView, Observed
from belay.shell.cluster import Object
from belay.shell.resources import CONFIG_MAPS, PODS, REPLICA_SETS
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
    """Delivered ConfigMaps without a role, that no pod and no ReplicaSet of the namespace names."""
    namespace, name = turn.key
    labels = f"{LABEL_WORKFLOW}={name}"
    delivered, _ = await turn.cluster.list_metadata(CONFIG_MAPS, namespace, labels=labels)
    roles = [r for r in (seen.status.active, seen.status.stable) if r is not None]
    kept = {config_map_name(name, r.content_digest) for r in roles}
    surplus = {m["metadata"]["name"] for m in delivered} - kept
    if not surplus:
        return ()
    pods, replica_sets = await asyncio.gather(
        turn.cluster.list(PODS, namespace), turn.cluster.list(REPLICA_SETS, namespace)
    )
    for spec in (
        *(p["spec"] for p in pods),
        *(r["spec"]["template"]["spec"] for r in replica_sets),
    ):
        surplus -= _named(spec)
    return tuple(sorted(surplus))


def _named(spec: Object) -> set[str]:
    """ConfigMaps that the volumes of a pod spec name."""
    names = set()
    for volume in spec.get("volumes") or []:
        sources = [volume, *((volume.get("projected") or {}).get("sources") or [])]
        names |= {
            str(s["configMap"].get("name")) for s in sources if isinstance(s.get("configMap"), dict)
        }
    return names
