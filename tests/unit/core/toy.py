"""A toy cluster around `decide`: it obeys actions, rolls pods and answers probes as told.

It reads for a decision only what `reading` asks for, as the real observer does, and hands every
status through its API form.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self

from tests.unit.core import world
from tests.unit.core.toy_cluster import Mode, ToyCluster
from tests.unit.core.world import KEY, NOW, UID, seconds

from belay.api.instance_kinds import SHIPPED
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
    PauseInstances,
    ResumeInstances,
    TryDelivery,
)
from belay.core.delivery import config_map_name
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Sample, Tally, judge
from belay.core.instances.view import Instances, Look, Unseen, read_instance
from belay.core.observed import (
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


class Toy(ToyCluster):
    """One Workflow, its revisions and its targets."""

    def __init__(self, spec: WorkflowSpec | None = None, *, revisions: int = 4) -> None:
        self.spec = spec or world.spec()
        super().__init__(w.name for w in self.spec.target.workloads)
        self.generation = 1
        self.status = WorkflowStatus()
        self.retry: str | None = None
        self.abort: str | None = None
        names = [f"v{n}" for n in range(1, revisions + 1)]
        self.revisions: dict[str, RevisionView | DamagedRevision] = {
            n: world.revision(n) for n in names
        }
        self.unseen: dict[str, Unseen] = {}
        """Kinds of instances that may not be listed."""
        self.stubborn: set[str] = set()
        """Names of instances whose pods do not end."""
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

    def wish(self, revision: str | None = None, **more: Any) -> Self:
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

    def behaves(self, revision: str, mode: Mode) -> Self:
        found = self.revisions[revision]
        assert isinstance(found, RevisionView)
        self.modes[found.spec.content_digest] = mode
        return self

    def lose_contact(self) -> Self:
        """Half of all Workflows fall silent together."""
        self.lost_contact = LostContact(self.now, lost=4, probed=6)
        return self

    def find_contact(self) -> Self:
        """As the prober: what was seen so far counts no more."""
        self.lost_contact, self.looking = None, None
        self.tallies = {at: tally.anew() for at, tally in self.tallies.items()}
        return self

    def turn(self) -> Self:
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

    def run(self, until: str | Phase | None = None, *, most: int = 400, pace: float = 1.0) -> Self:
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

    def restart(self) -> Self:
        """The operator process is another one: its memory is empty."""
        self.plan, self.looking = None, None
        self.tallies.clear()
        return self

    def says(self, kind: ConditionType) -> tuple[str, str]:
        """Status and reason of a condition."""
        found = world.condition(self.status, kind)
        return (found.status, found.reason) if found else ("absent", "")

    def message(self, kind: ConditionType = ConditionType.READY) -> str:
        found = world.condition(self.status, kind)
        return found.message if found else ""

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

    def probe(self) -> Self:
        """Every probe asks once."""
        for probe in self.plan.probes if self.plan else ():
            mode = self.mode(self.annotations_of(probe.pod))
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
                self.ensure_config_map(body)
            case CreatePreview(body):
                body = deepcopy(body)
                body["metadata"] |= {
                    "uid": f"uid-of-{body['metadata']['name']}",
                    "creationTimestamp": world.stamp(self.now),
                }
                mode = self.mode(body["metadata"]["annotations"])
                self.preview = self.run_pod(body["metadata"]["name"], "", body, mode, started=False)
            case DeletePreview():
                self.preview = None
            case ApplyTemplate(body):
                self.apply(body)
            case PauseInstances(writes) | ResumeInstances(writes):
                self.own(writes)
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

    def _ask_once(self, plan: ProbePlan) -> list[Baseline]:
        modes = {p.check.name: self.mode(self.annotations_of(p.pod)) for p in plan.probes}
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


def _blank(probe: Probe) -> Tally:
    return Tally(probe.check.name, probe.stage, probe.pod, probe.pod_uid, probe.asked)


def promoted(*names: str, **more: Any) -> Toy:
    """A Workflow that has promoted these revisions, one after another."""
    toy = Toy(world.spec(names[0], **more))
    for name in names:
        toy.wish(name).run("Promoted")
    return toy


HOUR = timedelta(hours=1)
_VERIFICATION = ("preview", "checks", "window", "on_inconclusive", "steady")
