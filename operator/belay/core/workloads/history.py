"""The objects that keep a workload's templates, and which pods were made of which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from belay.core.workloads.raw import Raw, controller_of

REVISION_HASH: Final = "controller-revision-hash"


@dataclass(frozen=True, slots=True)
class History:
    """One kind of such objects. All functions are pure, over raw API objects."""

    kind: str
    template: Callable[[Raw], Raw]
    """The pod template that it keeps."""
    number: Callable[[Raw], int]
    """The newest has the highest."""
    made: Callable[[Raw, Raw], bool]
    """Whether a pod, the second, was made of the template that the first keeps."""


def replica_sets(revision_annotation: str) -> History:
    """ReplicaSets own their pods; an annotation numbers them."""

    def number(replica_set: Raw) -> int:
        annotations = replica_set["metadata"].get("annotations") or {}
        return int(annotations.get(revision_annotation) or 0)

    def made(replica_set: Raw, pod: Raw) -> bool:
        return controller_of(pod) == str(replica_set["metadata"]["uid"])

    return History("ReplicaSet", _template, number, made)


def _template(holder: Raw) -> Raw:
    found: Raw = holder["spec"]["template"]
    return found


def _template_in_data(revision: Raw) -> Raw:
    return _template(revision["data"])


def _number(revision: Raw) -> int:
    return int(revision["revision"])


def _made_of(revision: Raw, pod: Raw) -> bool:
    """A StatefulSet labels its pods with the revision's name, a DaemonSet with its hash."""
    if controller_of(pod) != controller_of(revision):
        return False
    metadata = revision["metadata"]
    names = (metadata["name"], (metadata.get("labels") or {}).get(REVISION_HASH))
    return (pod["metadata"].get("labels") or {}).get(REVISION_HASH, "") in names


CONTROLLER_REVISIONS: Final = History("ControllerRevision", _template_in_data, _number, _made_of)
