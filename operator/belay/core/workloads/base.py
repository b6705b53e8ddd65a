"""What every kind of target answers, whatever its API object looks like."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from belay.api.names import ANNOTATION_WORKFLOW
from belay.api.reports import Reports
from belay.core.pods import Pod, Trouble
from belay.core.workloads.history import History
from belay.core.workloads.raw import Raw


class Cause(StrEnum):
    """Why a workload's own controller ended an update before it was complete."""

    EVIDENCE = "Evidence"
    """Its own proof of the new pods failed."""
    NO_EVIDENCE = "NoEvidence"
    """Its own proof could not be had."""
    TIME = "Time"
    """It made no progress."""
    PERSON = "Person"
    """Somebody told it to."""


@dataclass(frozen=True, slots=True)
class GaveUp:
    """The workload's own controller ended the update, and does not go on by itself."""

    cause: Cause
    message: str


@dataclass(frozen=True, slots=True)
class Completion:
    """How far a workload's own update of its pods is."""

    done: bool
    desired: int
    updated: int
    available: int
    """Of the updated pods, at least: what is available beyond all old ones."""
    trouble: Trouble | None = None
    """Why it makes no pods, such as a quota."""
    gave_up: GaveUp | None = None
    pause: str = ""
    """What it waits for that only a person can say: `pauses ... until somebody runs: ...`."""

    @property
    def told(self) -> str:
        """For people: `2 of 3 pods`."""
        told = f"{self.available} of {self.desired} pods"
        return f"{told}, and it {self.pause}" if self.pause else told


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of target: where things are in its object, and its own rules of completion.

    All functions are pure, over the raw API object.
    """

    api_version: str
    kind: str
    template: Callable[[Raw], Raw]
    """The pod template."""
    history: History
    """What keeps its templates, and tells which pods are new."""
    completion: Callable[[Raw], Completion]
    unsupported: Callable[[Raw], str | None]
    """Why a strategy of this object cannot be handled, or None."""
    no_preview: Callable[[Raw], str | None] = lambda _: None
    """Why one more pod of its template cannot run beside its own, or None."""
    tells_why: bool = True
    """Its status says why it makes no pods; else events do."""
    waits: Callable[[Raw], bool] = lambda _: False
    """Whether it replaces no pod while one of a former template is not ready."""
    keeps: Callable[[Raw, Raw], bool] | None = None
    """Whether an object of the history, the second, keeps the live template; None: by comparing."""
    is_patched: bool = False
    """Its schema does not type the template's lists: our fields are written by a JSON patch."""
    option: str = ""
    """`<plural>.<group>`, by which the administrator allows this kind; empty: it is built in."""

    @property
    def resource(self) -> str:
        """As kubectl takes it."""
        return self.option or self.kind.lower()


@dataclass(frozen=True, slots=True)
class Carried:
    """What a live pod template carries of Belay."""

    digest: str
    content_digest: str
    revision: str
    sources: frozenset[tuple[str, str, str, str]]
    """(kind, object, key, path) of each file in the projected volume."""
    mounted: bool = True
    """A container has the volume mounted."""


@dataclass(frozen=True, slots=True)
class FormerPod:
    """A pod of a former template, in a workload that waits for it."""

    pod: Pod
    carried: Carried | None


@dataclass(frozen=True, slots=True)
class PointerView:
    """The ConfigMap that workloads updated in place watch."""

    name: str
    uid: str
    version: str
    ours: bool
    """It carries the label of this Workflow."""
    owners: frozenset[str]
    carried: Carried | None
    """What it points to; without sources where the content is not the one that it promises."""
    changed_by: str
    """Field manager, not ours, that wrote it last."""
    edited: bool
    """It was edited by hand: nobody but us declares its data."""


@dataclass(frozen=True, slots=True)
class WorkloadView:
    """One target as it was read. `raw` is None when it is not there."""

    kind: Kind
    name: str
    raw: Raw | None
    container: str | None
    """Container that is delivered to; None when it cannot be told which."""
    carried: Carried | None
    template_hash: str
    """Digest of the pod template without Belay's fields."""
    changed_by: str
    """Field manager, not ours, that last wrote the pod template."""
    completion: Completion
    pods: tuple[Pod, ...]
    """Non-terminating pods of the newest template, where it is ours."""
    living: tuple[Pod, ...] = ()
    """Non-terminating pods of any of its templates."""
    former: tuple[FormerPod, ...] = ()
    """Terminating ones, too; none before its controller has seen the present template."""
    single_claims: tuple[str, ...] = ()
    """Claims of the template that one pod alone may mount (ReadWriteOncePod)."""
    reports: Reports | None = None
    """How its pods tell what they run; None unless it is updated in place."""
    pointer: PointerView | None = None
    """What it watches, where it is updated in place and that is there."""

    @property
    def in_place(self) -> bool:
        return self.reports is not None

    @property
    def moved_by(self) -> str:
        """Field manager, not ours, that last wrote where the delivery is; empty: not known."""
        if not self.in_place:
            return self.changed_by
        return self.pointer.changed_by if self.pointer is not None else ""

    @property
    def found(self) -> bool:
        return self.raw is not None

    @property
    def uid(self) -> str:
        return str(self.raw["metadata"]["uid"]) if self.raw else ""

    @property
    def consent(self) -> str | None:
        """Name of the Workflow that may move this workload."""
        metadata = self.raw["metadata"] if self.raw else {}
        annotations = metadata.get("annotations") or {}
        return annotations.get(ANNOTATION_WORKFLOW)

    @property
    def told(self) -> str:
        """For people: `Deployment triage`."""
        return f"{self.kind.kind} {self.name}"
