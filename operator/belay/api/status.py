"""Workflow: what runs, what moves, and what happened."""

from datetime import datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from belay.api.instances import InstanceCounts
from belay.api.model import ATOMIC, ApiModel, Digest, RevisionName, list_map
from belay.api.revision import Binding, Format
from belay.api.words import (
    ConditionType,
    Outcome,
    Phase,
    Reason,
    RolloutKind,
    Stage,
    Trigger,
    Verdict,
)


def _microseconds(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _seconds(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def _looked_at(generation: int | None) -> int | None:
    """The CRD's default stands for a status that was never written."""
    return None if generation == -1 else generation


MicroTime = Annotated[datetime, PlainSerializer(_microseconds, when_used="json")]
Time = Annotated[datetime, PlainSerializer(_seconds, when_used="json")]

# In the CRD a reason is any word: an operator that knows a new one still reports it under the CRD
# of its predecessor.
ReasonWord = Annotated[Reason, WithJsonSchema({"type": "string", "maxLength": 64})]


class RevisionRef(ApiModel):
    """One revision, known by its content and not only by its name."""

    revision: RevisionName
    """Name of the revision."""
    digest: Digest
    """Digest of what changes behaviour."""
    content_digest: Digest
    """Digest of the exact bytes."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the WorkflowRevision that was read."""
    format: Format
    """What the definition is written in; fixes the file's name."""
    bindings: Annotated[
        list[Binding], Field(max_length=32, json_schema_extra=list_map("name"))
    ] = []
    """Values mounted beside the definition."""


class Condition(ApiModel):
    """One observation, as in metav1.Condition."""

    type: ConditionType
    """What the condition speaks of."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$", max_length=7)]
    """True, False or Unknown."""
    reason: Annotated[str, Field(max_length=64)]
    """One word for why."""
    message: Annotated[str, Field(max_length=2048)] = ""
    """What happened, with measured values, and what to do next."""
    last_transition_time: Time
    """When the status last changed."""
    observed_generation: int | None = None
    """Generation of the spec that this condition speaks of."""


class Evidence(ApiModel):
    """What one check saw on one pod."""

    check: Annotated[str, Field(max_length=63)]
    """Name of the check; empty where kubelet's view is the evidence."""
    stage: Stage
    """Stage at which it was asked."""
    pod: Annotated[str, Field(max_length=253)]
    """Name of the pod."""
    verdict: Verdict
    """What the answers amount to."""
    asked: Annotated[str, Field(max_length=256)] = ""
    """What was asked, such as POST :8080/run."""
    got: Annotated[str, Field(max_length=256)] = ""
    """What came last, such as 500 instead of 200."""
    passes: int = 0
    """Right answers in a row."""
    fails: int = 0
    """Wrong answers in a row."""
    tries: int = 0
    """Requests in all."""
    first_at: MicroTime | None = None
    """When it was asked first."""
    last_at: MicroTime | None = None
    """When it was asked last."""


class Baseline(ApiModel):
    """What one check said of the live pods before anything was touched."""

    check: Annotated[str, Field(max_length=63)]
    """Name of the check."""
    verdict: Verdict
    """What the answers amounted to."""
    got: Annotated[str, Field(max_length=256)] = ""
    """What came."""


class TargetRecord(ApiModel):
    """One workload as it was when the rollout began."""

    kind: Annotated[str, Field(max_length=63)]
    """Kind of the workload."""
    name: Annotated[str, Field(max_length=253)]
    """Name of the workload."""
    uid: Annotated[str, Field(max_length=64)]
    """UID of the workload."""
    template_hash: Annotated[str, Field(max_length=71)]
    """Digest of its pod template without Belay's fields."""
    changed_by: Annotated[str, Field(max_length=128)] | None = None
    """Field manager that changed the template meanwhile."""
    restarts: int = 0
    """Restarts of the new pods' containers when the observation began."""


class Rollout(ApiModel):
    """One attempt to move the Workflow from one revision to another: the write-ahead record."""

    id: Annotated[str, Field(max_length=32)]
    """`<generation>-<n>`."""
    kind: RolloutKind
    """Which way it goes."""
    trigger: Trigger
    """What asked for it."""
    from_: Annotated[RevisionName | None, Field(alias="from")] = None
    """Name of the revision that was active."""
    to: RevisionRef
    """Revision that is wanted."""
    attempt_digest: Digest
    """Digest of what is tried: content, target, instances, verification and onFailure."""
    phase: Phase
    """Where the rollout is, or was when it ended."""
    started_at: MicroTime
    """When the rollout began."""
    phase_started_at: MicroTime
    """When the phase began."""
    deadline: MicroTime | None = None
    """When the phase must be over."""
    suspended_at: MicroTime | None = None
    """Since when the clock of the rollout is stopped."""
    activated_at: MicroTime | None = None
    """When the revision was through the gate."""
    ended_at: MicroTime | None = None
    """When the rollout ended."""
    previewed: bool = False
    """The revision is tried in a preview pod first."""
    delivered: bool = False
    """The template of a target may carry the wanted revision."""
    inherited: bool = False
    """What the targets carried was not delivered by a rollout that the status knows: a failure
    is held, and takes nothing away.
    """
    paused: bool = False
    """Instances may be paused for this rollout; written before the first of them is."""
    runs: Annotated[str, Field(max_length=253)] | None = None
    """Name of the ConfigMap that tells of each run of the engine what was done."""
    backup: Annotated[str, Field(max_length=253)] | None = None
    """Name of the backup that keeps paused runs."""
    instances: InstanceCounts | None = None
    """Running instances and what became of them; absent where the Workflow names none."""
    targets: Annotated[
        list[TargetRecord], Field(max_length=8, json_schema_extra=list_map("kind", "name"))
    ] = []
    """The workloads as they were when the rollout began."""
    baseline: Annotated[
        list[Baseline], Field(max_length=16, json_schema_extra=list_map("check"))
    ] = []
    """What the gate's checks said of the live pods before."""
    evidence: Annotated[list[Evidence], Field(max_length=32, json_schema_extra=ATOMIC)] = []
    """What decided, or what is known so far; of what was promoted, the message sums it up."""
    ending: Outcome | None = None
    """The outcome that a revert, or a resuming, in progress leads to."""
    outcome: Outcome | None = None
    """How it ended; absent while moving."""
    reason: ReasonWord | None = None
    """One word for why."""
    message: Annotated[str, Field(max_length=2048)] = ""
    """Why, in a sentence; of what was promoted, how many answers were right."""

    @property
    def live(self) -> bool:
        """The rollout itself has reached the target; until then others may have."""
        early = (Phase.PREVIEWING, Phase.PAUSING, Phase.BACKING_UP)
        return self.delivered and not (self.phase in early and self.ending is None)

    @property
    def going_back(self) -> bool:
        """The way back has begun, be it with a pause of what runs."""
        pausing = self.phase in (Phase.PAUSING, Phase.BACKING_UP) and self.ending is not None
        return self.phase is Phase.REVERTING or pausing

    @property
    def letting_go(self) -> bool:
        """All is decided; what is paused is let go before the outcome is told."""
        return self.phase is Phase.RESUMING and self.ending is not None


class Quarantine(ApiModel):
    """A failed attempt that is not repeated until someone asks."""

    attempt_digest: Digest
    """Digest of what was tried."""
    revision: RevisionName
    """Revision that was tried."""
    reason: ReasonWord
    """One word for why it failed."""
    message: Annotated[str, Field(max_length=512)] = ""
    """Why it failed, in a sentence."""
    at: MicroTime
    """When it failed."""
    rollout: Annotated[str, Field(max_length=32)]
    """Rollout in which it failed."""


class HistoryEntry(ApiModel):
    """One rollout that ended."""

    id: Annotated[str, Field(max_length=32)]
    """Rollout id."""
    kind: RolloutKind
    """Which way it went."""
    revision: RevisionName
    """Revision that was wanted."""
    digest: Annotated[str, Field(max_length=19, pattern=r"^sha256:[0-9a-f]{12}$")]
    """First twelve digits of its digest."""
    outcome: Outcome
    """How it ended."""
    reason: ReasonWord | None = None
    """One word for why, where the outcome does not say it."""
    started_at: Time
    """When it began."""
    ended_at: Time
    """When it ended."""
    activated: bool = False
    """It was active, for a time at least."""
    trigger: Trigger | None = None
    """What asked for it, where that was Adoption or Drift."""
    times: Annotated[int, Field(ge=1)] = 1
    """How often in a row, where the revision had to be put back again."""


class Restore(ApiModel):
    """Runs of a backup that somebody wants back, by the annotation belay.dev/restore."""

    backup: Annotated[str, Field(max_length=256)]
    """Name of the backup."""
    resumed_too: bool = False
    """Also those that had been resumed from it before and are in no pod now."""
    began_at: MicroTime
    """When Belay began with it."""
    ended_at: MicroTime | None = None
    """When it ended; absent while it goes on."""
    restored: int = 0
    """Runs that were given to pods, and found in them afterwards."""
    failed: int = 0
    """Runs that were to be given, and are in no pod."""
    reason: ReasonWord | None = None
    """Restored or RestoreFailed."""
    message: Annotated[str, Field(max_length=2048)] = ""
    """What came of it, or what it waits for, in a sentence."""


class WorkflowStatus(ApiModel):
    """What Belay observed and did."""

    observed_generation: Annotated[int | None, BeforeValidator(_looked_at)] = None
    """Generation of the spec that this status speaks of; -1 until Belay has looked at it."""
    active_revision: RevisionName | None = None
    """Revision that runs."""
    stable_revision: RevisionName | None = None
    """Last revision that was proven: where a revert goes to."""
    active: RevisionRef | None = None
    """What runs, by content."""
    stable: RevisionRef | None = None
    """What a revert goes to, by content."""
    phase: Annotated[str, Field(max_length=32)] | None = None
    """For people: the phase while moving, the outcome at rest."""
    conditions: Annotated[
        list[Condition], Field(max_length=16, json_schema_extra=list_map("type"))
    ] = []
    """Ready, Active and Serving; Reconciling while moving or waiting; Stalled when someone must
    act; Drifted where the targets do not carry what is active.
    """
    rollout: Rollout | None = None
    """The rollout in progress, or the last one."""
    quarantine: Annotated[
        list[Quarantine], Field(max_length=20, json_schema_extra=list_map("attemptDigest"))
    ] = []
    """Attempts that failed by the revision's fault."""
    last_handled_retry: Annotated[str, Field(max_length=256)] | None = None
    """Last value of the annotation belay.dev/retry that was acted on."""
    last_handled_abort: Annotated[str, Field(max_length=256)] | None = None
    """Last value of the annotation belay.dev/abort that was acted on."""
    last_handled_restore: Annotated[str, Field(max_length=256)] | None = None
    """Last value of the annotation belay.dev/restore that was acted on."""
    restore: Restore | None = None
    """The last restore of runs from a backup, or the one that goes on."""
    history: Annotated[list[HistoryEntry], Field(max_length=10, json_schema_extra=ATOMIC)] = []
    """The last ten outcomes, newest first."""
