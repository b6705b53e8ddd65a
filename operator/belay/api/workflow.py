"""Workflow: the long-lived thing that users name; what they wish for."""

import json
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Self

from pydantic import ConfigDict, Field

from belay.api.check import Check
from belay.api.duration import Duration, bounds
from belay.api.instances import Instances
from belay.api.model import (
    ApiModel,
    LabelName,
    ObjectName,
    RevisionName,
    cel,
    list_map,
    matches,
    validations,
)
from belay.api.names import DEFAULT_MOUNT_PATH
from belay.api.reports import Reports

# Every segment holds a character that is no dot: so neither `.` nor `..` nor nothing is one.
_MOUNT_PATH: Final = r"^(/[-A-Za-z0-9_.]*[-A-Za-z0-9_][-A-Za-z0-9_.]*)+$"


_ENGINES_RELOAD: Final = (
    "self.target.workloads.all(w, (has(self.instances.engine.workload) && "
    "w.name != self.instances.engine.workload) || (has(w.update) && w.update == 'Reload'))"
)


class TargetKind(StrEnum):
    """Kinds of workloads that a revision can be delivered to."""

    DEPLOYMENT = "Deployment"
    """Pods without identity, replaced in any order."""
    STATEFUL_SET = "StatefulSet"
    """Pods with a name and storage of their own, replaced one after the other."""
    DAEMON_SET = "DaemonSet"
    """One pod on each node."""
    ROLLOUT = "Rollout"
    """Argo Rollouts' own kind. Only where the administrator allows it."""


class TargetApiVersion(StrEnum):
    """API versions of these kinds."""

    APPS = "apps/v1"
    """For all kinds but a Rollout."""
    ARGO = "argoproj.io/v1alpha1"
    """For a Rollout."""


class Update(StrEnum):
    """How a new revision reaches the pods of a workload."""

    ROLLING = "Rolling"
    """The pod template changes, and Kubernetes rolls the pods."""
    IN_PLACE = "InPlace"
    """The ConfigMap `<workflow>-current` changes, and the application takes it up as it runs."""
    RELOAD = "Reload"
    """The same, and each pod is told by the engine contract: all validate it before any uses it."""


class Preview(StrEnum):
    """Where a revision is tried before anything live is touched."""

    POD = "Pod"
    """In one pod that no Service selects."""
    NONE = "None"
    """Nowhere; the first pods that run it are live ones."""


class OnInconclusive(StrEnum):
    """What to do when a deadline passes without a verdict."""

    HOLD = "Hold"
    """Leave it as it is, and tell someone."""
    REVERT = "Revert"
    """Put the stable revision back."""
    PROMOTE = "Promote"
    """Take it as proven."""


class OnFailure(StrEnum):
    """What to do when the revision fails."""

    REVERT = "Revert"
    """Put the stable revision back."""
    HOLD = "Hold"
    """Leave it for a person to look at."""


class Workload(ApiModel):
    """One workload in the namespace of the Workflow.

    Its owner consents by the annotation belay.dev/workflow, with the name of the Workflow.
    """

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "self.update != 'InPlace' || has(self.reports)",
                "update: InPlace needs to know what each pod runs: set reports, such as "
                "reports: {port: 8080, path: /current}",
            ),
            cel(
                "self.update == 'InPlace' || !has(self.reports)",
                "reports is for update: InPlace only: leave it out",
            ),
            cel(
                "(self.kind == 'Rollout') == (self.apiVersion == 'argoproj.io/v1alpha1')",
                "write apiVersion: argoproj.io/v1alpha1 for a Rollout, and apps/v1 for the others",
            ),
        )
    )

    api_version: TargetApiVersion = TargetApiVersion.APPS
    """API version of the workload."""
    kind: TargetKind
    """Kind of the workload."""
    name: ObjectName
    """Name of the workload."""
    container: LabelName | None = None
    """Container that gets the mounted folder. By default the one named by the annotation
    kubectl.kubernetes.io/default-container, or the only one.
    """
    update: Update = Update.ROLLING
    """How a new revision reaches the pods."""
    reports: Reports | None = None
    """Where each pod tells which content it runs. Required for update: InPlace."""

    @property
    def in_place(self) -> bool:
        """Whether its pods take a new revision up as they run."""
        return self.update in (Update.IN_PLACE, Update.RELOAD)


class Target(ApiModel):
    """The workloads that the active revision is delivered to."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "self == oldSelf",
                "target is immutable: restore it, or delete the Workflow (its pods keep running) "
                "and create it anew",
            )
        )
    )

    workloads: Annotated[
        list[Workload],
        Field(min_length=1, max_length=8, json_schema_extra=list_map("kind", "name")),
    ]
    """Workloads, 1 to 8. They get a revision together and are proven together."""
    mount_path: Annotated[
        str,
        Field(
            min_length=2,
            max_length=256,
            pattern=_MOUNT_PATH,
            json_schema_extra=matches(
                _MOUNT_PATH,
                "write an absolute path of letters, digits, hyphens, dots and underscores, without "
                ". or .. as a segment and without a slash at its end, such as /etc/belay",
            ),
        ),
    ] = DEFAULT_MOUNT_PATH
    """Folder in the container where current.json and revisions/ appear. At /etc/belay or below it,
    unless the administrator allows more.
    """


class Steady(ApiModel):
    """Checks that go on at rest."""

    period: Annotated[Duration, Field(json_schema_extra=bounds("1s", "1h"))] = "10s"
    """Time between two requests of one check to one pod, in place of the check's own period."""


class Verification(ApiModel):
    """How a revision is proven healthy."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!has(self.steady) || (has(self.checks) && self.checks.exists(one, "
                "!has(one.at) || 'Observation' in one.at))",
                "steady goes on with the checks at Observation, and there is none: add "
                "Observation to at of a check, or leave out steady",
            ),
        )
    )

    preview: Preview | None = None
    """Where the revision is tried before anything live is touched. By default Pod where all
    workloads have update: Rolling, else None.
    """
    checks: Annotated[list[Check], Field(max_length=16, json_schema_extra=list_map("name"))] = []
    """Checks. With none, the availability of the workload is the proof."""
    window: Annotated[Duration, Field(json_schema_extra=bounds("0s", "24h"))] = "1m"
    """How long real traffic is observed after the gate, before the revision counts as proven."""
    on_inconclusive: OnInconclusive = OnInconclusive.HOLD
    """What to do when a deadline passes without a verdict."""
    steady: Steady | None = None
    """Let the checks at Observation go on after a revision was promoted: `steady: {}`. They only
    tell, by the condition Serving and in metrics: nothing is reverted. Off by default.
    """


_DEADLINE = bounds("1s", "24h")


class Deadlines(ApiModel):
    """How long each phase may take. Time in which the Workflow is suspended does not count."""

    preview: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "2m"
    """For the preview pod to start and be proven."""
    pause: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "60s"
    """For running instances to pause; what then, instances.onPauseTimeout says."""
    backup: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "60s"
    """For paused runs of an engine to be stored."""
    deliver: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "5m"
    """For the workloads to complete their update."""
    verify: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "60s"
    """For the gate's checks to give a verdict."""
    resume: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "60s"
    """For paused instances to be let go. What is left then is named, and tried further."""
    revert_pause: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "10s"
    """For instances to pause before the way back; it never waits longer for them."""
    revert: Annotated[Duration, Field(json_schema_extra=_DEADLINE)] = "5m"
    """For the stable revision to be back and proven."""


class WorkflowSpec(ApiModel):
    """What the user wishes for. Belay never writes it."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!self.target.workloads.exists(w, has(w.update) && w.update == 'Reload') || "
                "(has(self.instances) && has(self.instances.engine))",
                "update: Reload speaks the engine contract: say on which port, by "
                "spec.instances.engine",
            ),
            cel(
                "!has(self.instances) || !has(self.instances.engine) || "
                "!has(self.instances.engine.workload) || "
                "(self.target.workloads.exists(w, w.name == self.instances.engine.workload) && "
                "self.target.workloads.all(w, !has(w.update) || w.update != 'Reload' || "
                "w.name == self.instances.engine.workload))",
                "spec.instances.engine.workload must name a workload of the target, and each with "
                "update: Reload",
            ),
            cel(
                "!has(self.instances) || !has(self.instances.engine) || "
                "!has(self.instances.engine.policy) || self.instances.engine.policy != 'Pin' || "
                f"{_ENGINES_RELOAD}",
                "spec.instances.engine.policy: Pin leaves runs in their pods, which only update: "
                "Reload keeps: write policy: Pause, or have update: Reload for each workload whose "
                "pods are engines",
            ),
            cel(
                "!has(self.instances) || !has(self.instances.engine) || "
                "!has(self.instances.afterRevert) || self.instances.afterRevert != 'Pin' || "
                f"{_ENGINES_RELOAD}",
                "spec.instances.afterRevert: Pin leaves runs in their pods, which only update: "
                "Reload keeps: write afterRevert: Restart or Cancel, or have update: Reload for "
                "each workload whose pods are engines",
            ),
        )
    )

    active_revision: RevisionName
    """Revision that should be active: `v3` means the WorkflowRevision
    `<name of this Workflow>-v3`. It may appear later.
    """
    suspend: bool = False
    """Take over by hand: Belay leaves the target alone while this is true. In mid-rollout the clock
    of the rollout stops, too.
    """
    target: Target
    """What the active revision is delivered to. Immutable."""
    instances: Instances | None = None
    """Running instances to pause while the revision changes. Without, none is looked at."""
    verification: Verification = Verification()
    """How a revision is proven healthy."""
    on_failure: OnFailure = OnFailure.REVERT
    """What to do when the revision fails."""
    deadlines: Deadlines = Deadlines()
    """How long each phase may take."""
    revision_history_limit: Annotated[int, Field(ge=0, le=100)] = 10
    """Revisions to keep of those that Belay's importer made (label belay.dev/managed). All others
    belong to whoever made them.
    """

    @property
    def default_preview(self) -> Preview:
        """Where a revision is tried first, unless it is told."""
        in_place = any(w.in_place for w in self.target.workloads)
        return Preview.NONE if in_place else Preview.POD

    @property
    def reloads(self) -> bool:
        """Whether pods are told of a new revision by the engine contract."""
        return any(w.update is Update.RELOAD for w in self.target.workloads)

    def reports(self, workload: Workload) -> Reports | None:
        """Where each pod tells what it runs; None where the template tells it."""
        engine = self.instances.engine if self.instances is not None else None
        if workload.update is Update.RELOAD and engine is not None:
            return Reports(port=engine.port, path="/readyz")
        return workload.reports

    @property
    def preview(self) -> Preview:
        """Where a revision is tried first."""
        return self.verification.preview or self.default_preview

    @cached_property
    def tried(self) -> str:
        """All of the spec that bears on the proof of a content, as JSON; asked again and again.

        Defaults are left out, so that a new optional field releases no quarantine. So is what bears
        on no proof: how a proven revision goes on being checked.
        """
        tried: dict[str, Any] = {"v": 1, "onFailure": self.on_failure.value}
        checks = [check.plain() for check in self.verification.checks]
        verification = self.verification.model_copy(update={"checks": checks})
        parts = {"target": self.target, "verification": verification, "instances": self.instances}
        for part, value in parts.items():
            if value is None:
                continue
            tried[part] = value.model_dump(
                mode="json",
                by_alias=True,
                exclude_none=True,
                exclude_defaults=True,
                exclude={"steady"},
            )
        if self.preview is self.default_preview:
            tried["verification"].pop("preview", None)
        return json.dumps(tried, sort_keys=True, separators=(",", ":"))

    def __copy__(self) -> Self:
        """Without what was computed: a copy is made to change a field."""
        copied = super().__copy__()
        copied.__dict__.pop("tried", None)
        return copied
