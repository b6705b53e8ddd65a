"""Adoption: the targets carry a delivery of Belay of which the status knows nothing.

So it is after a restore, a move to another cluster, or when the Workflow was deleted and made anew.
"""

from collections.abc import Iterable

from belay.api.names import ANNOTATION_CURRENT, POINTER_FILE
from belay.api.revision import Binding, Format, KeyRef
from belay.api.status import RevisionRef
from belay.core.delivery import Delivery, config_map_name
from belay.core.gates import consents
from belay.core.observed import Observed, RevisionView
from belay.core.workloads import Carried
from belay.core.workloads.pointer import pointer_name

_KEY_REFS = {"secret": "secret_key_ref", "configMap": "config_map_key_ref"}


def lost(seen: Observed) -> bool:
    """Whether the status holds no record of any delivery."""
    return seen.status.active is None and seen.status.rollout is None


def found(seen: Observed) -> RevisionRef | None:
    """The one delivery that all targets carry, where the status lost it.

    Under the wanted name where it is the wanted content, else under the name it came with first.
    """
    if not lost(seen) or not seen.workloads:
        return None
    if not all(consents(seen, w) and w.container for w in seen.workloads):
        return None
    first = seen.workloads[0].carried
    ref = _read(first, seen.key.name) if first is not None else None
    if first is None or ref is None:
        return None
    delivery = Delivery(seen.key, ref, first.revision, seen.spec.target.mount_path)
    if not all(delivery.arrived_at(w) for w in seen.workloads):
        return None
    wanted = seen.revision
    if isinstance(wanted, RevisionView) and wanted.spec.digest == ref.digest:
        return ref.model_copy(update={"revision": wanted.spec.revision, "uid": wanted.uid})
    return ref


def _read(carried: Carried, workflow: str) -> RevisionRef | None:
    """The revision, as far as a pod template tells it; None where that is not all ours."""
    content = {config_map_name(workflow, carried.content_digest), pointer_name(workflow)}
    keys = {
        key for kind, source, key, _ in carried.sources if kind == "configMap" and source in content
    }
    form = next((f for f in (Format.JSON, Format.YAML) if f.file_name in keys), None)
    if form is None:
        return None
    try:
        return RevisionRef(
            revision=carried.revision,
            digest=carried.digest,
            content_digest=carried.content_digest,
            uid="",
            format=form,
            bindings=list(_bindings(carried, content)),
        )
    except ValueError:
        return None


def _bindings(carried: Carried, content: set[str]) -> Iterable[Binding]:
    pointer = f"metadata.annotations['{ANNOTATION_CURRENT}']"
    for kind, source, key, path in sorted(carried.sources):
        if source in content or (key, path) == (pointer, POINTER_FILE):
            continue
        reference = {_KEY_REFS.get(kind, kind): KeyRef(name=source, key=key)}
        yield Binding.model_validate({"name": path.rpartition("/")[2], **reference})
