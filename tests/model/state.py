"""One state of the model: what the API server keeps, and what one operator process remembers.

All parts are immutable and shared between states; `key` says which states are the same one.
"""

import json
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache

from tests.unit.core import world
from tests.unit.core.world import NOW, UID, Raw, seconds

from belay.api.instance_kinds import SHIPPED
from belay.api.instances import Policy
from belay.api.status import Rollout, WorkflowStatus
from belay.api.workflow import TargetKind, WorkflowSpec, Workload
from belay.core import milestones
from belay.core.decision import Action
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import ProbePlan, Tally
from belay.core.instances.view import InstanceView
from belay.core.milestones import Milestone
from belay.core.observed import (
    ConfigMapView,
    DryRun,
    KnownRevision,
    Refusal,
    RevisionView,
)
from belay.core.pods import Pod, read_pod
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import mounted_container, read_workload

LONG_AGO = -120
"""Seconds since a deadline after which it makes no difference how many more pass."""
REVISIONS: dict[str, RevisionView] = {
    "v1": world.revision("v1"),
    "v1.again": world.revision("v1.again", "v1"),
    "v2": world.revision("v2"),
    "v3": world.revision("v3"),
}
KNOWN = tuple(
    KnownRevision(n, f"uid-of-{n}", managed=True, created=world.stamp(NOW + seconds(i)))
    for i, n in enumerate(REVISIONS)
)
CONTENTS = {r.spec.content_digest: n.removesuffix(".again") for n, r in REVISIONS.items()}
"""Names of contents by their digest."""


THEIRS = "theirs"
"""The Job that its owner suspended."""


class Progress(IntEnum):
    """How far a controller or a kubelet is."""

    UNSEEN = 0
    STARTING = 1
    READY = 2


class Kept:
    """A status with its canonical form: without times, messages and uids."""

    __slots__ = ("key", "status", "told")

    def __init__(self, status: WorkflowStatus) -> None:
        self.status = status
        self.key = _status_key(status)
        self.told = names(milestones.known(status, NOW))
        """Events that each process tells that reads it: the one before it may have died."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What people wrote into the Workflow."""

    spec: WorkflowSpec
    generation: int = 1
    retry: str | None = None
    abort: str | None = None

    @property
    def key(self) -> Hashable:
        spec = self.spec
        return spec.active_revision, spec.suspend, self.generation, self.retry, self.abort


@dataclass(frozen=True, slots=True)
class Target:
    """A Deployment of one pod."""

    born: int = 1
    template: str = field(default_factory=lambda: dumped(world.template()))
    generation: int = 1
    progress: Progress = Progress.READY
    by: str = ""
    """Who else wrote the template last."""

    @property
    def carries(self) -> str | None:
        carried = self.view.carried
        return CONTENTS[carried.content_digest] if carried else None

    @property
    def view(self) -> WorkloadView:
        return _view(self.born, self.template, self.generation, self.progress, self.by)

    @property
    def key(self) -> Hashable:
        return self.born, self.template, self.progress, self.by


@dataclass(frozen=True, slots=True)
class PreviewPod:
    body: str
    progress: Progress = Progress.STARTING

    @property
    def pod(self) -> Pod:
        return _preview(self.body, self.progress)

    @property
    def owners(self) -> frozenset[str]:
        return _owners(self.body)


@dataclass(frozen=True, slots=True)
class Job:
    """A running instance."""

    name: str
    suspended: bool = False
    stands: bool = False
    holder: str = ""
    again: str = ""

    @property
    def view(self) -> InstanceView:
        return InstanceView(
            kind=SHIPPED[0],
            name=self.name,
            uid=f"uid-of-{self.name}",
            policy=Policy.PAUSE,
            holder=self.holder,
            again=self.again,
            suspended=self.suspended,
            stands=self.suspended and self.stands,
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """What is durable."""

    wish: Wish
    status: Kept
    target: Target | None = field(default_factory=Target)
    config_maps: tuple[ConfigMapView, ...] = ()
    """By name."""
    preview: PreviewPod | None = None
    jobs: tuple[Job, ...] = ()
    uid: str | None = UID
    """Of the Workflow; None where it is deleted."""

    @property
    def rollout(self) -> Rollout | None:
        """The rollout under way, by the status."""
        rollout = self.status.status.rollout
        return rollout if rollout is not None and rollout.outcome is None else None

    @property
    def key(self) -> Hashable:
        return (
            self.wish.key,
            self.status.key,
            self.target.key if self.target else None,
            tuple((c.name, c.owners) for c in self.config_maps),
            self.preview,
            self.jobs,
            self.uid,
        )


@dataclass(frozen=True, slots=True)
class WriteStatus:
    kept: Kept


@dataclass(frozen=True, slots=True)
class Tell:
    told: tuple[Milestone, ...]


Call = Action | WriteStatus | Tell


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn under way: what it has read, and the calls of its last decision that are to come."""

    read: Cluster
    calls: tuple[Call, ...] = ()
    again: bool = True
    dry_run: DryRun | None = None
    failure: Refusal | None = None

    @property
    def key(self) -> Hashable:
        refused = self.dry_run.refusal if self.dry_run else None
        calls = tuple(_call_key(c) for c in self.calls)
        baseline = tuple(b.verdict for b in self.dry_run.baseline) if self.dry_run else None
        return self.read.key, calls, self.again, baseline, refused, self.failure


@dataclass(frozen=True, slots=True)
class Operator:
    """What one process remembers."""

    awake: bool = True
    follows: bool = False
    looks_again: bool = False
    turn: Turn | None = None
    plan: ProbePlan | None = None
    tallies: tuple[Tally, ...] = ()
    looking: tuple[str, int] | None = None
    lost_contact: LostContact | None = None


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the oracles remember: no part of the system."""

    events: frozenset[tuple[str, str]] = frozenset()
    reverts: tuple[str, ...] = ()
    """Rollouts that began a way back."""
    ended: tuple[tuple[str, str], ...] = ()
    """Id and outcome of each rollout that ended."""
    disturbed: tuple[str, ...] = ()
    """What happened to this run, in order."""
    status_writes: int = 0
    target_writes: int = 0
    """Of the latest rollout."""


@dataclass(frozen=True, slots=True)
class State:
    cluster: Cluster
    operator: Operator = field(default_factory=Operator)
    ledger: Ledger = field(default_factory=Ledger)
    cut_off: bool = False
    """No check gets an answer, of this and of all other Workflows."""
    now: int = 0

    @property
    def key(self) -> Hashable:
        operator, ledger, rollout = self.operator, self.ledger, self.cluster.rollout
        deadline = rollout.deadline if rollout else None
        left = int((deadline - NOW).total_seconds()) - self.now if deadline else 0
        late = looks = 0
        if rollout is not None and operator.looking is not None:
            started = int((rollout.phase_started_at - NOW).total_seconds())
            late = operator.looking[1] - started
            looks = self.now - operator.looking[1]
        return (
            self.cluster.key,
            operator.awake,
            operator.follows,
            operator.looks_again,
            operator.turn.key if operator.turn else None,
            operator.plan.session if operator.plan else None,
            tuple(p.ready for p in operator.plan.probes) if operator.plan else (),
            tuple((t.check, t.pod_uid, t.passes, t.fails, t.tries) for t in operator.tallies),
            operator.looking is None,
            operator.lost_contact is None,
            self.cut_off,
            max(left, LONG_AGO),
            min(max(late, 0), -LONG_AGO),
            min(looks, -LONG_AGO) if left <= LONG_AGO else 0,
            ledger.events,
            ledger.reverts,
            ledger.ended,
            tuple(sorted(ledger.disturbed)),
            ledger.status_writes,
            ledger.target_writes,
        )


def dumped(raw: Raw) -> str:
    return json.dumps(raw, sort_keys=True)


WANTED = Workload(kind=TargetKind.DEPLOYMENT, name="triage")
ABSENT = read_workload(WANTED, None, (), ())


@cache
def _view(born: int, template: str, generation: int, progress: Progress, by: str) -> WorkloadView:
    raw = world.deployment(replicas=1)
    shape = json.loads(template)
    raw["metadata"] |= {"uid": f"uid-of-triage-{born}", "generation": generation}
    if by:
        entry = {"manager": by, "fieldsV1": {"f:spec": {"f:template": {}}}}
        raw["metadata"]["managedFields"] = [entry]
    raw["spec"]["template"] = shape
    ready = progress is Progress.READY
    raw["status"] = {
        "observedGeneration": generation - (progress is Progress.UNSEEN),
        "replicas": 1 + (progress is Progress.STARTING),
        "updatedReplicas": 1,
        "availableReplicas": 1,
    }
    if progress is Progress.UNSEEN:
        return read_workload(WANTED, raw, [], [])
    owner = f"rs-{born}-{generation}"
    kept = {
        "metadata": {"uid": owner, "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {"template": shape},
    }
    pod = world.pod(f"triage-{born}-{generation}", owner, like=shape, ready=ready)
    return read_workload(WANTED, raw, [kept], [pod])


@cache
def _preview(body: str, progress: Progress) -> Pod:
    raw: Raw = json.loads(body)
    made = world.pod(raw["metadata"]["name"], like=raw, ready=progress is Progress.READY)
    return read_pod(made, mounted_container(made["spec"]))


def names(told: tuple[Milestone, ...]) -> frozenset[tuple[str, str]]:
    """Of events."""
    return frozenset((m.occasion, str(m.reason)) for m in told)


@cache
def _owners(body: str) -> frozenset[str]:
    return frozenset(o["uid"] for o in json.loads(body)["metadata"].get("ownerReferences", []))


def _status_key(status: WorkflowStatus) -> Hashable:
    rollout = status.rollout
    return (
        status.observed_generation,
        status.phase,
        status.active.revision if status.active else None,
        status.stable.revision if status.stable else None,
        tuple((c.type, c.status, c.reason) for c in status.conditions),
        _rollout_key(rollout) if rollout else None,
        tuple(q.attempt_digest for q in status.quarantine),
        status.last_handled_retry,
        status.last_handled_abort,
        tuple((h.id, h.outcome, h.times) for h in status.history),
    )


def _rollout_key(rollout: Rollout) -> Hashable:
    return (
        rollout.id,
        rollout.trigger,
        rollout.to.revision,
        rollout.attempt_digest,
        rollout.phase,
        rollout.suspended_at is None,
        rollout.activated_at is None,
        rollout.delivered,
        rollout.inherited,
        rollout.paused,
        str(rollout.instances),
        tuple((t.uid, t.template_hash, t.changed_by) for t in rollout.targets),
        tuple(b.verdict for b in rollout.baseline),
        rollout.ending,
        rollout.outcome,
        rollout.reason,
    )


def _call_key(call: Call) -> Hashable:
    match call:
        case WriteStatus(kept):
            return "status", kept.key
        case Tell(told):
            return "tell", names(told)
        case _:
            return call.told
