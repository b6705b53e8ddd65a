"""What one pass over one Workflow knows: the input of `decide`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from belay.api.instance_kinds import SHIPPED, InstanceKind
from belay.api.revision import WorkflowRevisionSpec
from belay.api.status import Baseline, RevisionRef, WorkflowStatus
from belay.api.words import Reason
from belay.api.workflow import WorkflowSpec
from belay.core.engine.view import EngineView
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Tally
from belay.core.instances.view import Instances
from belay.core.keys import Key
from belay.core.pods import Pod
from belay.core.workloads import WorkloadView


@dataclass(frozen=True, slots=True)
class RevisionView:
    """A WorkflowRevision that was read, and whose digests were found to be right."""

    uid: str
    spec: WorkflowRevisionSpec
    content: str
    """The decoded definition."""

    @property
    def ref(self) -> RevisionRef:
        return RevisionRef(
            revision=self.spec.revision,
            digest=self.spec.digest,
            content_digest=self.spec.content_digest,
            uid=self.uid,
            format=self.spec.format,
            bindings=self.spec.bindings,
        )


@dataclass(frozen=True, slots=True)
class DamagedRevision:
    """A WorkflowRevision that cannot be used, such as one whose digest does not fit."""

    name: str
    damage: str


@dataclass(frozen=True, slots=True)
class KnownRevision:
    """What is known of a revision without its body."""

    name: str
    uid: str
    managed: bool
    created: str
    """RFC 3339, as the API server wrote it."""


@dataclass(frozen=True, slots=True)
class ConfigMapView:
    """A delivered ConfigMap."""

    name: str
    uid: str
    first_name: str
    owners: frozenset[str]
    content: str | None
    """Its bytes, where they have the digest that its name promises."""


@dataclass(frozen=True, slots=True)
class ServiceView:
    """The pods behind the Service of one check."""

    ports: Mapping[str, int]
    """Port to dial, by UID of each pod behind it."""
    problem: str | None = None
    """Why the Service cannot be asked, such as one without a selector."""
    target_port: int | str = ""
    """The Service's own word on that port: a number, or the name of a container port."""

    def port(self, pod: Pod) -> int | None:
        """Port to dial; None where the EndpointSlice says another one than Service and pod."""
        meant = self.target_port
        wanted = meant if isinstance(meant, int) else pod.named_ports.get(meant)
        return wanted if wanted == self.ports.get(pod.uid) else None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something was, or would be, refused."""

    reason: Reason
    message: str
    passing: bool = False
    """Whether it may be another answer in a moment."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What the server said of the delivery before anything was touched."""

    refusal: Refusal | None
    baseline: tuple[Baseline, ...]


@dataclass(frozen=True, slots=True)
class Observed:
    """One Workflow and all of the cluster that the pass needed to read."""

    key: Key
    uid: str
    generation: int
    spec: WorkflowSpec
    status: WorkflowStatus
    written: WorkflowStatus | None = None
    """The status in the cluster, where `status` has been thought on already."""
    retry: str | None = None
    abort: str | None = None
    restore: str | None = None
    known: tuple[KnownRevision, ...] = ()
    known_complete: bool = False
    """The list of known revisions is complete, so absence means something."""
    revision: RevisionView | DamagedRevision | None = None
    """The wanted revision, where it was looked for and is there."""
    fallback: RevisionView | DamagedRevision | None = None
    """The object of the revision to deliver, to go back to, or that was found running; read only
    when its ConfigMap is missing.
    """
    workloads: tuple[WorkloadView, ...] = ()
    config_maps: Mapping[str, ConfigMapView] = field(default_factory=dict)
    """Delivered ConfigMaps by name."""
    preview: Pod | None = None
    instances: Instances | None = None
    """Running instances, where the pass needs them."""
    engine: EngineView | None = None
    """The engine and its runs, where the pass needs them."""
    services: Mapping[str, ServiceView] = field(default_factory=dict)
    """By name of the check that asks them."""
    tallies: tuple[Tally, ...] = ()
    session: str = ""
    """Session that the tallies belong to."""
    lost_contact: LostContact | None = None
    """Probing is suspended for all Workflows: what checks hear decides nothing."""
    looking_since: datetime | None = None
    """When this process began to look at this phase of this rollout."""
    dry_run: DryRun | None = None
    failure: Refusal | None = None
    """What the server said to an action of the pass just before."""
    garbage: Mapping[str, str] = field(default_factory=dict)
    """UIDs of delivered ConfigMaps that nothing needs, by name."""
    allowed_mounts: tuple[str, ...] = ("/etc/belay",)
    host_network_allowed: bool = False
    """The administrator lets checks ask pods on the host network."""
    instance_kinds: tuple[InstanceKind, ...] = SHIPPED
    """Kinds of instances that the administrator has configured."""
    allowed_kinds: frozenset[str] = frozenset()
    """Kinds of targets that the administrator allows besides the built-in ones, by their option."""

    def to_write(self, status: WorkflowStatus) -> WorkflowStatus | None:
        """The status, where it is another one than in the cluster."""
        there = self.written or self.status
        return None if status is there or status == there else status

    def of(self, workloads: tuple[WorkloadView, ...]) -> "Observed":
        """The same of some of its workloads."""
        return self if workloads == self.workloads else replace(self, workloads=workloads)
