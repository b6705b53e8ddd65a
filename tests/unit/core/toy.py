"""A toy cluster around `decide`: it obeys actions, rolls pods and answers probes as told.

It reads for a decision only what `reading` asks for, as the real observer does, and hands every
status through its API form.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from tests.unit.core import world
from tests.unit.core.world import KEY, NOW, UID, Raw, seconds

from belay.api.instance_kinds import SHIPPED
from belay.api.names import (
    ANNOTATION_CONTENT_DIGEST,
    ANNOTATION_REVISION,
    LABEL_PAUSED_BY,
    MANAGER_DELIVERY,
    VOLUME,
)
from belay.api.status import Baseline, WorkflowStatus
from belay.api.words import ConditionType, Phase, Verdict
from belay.api.workflow import WorkflowSpec
from belay.core import reading
from belay.core.decide import decide, under_way
from belay.core.decision import (
    Action,
    ApplyTemplate,
    CreatePreview,
    Decision,
    DeleteConfigMap,
    DeletePod,
    DeletePreview,
    DeleteRevision,
    EnsureConfigMap,
    InstanceWrite,
    PauseInstances,
    ResumeInstances,
    TryDelivery,
)
from belay.core.delivery import config_map_name
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Sample, Tally, judge
from belay.core.instances.view import Instances, Look, Unseen, read_instance
from belay.core.observed import (
    ConfigMapView,
    DamagedRevision,
    DryRun,
    KnownRevision,
    Observed,
    Refusal,
    RevisionView,
)
from belay.core.pods import read_pod
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import mounted_container, read_workload

MOST_STEPS = 24


class Mode(Enum):
    """How pods with one content behave."""

    GOOD = auto()
    WRONG = auto()
    """Ready, and answers wrongly."""
    SILENT = auto()
    """Ready, and no probe gets through."""
    UNREADY = auto()
    """Runs and never gets ready."""
    CRASHING = auto()
    NO_IMAGE = auto()
    NO_ROOM = auto()
    NO_QUOTA = auto()
    """The workload's controller may make no pods."""


class Toy:
    """One Workflow, its revisions and its targets."""

    def __init__(self, spec: WorkflowSpec | None = None, *, revisions: int = 4) -> None:
        self.spec = spec or world.spec()
        self.generation = 1
        self.status = WorkflowStatus()
        self.retry: str | None = None
        self.abort: str | None = None
        self.now = NOW
        names = [f"v{n}" for n in range(1, revisions + 1)]
        self.revisions: dict[str, RevisionView | DamagedRevision] = {
            n: world.revision(n) for n in names
        }
        self.modes: dict[str, Mode] = {}
        """By content digest; good where nothing is said."""
        self.workloads: dict[str, Raw] = {
            w.name: world.deployment(w.name) for w in self.spec.target.workloads
        }
        self.replica_sets: list[Raw] = []
        self.pods: list[Raw] = []
        self.preview: Raw | None = None
        self.instances: list[Raw] = []
        self.unseen: dict[str, Unseen] = {}
        """Kinds of instances that may not be listed."""
        self.stubborn: set[str] = set()
        """Names of instances whose pods do not end."""
        self.config_maps: dict[str, ConfigMapView] = {}
        self.refusals: dict[type, Refusal] = {}
        """What the server says to actions of a type; of TryDelivery, to the dry run."""
        self.plan: ProbePlan | None = None
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.looking: tuple[str, datetime] | None = None
        self.lost_contact: LostContact | None = None
        self.dry_run: DryRun | None = None
        self.failure: Refusal | None = None
        self.decisions: list[Decision] = []
        self.writes = 0
        self.events: dict[tuple[str, str], str] = {}
        self.watchers: list[Callable[[Observed, Decision], None]] = []
        self._made = 0

    # What people do

    def wish(self, revision: str | None = None, **more: Any) -> "Toy":
        """Patch the spec; keywords as for `world.spec`."""
        update = dict(more)
        verification = {k: update.pop(k) for k in list(update) if k in _VERIFICATION}
        if verification:
            update["verification"] = self.spec.verification.model_copy(update=verification)
        if revision is not None:
            update["active_revision"] = revision
        patched = self.spec.model_copy(update=update)
        if patched != self.spec:
            self.spec, self.generation = patched, self.generation + 1
        return self

    def behaves(self, revision: str, mode: Mode) -> "Toy":
        found = self.revisions[revision]
        assert isinstance(found, RevisionView)
        self.modes[found.spec.content_digest] = mode
        return self

    def change_image(self, image: str, name: str = "triage") -> "Toy":
        """Somebody else changes the pod template."""
        raw = self.workloads[name]
        raw["spec"]["template"]["spec"]["containers"][0]["image"] = image
        return self._touched(raw, "kubectl-set")

    def undo(self, name: str = "triage") -> "Toy":
        """Somebody else takes our fields out of the template."""
        raw = self.workloads[name]
        raw["spec"]["template"] = applied(raw["spec"]["template"], None)
        return self._touched(raw, "kubectl-rollout")

    def starts(self, *names: str, kind: str = "Job", suspended: bool = False) -> "Toy":
        """Somebody starts instances."""
        for name in names:
            self.instances.append(world.instance(kind, name, suspended=suspended))
        return self

    def resumes(self, name: str) -> "Toy":
        """Somebody else lets an instance go on."""
        for raw in self.instances:
            if raw["metadata"]["name"] == name:
                raw["spec"]["suspend"] = False
        return self

    @property
    def held(self) -> list[str]:
        """Names of instances that carry our label."""
        labelled = (r["metadata"] for r in self.instances if r["metadata"].get("labels"))
        return [m["name"] for m in labelled if LABEL_PAUSED_BY in m["labels"]]

    @property
    def suspended(self) -> list[str]:
        return [r["metadata"]["name"] for r in self.instances if r["spec"]["suspend"]]

    def lose_contact(self) -> "Toy":
        """Half of all Workflows fall silent together."""
        self.lost_contact = LostContact(self.now, lost=4, probed=6)
        return self

    def find_contact(self) -> "Toy":
        """As the prober: what was seen so far counts no more."""
        self.lost_contact, self.looking = None, None
        self.tallies = {at: tally.anew() for at, tally in self.tallies.items()}
        return self

    def _touched(self, raw: Raw, manager: str) -> "Toy":
        raw["metadata"]["generation"] += 1
        entry = {"manager": manager, "time": world.stamp(self.now)}
        entry["fieldsV1"] = {"f:spec": {"f:template": {}}}
        raw["metadata"]["managedFields"].append(entry)
        return self

    def advance(self, time: float) -> "Toy":
        self.now += seconds(time)
        return self

    # Turns

    def turn(self) -> "Toy":
        """As the reconciler: decide and act until there is nothing to do at once."""
        self.dry_run = self.failure = None
        for _ in range(MOST_STEPS):
            if not self.step().again:
                return self
        raise AssertionError(f"a turn has no end at {self.status.phase}")

    def step(self) -> Decision:
        """One decision, carried out."""
        seen = self.observe()
        decision = decide(seen, self.now)
        for watcher in self.watchers:
            watcher(seen, decision)
        self.decisions.append(decision)
        self.failure = None
        self._pursue(decision.probes)
        for action in decision.actions:
            self.failure = self.failure or self._act(action)
        if self.failure is not None:
            return replace(decision, again=True)
        if decision.status is not None:
            self.writes += 1
            self.status = WorkflowStatus.model_validate(decision.status.to_api(defaults=False))
        for milestone in decision.milestones:
            self.events.setdefault((milestone.occasion, milestone.reason), milestone.note)
        return decision

    def run(self, until: str | Phase | None = None, *, most: int = 400, pace: float = 1.0) -> "Toy":
        """Turn after turn, until a phase is reached or, without one, all is at rest."""
        for _ in range(most):
            self.turn()
            if self.status.phase == until or (until is None and self.at_rest):
                return self
            self.kubelet()
            self.probe()
            self.advance(pace)
        raise AssertionError(f"after {most} turns still {self.status.phase}, not {until}")

    @property
    def at_rest(self) -> bool:
        return under_way(self.observe()) is None

    def restart(self) -> "Toy":
        """The operator process is another one: its memory is empty."""
        self.plan, self.looking = None, None
        self.tallies.clear()
        return self

    # What is to be seen

    def says(self, kind: ConditionType) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = world.condition(self.status, kind)
        return (found.status, found.reason) if found else ("absent", "")

    def message(self, kind: ConditionType = ConditionType.READY) -> str:
        found = world.condition(self.status, kind)
        return found.message if found else ""

    def carries(self, name: str = "triage") -> str | None:
        """The revision that the live template came with first."""
        annotations = self.workloads[name]["spec"]["template"]["metadata"].get("annotations") or {}
        return annotations.get(ANNOTATION_REVISION)

    def observe(self) -> Observed:
        status = self.status
        seen = Observed(
            key=KEY,
            uid=UID,
            generation=self.generation,
            spec=self.spec,
            status=status,
            retry=self.retry,
            abort=self.abort,
            known=tuple(
                KnownRevision(n, f"uid-of-{n}", managed=True, created=world.stamp(NOW + seconds(i)))
                for i, n in enumerate(sorted(self.revisions))
            ),
            known_complete=True,
            tallies=tuple(self.tallies.values()),
            session=self.plan.session if self.plan else "",
            lost_contact=self.lost_contact,
            looking_since=self._look(status),
            dry_run=self.dry_run,
            failure=self.failure,
        )
        needs = reading.needs(seen)
        seen = replace(
            seen,
            revision=self.revisions.get(self.spec.active_revision) if needs.revision else None,
            preview=self._read_preview() if needs.preview else None,
            workloads=self._views(needs.pods) if needs.workloads else (),
            instances=self._instances(needs.instances),
        )
        names = [config_map_name(KEY.name, r.content_digest) for r in reading.contents(seen)]
        found = {n: self.config_maps[n] for n in names if n in self.config_maps}
        seen = replace(seen, config_maps=found)
        source = reading.source(seen)
        if source and config_map_name(KEY.name, source.content_digest) not in found:
            return replace(seen, fallback=self.revisions.get(source.revision))
        return seen

    # The cluster

    def kubelet(self) -> "Toy":
        """Controllers and kubelet do their next piece of work."""
        for raw in self.workloads.values():
            self._roll(raw)
        if self.preview is not None:
            made = datetime.fromisoformat(self.preview["metadata"]["creationTimestamp"])
            mode = self._mode(self.preview["metadata"]["annotations"])
            self.preview = self._run_pod(self.preview["metadata"]["name"], "", self.preview, mode)
            self.preview["metadata"]["creationTimestamp"] = world.stamp(made)
        return self

    def probe(self) -> "Toy":
        """Every probe asks once."""
        for probe in self.plan.probes if self.plan else ():
            mode = self._mode(self._pod_annotations(probe.pod))
            answer = {Mode.WRONG: Answer.WRONG, Mode.SILENT: Answer.NONE}.get(mode, Answer.RIGHT)
            got = {Answer.WRONG: "500 instead of 200", Answer.NONE: "no answer within 1 s"}
            sample = Sample(answer, got.get(answer, "200"), self.now)
            verdict = judge(sample, ready=probe.ready, another_answered=False)
            at = (probe.check.name, probe.pod_uid)
            self.tallies[at] = self.tallies[at].count(sample, verdict)
        return self

    def _act(self, action: Action) -> Refusal | None:
        refusal = self.refusals.get(type(action))
        match action:
            case TryDelivery():
                self.dry_run = DryRun(refusal, tuple(self._ask_once(action.baseline)))
                return None
            case _ if refusal is not None:
                return refusal
            case EnsureConfigMap(body):
                self._ensure_config_map(body)
            case CreatePreview(body):
                body = deepcopy(body)
                body["metadata"] |= {
                    "uid": f"uid-of-{body['metadata']['name']}",
                    "creationTimestamp": world.stamp(self.now),
                }
                mode = self._mode(body["metadata"]["annotations"])
                self.preview = self._run_pod(
                    body["metadata"]["name"], "", body, mode, started=False
                )
            case DeletePreview():
                self.preview = None
            case ApplyTemplate(body):
                self._apply(body)
            case PauseInstances(writes) | ResumeInstances(writes):
                self._own(writes)
            case _:
                self._delete(action)
        return None

    def _delete(self, action: Action) -> None:
        match action:
            case DeletePod(_, uid):
                self.pods = [p for p in self.pods if p["metadata"]["uid"] != uid]
            case DeleteConfigMap(name):
                self.config_maps.pop(name, None)
            case DeleteRevision(name):
                self.revisions.pop(name.removeprefix(f"{KEY.name}-"), None)

    def _own(self, writes: tuple[InstanceWrite, ...]) -> None:
        for write in writes:
            self._own_one(write)

    def _own_one(self, write: InstanceWrite) -> None:
        """Server-side apply of our label and the one field."""
        uid = write.body["metadata"]["uid"]
        for raw in self.instances:
            if raw["metadata"]["uid"] == uid:
                ours = LABEL_PAUSED_BY in (raw["metadata"].get("labels") or {})
                raw["metadata"]["labels"] = write.body["metadata"].get("labels", {})
                if "spec" in write.body:
                    raw["spec"] |= write.body["spec"]
                elif ours:
                    raw["spec"]["suspend"] = False

    def _instances(self, look: Look) -> Instances | None:
        if look is Look.NONE:
            return None
        rollout = under_way_id(self.status)
        wanted = self.spec.instances
        views = []
        for raw in self.instances:
            kind = next(k for k in SHIPPED if k.kind == raw["kind"])
            entries = wanted.resources if wanted is not None else ()
            entry = next((e for e in entries if e.kind == raw["kind"]), None)
            views.append(read_instance(kind, raw, entry, self.stubborn))
        if look is Look.HELD or wanted is None:
            views = [v for v in views if v.holder == UID]
        seen = (v for v in views if v.kind.kind not in self.unseen)
        return Instances(UID, rollout, tuple(seen), tuple(self.unseen.values()))

    def _ensure_config_map(self, body: Raw) -> None:
        metadata = body["metadata"]
        name = metadata["name"]
        before = self.config_maps.get(name)
        owners = frozenset(o["uid"] for o in metadata["ownerReferences"])
        first = metadata["annotations"][ANNOTATION_REVISION]
        content = next(iter(body["data"].values()))
        self.config_maps[name] = ConfigMapView(
            name, f"uid-of-{name}", before.first_name if before else first, owners, content
        )

    def _apply(self, body: Raw) -> None:
        """Server-side apply of our fields: what is left out goes; defaults appear."""
        raw = self.workloads[body["metadata"]["name"]]
        assert raw["metadata"]["uid"] == body["metadata"]["uid"]
        before = raw["spec"]["template"]
        after = applied(before, body.get("spec", {}).get("template"))
        if after != before:
            raw["spec"]["template"] = after
            self._touched(raw, MANAGER_DELIVERY)

    def _roll(self, raw: Raw) -> None:
        shape, name, uid = raw["spec"]["template"], raw["metadata"]["name"], raw["metadata"]["uid"]
        mine = [r for r in self.replica_sets if r["owner"] == uid]
        newest = next((r for r in mine if r["spec"]["template"] == shape), None)
        if newest is None:
            self._made += 1
            newest = {
                "owner": uid,
                "metadata": {"uid": f"rs-{self._made}", "annotations": {}},
                "spec": {"template": deepcopy(shape)},
            }
            self.replica_sets.append(newest)
        owner = newest["metadata"]["uid"]
        revisions = [int(r["metadata"]["annotations"].get(_REVISION, 0)) for r in mine]
        newest["metadata"]["annotations"][_REVISION] = str(max([0, *revisions]) + 1)
        mode = self._mode(shape["metadata"].get("annotations") or {})
        replicas = 0 if mode is Mode.NO_QUOTA else int(raw["spec"]["replicas"])
        sets = {r["metadata"]["uid"] for r in mine} | {owner}
        old = [p for p in self.pods if _owner(p) in sets - {owner}]
        new = [
            self._run_pod(
                f"{name}-{owner}-{n}", owner, {"metadata": shape["metadata"], **shape}, mode
            )
            for n in range(replicas)
        ]
        ready = sum(_ready(p) for p in new)
        kept = [] if ready == int(raw["spec"]["replicas"]) else old
        others = [p for p in self.pods if _owner(p) not in sets]
        self.pods = [*others, *kept, *new]
        raw["status"] = {
            "observedGeneration": raw["metadata"]["generation"],
            "replicas": len(kept) + len(new),
            "updatedReplicas": len(new),
            "availableReplicas": ready + sum(_ready(p) for p in kept),
            "conditions": _QUOTA if mode is Mode.NO_QUOTA else [],
        }

    def _run_pod(
        self, name: str, owner: str, like: Raw, mode: Mode, *, started: bool = True
    ) -> Raw:
        before = next((p for p in self.pods if p["metadata"]["name"] == name), None)
        made = before["metadata"]["creationTimestamp"] if before else world.stamp(self.now)
        states: dict[Mode, Raw] = {
            Mode.UNREADY: {"ready": False},
            Mode.CRASHING: {"ready": False, "restarts": 3},
            Mode.NO_IMAGE: {"ready": False, "state": {"waiting": {"reason": "ErrImageNeverPull"}}},
            Mode.NO_ROOM: {
                "ready": False,
                "containerStatuses": [],
                "conditions": [{"type": "PodScheduled", "status": "False", "message": "no room"}],
            },
        }
        state = states.get(mode, {}) if started else {"ready": False, "containerStatuses": []}
        return world.pod(name, owner, like=like, created=datetime.fromisoformat(made), **state)

    def _mode(self, annotations: Raw) -> Mode:
        return self.modes.get(annotations.get(ANNOTATION_CONTENT_DIGEST, ""), Mode.GOOD)

    def _pod_annotations(self, name: str) -> Raw:
        everyone = [*self.pods, *([self.preview] if self.preview else [])]
        return next(
            (p["metadata"]["annotations"] for p in everyone if p["metadata"]["name"] == name), {}
        )

    def _ask_once(self, plan: ProbePlan) -> list[Baseline]:
        modes = {p.check.name: self._mode(self._pod_annotations(p.pod)) for p in plan.probes}
        return [
            Baseline(check=c, verdict=Verdict.FAIL if m is Mode.WRONG else Verdict.PASS)
            for c, m in modes.items()
        ]

    def _views(self, pods: bool) -> tuple[WorkloadView, ...]:
        return tuple(self._view(w, pods) for w in self.spec.target.workloads)

    def _view(self, wanted: Any, pods: bool) -> WorkloadView:
        raw = deepcopy(self.workloads.get(wanted.name))
        uid = raw["metadata"]["uid"] if raw else ""
        owned = [r for r in self.replica_sets if r["owner"] == uid] if pods else []
        return read_workload(wanted, raw, owned, self.pods if pods else [])

    def _read_preview(self) -> Any:
        if self.preview is None:
            return None
        return read_pod(self.preview, mounted_container(self.preview["spec"]))

    def _look(self, status: WorkflowStatus) -> datetime | None:
        rollout = status.rollout
        if rollout is None or rollout.outcome is not None:
            self.looking = None
            return None
        at = f"{rollout.id}/{rollout.phase}/{rollout.suspended_at}"
        if self.looking is None or self.looking[0] != at:
            self.looking = (at, self.now)
        return self.looking[1]

    def _pursue(self, plan: ProbePlan | None) -> None:
        if plan is None or self.plan is None or plan.session != self.plan.session:
            self.tallies.clear()
        self.plan = plan
        asked = {(p.check.name, p.pod_uid): p for p in plan.probes} if plan else {}
        self.tallies = {at: self.tallies.get(at) or _blank(probe) for at, probe in asked.items()}


def under_way_id(status: WorkflowStatus) -> str:
    rollout = status.rollout
    return rollout.id if rollout is not None and rollout.outcome is None else ""


def applied(shape: Raw, ours: Raw | None) -> Raw:
    """A pod template after our apply and the API server's defaulting."""
    after = deepcopy(shape)
    annotations = after.setdefault("metadata", {}).get("annotations") or {}
    annotations = {k: v for k, v in annotations.items() if not k.startswith("belay.dev/")}
    after["metadata"]["annotations"] = annotations
    body = after["spec"]
    body["volumes"] = [v for v in body.get("volumes") or [] if v["name"] != VOLUME]
    for container in body["containers"]:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [m for m in mounts if m["name"] != VOLUME]
    if ours is not None:
        annotations |= ours["metadata"]["annotations"]
        body["volumes"] += [_defaulted(v) for v in ours["spec"]["volumes"]]
        mounted = {c["name"]: c["volumeMounts"] for c in ours["spec"]["containers"]}
        for container in body["containers"]:
            container["volumeMounts"] += deepcopy(mounted.get(container["name"], []))
    if not annotations:
        del after["metadata"]["annotations"]
    if not body["volumes"]:
        del body["volumes"]
    for container in body["containers"]:
        if not container["volumeMounts"]:
            del container["volumeMounts"]
    return after


def _defaulted(volume: Raw) -> Raw:
    volume = deepcopy(volume)
    volume["projected"]["defaultMode"] = 420
    for source in volume["projected"]["sources"]:
        for item in source.get("downwardAPI", {}).get("items", []):
            item["fieldRef"]["apiVersion"] = "v1"
    return volume


def _blank(probe: Probe) -> Tally:
    return Tally(probe.check.name, probe.stage, probe.pod, probe.pod_uid, probe.asked)


def _owner(raw: Raw) -> str:
    return next((o["uid"] for o in raw["metadata"]["ownerReferences"]), "")


def _ready(raw: Raw) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in raw["status"]["conditions"])


def promoted(*names: str, **more: Any) -> Toy:
    """A Workflow that has promoted these revisions, one after another."""
    toy = Toy(world.spec(names[0], **more))
    for name in names:
        toy.wish(name).run("Promoted")
    return toy


HOUR = timedelta(hours=1)
_VERIFICATION = ("preview", "checks", "window", "on_inconclusive", "steady")
_REVISION = "deployment.kubernetes.io/revision"
_QUOTA = [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: pods=2"}]
