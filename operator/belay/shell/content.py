"""Delivered ConfigMaps: what they hold."""

import hashlib

from belay.api.names import ANNOTATION_REVISION
from belay.api.status import RevisionRef
from belay.core.observed import ConfigMapView
from belay.shell.resources import Object


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
