"""What `decide` answers: actions, a status, what to probe, and when to look again."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from belay.api.check import Check
from belay.api.instance_kinds import InstanceKind
from belay.api.status import WorkflowStatus
from belay.core.engine.actions import EngineAction
from belay.core.evidence.probe import ProbePlan
from belay.core.milestones import Milestone


@dataclass(frozen=True, slots=True)
class ApplyTemplate:
    """Apply our fields of a workload's pod template; none of them withdraws the delivery."""

    body: dict[str, Any]
    force: bool = False
    """Our fields are held by another manager that only copied them."""

    @property
    def target(self) -> str:
        return f"{self.body['kind']} {self.body['metadata']['name']}"

    @property
    def told(self) -> str:
        return f"{'delivering to' if 'spec' in self.body else 'withdrawing from'} {self.target}"


@dataclass(frozen=True, slots=True)
class PatchTemplate:
    """Change our fields of a workload's pod template as it was read; of no other version."""

    api_version: str
    kind: str
    name: str
    operations: tuple[dict[str, Any], ...]
    """A JSON patch (RFC 6902)."""
    delivers: bool
    """False: it withdraws the delivery."""

    @property
    def target(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def told(self) -> str:
        return f"{'delivering to' if self.delivers else 'withdrawing from'} {self.target}"


WriteTemplate = ApplyTemplate | PatchTemplate


@dataclass(frozen=True, slots=True)
class TryDelivery:
    """Dry-run the delivery on the server, and ask the live pods the baseline."""

    writes: tuple["WriteTemplate | WritePointer", ...]
    checks: tuple[Check, ...]
    """Checks whose credentials must be there."""
    baseline: ProbePlan
    pauses: tuple["InstanceWrite", ...] = ()
    """Of each kind of running instances the pause of one."""

    @property
    def told(self) -> str:
        return "asking the server by a dry run"


@dataclass(frozen=True, slots=True)
class EnsureConfigMap:
    """Apply a delivered ConfigMap."""

    body: dict[str, Any]

    @property
    def told(self) -> str:
        return f"applying ConfigMap {self.body['metadata']['name']}"


@dataclass(frozen=True, slots=True)
class CreatePreview:
    """Create the preview pod; one that is there already is fine."""

    body: dict[str, Any]

    @property
    def told(self) -> str:
        return f"creating the preview pod {self.body['metadata']['name']}"


@dataclass(frozen=True, slots=True)
class DeletePreview:
    """Delete the preview pod; one that is gone already is fine."""

    name: str
    uid: str | None = None
    """Of the pod that was read; None where none was."""

    @property
    def told(self) -> str:
        return f"deleting the preview pod {self.name}"


@dataclass(frozen=True, slots=True)
class DeletePod:
    """Delete a broken pod that its workload waits for; one that is gone already is fine."""

    name: str
    uid: str

    @property
    def told(self) -> str:
        return f"deleting pod {self.name}: it is not ready, and its workload waits for it"


@dataclass(frozen=True, slots=True)
class WritePointer:
    """Apply the ConfigMap that workloads updated in place watch."""

    body: dict[str, Any]
    force: bool = False
    """Take back what was edited by hand."""

    @property
    def target(self) -> str:
        return f"ConfigMap {self.body['metadata']['name']}"

    @property
    def told(self) -> str:
        return f"pointing ConfigMap {self.body['metadata']['name']} to the content"


@dataclass(frozen=True, slots=True)
class DeleteConfigMap:
    """Delete a delivered ConfigMap that nothing needs, or the pointer of a withdrawn delivery."""

    name: str
    uid: str | None = None

    @property
    def told(self) -> str:
        return f"deleting ConfigMap {self.name}, which nothing needs"


@dataclass(frozen=True, slots=True)
class DeleteRevision:
    """Delete a revision of our own importer that history no longer keeps."""

    name: str
    uid: str

    @property
    def told(self) -> str:
        return f"deleting WorkflowRevision {self.name}, beyond revisionHistoryLimit"


@dataclass(frozen=True, slots=True)
class InstanceWrite:
    """One instance, and what our manager of pauses applies to it."""

    kind: InstanceKind
    body: dict[str, Any]

    @property
    def target(self) -> str:
        return f"{self.body['kind']} {self.body['metadata']['name']}"


@dataclass(frozen=True, slots=True)
class PauseInstances:
    """Pause instances; one that is gone by now is fine."""

    writes: tuple[InstanceWrite, ...]

    @property
    def told(self) -> str:
        return f"pausing {_few(self.writes)}"


@dataclass(frozen=True, slots=True)
class ResumeInstances:
    """Let instances go: give up what we own of them; one that is gone by now is fine."""

    writes: tuple[InstanceWrite, ...]

    @property
    def told(self) -> str:
        return f"letting go {_few(self.writes)}"


@dataclass(frozen=True, slots=True)
class AccountFor:
    """Keep the account of each instance of this rollout."""

    workflow: str
    uid: str
    name: str
    stage: str
    """`pausing` or `resuming`."""
    lines: tuple[dict[str, str], ...]
    kept: frozenset[str]
    """Names of the accounts that are still needed."""

    @property
    def told(self) -> str:
        return f"keeping the account of {len(self.lines)} instances in ConfigMap {self.name}"


def _few(writes: tuple[InstanceWrite, ...]) -> str:
    first = ", ".join(w.target for w in writes[:3])
    return first + (f" and {len(writes) - 3} more" if len(writes) > 3 else "")


Action = (
    TryDelivery
    | EnsureConfigMap
    | CreatePreview
    | DeletePreview
    | WriteTemplate
    | DeletePod
    | WritePointer
    | DeleteConfigMap
    | DeleteRevision
    | PauseInstances
    | ResumeInstances
    | AccountFor
    | EngineAction
)


@dataclass(frozen=True, slots=True)
class Decision:
    """One step. Actions come first, then the status, and only if no action failed."""

    actions: tuple[Action, ...] = ()
    status: WorkflowStatus | None = None
    """The whole status to write; None where it stays as it is."""
    milestones: tuple[Milestone, ...] = ()
    """Events to tell once the status is written."""
    probes: ProbePlan | None = None
    """What to go on asking."""
    requeue: timedelta | None = None
    """When to look again, at the latest."""
    again: bool = False
    """Decide once more at once, on what the actions and the write answered."""
    follow: bool = False
    """Wake up when the target or its pods change."""
