"""Running instances of a workflow: which to pause while a revision changes under them."""

from enum import StrEnum
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field

from belay.api.model import ATOMIC, SET, ApiModel, ObjectName, cel, list_map, validations
from belay.api.peer import Port
from belay.api.revision import KeyRef

LabelValue = Annotated[str, Field(max_length=63)]
_LONGEST_KEY: Final = 317
LabelKey = Annotated[str, Field(min_length=1, max_length=_LONGEST_KEY)]
RunName = Annotated[str, Field(max_length=64)]
KindName = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")]


class Policy(StrEnum):
    """What becomes of an instance while the revision changes."""

    PIN = "Pin"
    """It is counted and goes on, with what it began with."""
    PAUSE = "Pause"
    """It is paused before the delivery, and goes on after the gate. Of a Job this ends the pods:
    what it did since its last checkpoint is lost.
    """


class Afterwards(StrEnum):
    """What becomes of a paused instance once the new revision is through the gate."""

    RESUME = "Resume"
    """It goes on."""
    CANCEL = "Cancel"
    """It is ended, as its kind ends one."""


class RunsAfterwards(StrEnum):
    """What becomes of a paused run of an engine once the new revision is through the gate."""

    RESUME = "Resume"
    """It goes on, on the content that it began with."""
    RESTART = "Restart"
    """It begins anew, once, from its inputs and under its id, on the revision that is active then.
    What it did to others before its pause it does again: choose it where that does no harm.
    """
    CANCEL = "Cancel"
    """It is ended."""


class OnPauseTimeout(StrEnum):
    """What to do when instances do not pause in time."""

    WAIT = "Wait"
    """Go on waiting, visibly."""
    PROCEED = "Proceed"
    """Deliver, and count those that did not pause."""
    ABORT = "Abort"
    """End the rollout before anything is delivered, and resume all."""


class AfterRevert(StrEnum):
    """What becomes of instances that ran on the revision that failed under real traffic."""

    RESTART = "Restart"
    """They are paused for the way back, and let go after it. A run of an engine that began on what
    failed begins anew, on the stable revision, where its engine can do that; others go on.
    """
    CANCEL = "Cancel"
    """They are paused for the way back, and ended after it where their kind can be. Of an engine's
    runs those that began on what failed; others go on.
    """
    PIN = "Pin"
    """They are not paused for the way back. With an engine it needs update: Reload."""


class Operator(StrEnum):
    """How a label is compared."""

    IN = "In"
    """Its value is one of these."""
    NOT_IN = "NotIn"
    """Its value is none of these."""
    EXISTS = "Exists"
    """It is there."""
    DOES_NOT_EXIST = "DoesNotExist"
    """It is not there."""


class LabelRequirement(ApiModel):
    """One requirement, as in metav1.LabelSelectorRequirement."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
                "In and NotIn need values; Exists and DoesNotExist have none",
            )
        )
    )

    key: LabelKey
    """Key of the label."""
    operator: Operator
    """How it is compared."""
    values: Annotated[list[LabelValue], Field(max_length=32, json_schema_extra=SET)] = []
    """Values for In and NotIn."""


class LabelSelector(ApiModel):
    """Which objects are meant, by their labels. All requirements must hold."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "(has(self.matchLabels) && size(self.matchLabels) > 0) || "
                "(has(self.matchExpressions) && size(self.matchExpressions) > 0)",
                "name a label: an empty selector would mean all objects of the namespace",
            ),
            cel(
                "!has(self.matchLabels) || "
                f"self.matchLabels.all(key, size(key) > 0 && size(key) <= {_LONGEST_KEY})",
                f"the key of a label has 1 to {_LONGEST_KEY} characters",
            ),
        )
    )

    match_labels: Annotated[dict[LabelKey, LabelValue], Field(max_length=16)] = {}
    """Labels with these values."""
    match_expressions: Annotated[
        list[LabelRequirement], Field(max_length=16, json_schema_extra=ATOMIC)
    ] = []
    """Further requirements."""

    def plain(self) -> dict[str, Any]:
        """As metav1.LabelSelector."""
        return self.to_api()


class InstanceResource(ApiModel):
    """Instances of one kind, in the namespace of the Workflow."""

    kind: KindName
    """Kind of the instances, such as Job or CronJob; which kinds there are is the administrator's
    configuration.
    """
    group: Annotated[str, Field(max_length=253)] | None = None
    """API group of the kind, where several have it, such as argoproj.io."""
    selector: LabelSelector
    """Which objects are instances of this workflow."""
    policy: Policy | None = None
    """What becomes of them while the revision changes. By default that of the kind: Pin for a Job,
    Pause for a CronJob, which makes new ones.
    """
    afterwards: Afterwards = Afterwards.RESUME
    """What becomes of those that were paused, after the gate."""


class EngineToken(ApiModel):
    """Where the bearer token of an engine comes from."""

    secret_key_ref: KeyRef
    """A key of a Secret of type belay.dev/check-credentials, which the pods mount, too. Let Belay
    read it by a Role and a RoleBinding that name this Secret.
    """


class Engine(ApiModel):
    """Runs inside the target's pods, which speak the engine contract.

    They are paused before the delivery, kept in a backup, and go on after the gate: in their pod
    where it still lives, else in one of the new pods, on the content that they began with.
    """

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.policy) || self.policy != 'Pin' || !has(self.afterwards) || "
                "self.afterwards == 'Resume'",
                "policy: Pin pauses no run, so nothing becomes of them afterwards: leave out "
                "afterwards, or write policy: Pause",
            )
        )
    )

    port: Port
    """Container port of the contract, by number or name; the container must declare it."""
    token_from: EngineToken
    """Bearer token that the engine asks for."""
    workload: ObjectName | None = None
    """Name of the target's workload whose pods are engines. By default all are."""
    policy: Policy = Policy.PAUSE
    """What becomes of runs while the revision changes. Pin needs update: Reload, which ends no pod:
    runs finish on the content that they began with, on the way back too, and intake stays open,
    so new runs meet the new revision before its gate.
    """
    afterwards: RunsAfterwards = RunsAfterwards.RESUME
    """What becomes of paused runs after the gate. Restart needs an engine that tells the capability
    `restart`.
    """


class Instances(ApiModel):
    """What to pause while a revision changes."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.engine) || (has(self.resources) && size(self.resources) > 0)",
                "say what to pause: resources, or engine, or leave instances out",
            )
        )
    )

    resources: Annotated[
        list[InstanceResource],
        Field(max_length=8, json_schema_extra=list_map("kind")),
    ] = []
    """Kinds of instances, each with a selector."""
    engine: Engine | None = None
    """Runs inside the target's own pods."""
    on_pause_timeout: OnPauseTimeout = OnPauseTimeout.ABORT
    """What to do when instances do not pause within deadlines.pause, or when somebody else resumes
    them again and again.
    """
    after_revert: AfterRevert = AfterRevert.RESTART
    """What becomes of instances that ran on a revision that failed."""


class InstanceCounts(ApiModel):
    """How many instances there were, and what became of them."""

    found: int = 0
    """Not finished when the rollout paused."""
    pinned: int = 0
    """Left running, by policy."""
    already_suspended: int = 0
    """Suspended by somebody else, and left alone."""
    paused: int = 0
    """Paused for this rollout."""
    not_paused: int = 0
    """Not paused in time, and passed over by onPauseTimeout: Proceed."""
    contested: int = 0
    """Resumed by somebody else again after Belay had paused them twice."""
    resumed: int = 0
    """Let go on."""
    restarted: int = 0
    """Let go on with new pods: of a kind whose pause ends its pods. Runs that began anew."""
    cancelled: int = 0
    """Ended, by policy."""
    lost: int = 0
    """Runs whose pod ended before they were kept, or while they went on; the record names them."""
    lost_runs: Annotated[list[RunName], Field(max_length=16, json_schema_extra=ATOMIC)] = []
    """Ids of the first of those."""
    not_resumed: int = 0
    """Still paused when the time for it was over; Belay goes on trying."""
