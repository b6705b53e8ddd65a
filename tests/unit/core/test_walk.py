"""A random walk: people, pods, faults and restarts in any order; what must hold at every step."""

from typing import Final

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.core import world
from tests.unit.core.properties import consistent
from tests.unit.core.toy import Toy
from tests.unit.core.toy_cluster import Mode

from belay.api.check import Check
from belay.api.words import Outcome, Phase, Reason
from belay.api.workflow import OnFailure, OnInconclusive, Preview
from belay.core.decide import under_way
from belay.core.decision import ApplyTemplate, Decision, DeletePreview, TryDelivery
from belay.core.observed import Observed, Refusal

REVISIONS: Final = ("v1", "v2", "v3", "v4")
NEVER_MADE: Final = "v9"
LONGEST_BACK_OFF: Final = 3600.0
"""Seconds that what was taken out may wait to be put back: till then it is no rest."""
FAULTS: Final = frozenset({Mode.WRONG, Mode.UNREADY, Mode.CRASHING})
ENVIRONMENT_REASONS: Final = {r for r in Reason if r.startswith("Environment")} | {
    Reason.INCONCLUSIVE,
    Reason.NO_PODS,
    Reason.TARGET_CHANGED,
}


class Walk(RuleBasedStateMachine):
    @initialize(
        preview=st.sampled_from(Preview),
        on_failure=st.sampled_from(OnFailure),
        on_inconclusive=st.sampled_from(OnInconclusive),
        checks=st.sampled_from(([], [world.check()])),
        workloads=st.sampled_from((("triage",), ("triage", "intake"))),
        proven=st.booleans(),
    )
    def begin(
        self,
        preview: Preview,
        on_failure: OnFailure,
        on_inconclusive: OnInconclusive,
        checks: list[Check],
        workloads: tuple[str, ...],
        proven: bool,
    ) -> None:
        spec = world.spec(
            "v1",
            workloads=workloads,
            preview=preview,
            checks=checks,
            on_inconclusive=on_inconclusive,
            on_failure=on_failure,
            window="20s",
        )
        self.toy = Toy(spec)
        self.tokens = 0
        self.in_mid_turn = False
        self.behaved: dict[str, set[Mode]] = {}
        self.toy.watchers.append(self.watch)
        if proven:
            self.toy.run("Promoted")

    # What may happen

    @rule(revision=st.sampled_from((*REVISIONS, NEVER_MADE)))
    def somebody_wishes(self, revision: str) -> None:
        self.toy.wish(revision)

    @rule(revision=st.sampled_from(REVISIONS), mode=st.sampled_from(Mode), turns=st.integers(0, 25))
    def somebody_wishes_for_what_behaves(self, revision: str, mode: Mode, turns: int) -> None:
        self.pods_begin_to_behave_otherwise(revision, mode)
        self.toy.wish(revision)
        self.all_goes_on_for_a_while(turns)

    @rule(threshold=st.integers(2, 4))
    def somebody_edits_the_checks(self, threshold: int) -> None:
        checks = [
            c.model_copy(update={"failure_threshold": threshold})
            for c in self.toy.spec.verification.checks
        ]
        self.toy.wish(checks=checks)

    @rule(suspend=st.booleans())
    def somebody_suspends_or_resumes(self, suspend: bool) -> None:
        self.toy.wish(suspend=suspend)

    @rule()
    def somebody_aborts(self) -> None:
        self.tokens += 1
        self.toy.abort = f"abort-{self.tokens}"

    @rule()
    def somebody_retries(self) -> None:
        self.tokens += 1
        self.toy.retry = f"retry-{self.tokens}"

    @rule(revision=st.sampled_from(REVISIONS), mode=st.sampled_from(Mode))
    def pods_begin_to_behave_otherwise(self, revision: str, mode: Mode) -> None:
        self.toy.behaves(revision, mode)
        self.behaved.setdefault(revision, set()).add(mode)

    @rule(name=st.sampled_from(("triage", "intake")), image=st.integers(1, 3))
    def somebody_changes_the_template(self, name: str, image: int) -> None:
        if name in self.toy.workloads:
            self.toy.change_image(f"triage:{image}", name)

    @rule(name=st.sampled_from(("triage", "intake")))
    def somebody_undoes_the_delivery(self, name: str) -> None:
        if name in self.toy.workloads:
            self.toy.undo(name)

    @rule(refuse=st.booleans(), action=st.sampled_from((ApplyTemplate, TryDelivery)))
    def the_server_refuses_or_allows(self, refuse: bool, action: type) -> None:
        self.toy.refusals.pop(action, None)
        if refuse:
            self.toy.refusals[action] = Refusal(Reason.ENVIRONMENT_QUOTA, "exceeded quota")

    @rule(seconds=st.sampled_from((0.3, 1.0, 7.0, 90.0, 4000.0)))
    def time_passes(self, seconds: float) -> None:
        self.toy.advance(seconds)

    @rule()
    def kubelet_works(self) -> None:
        self.toy.kubelet()

    @rule()
    def probes_ask(self) -> None:
        self.toy.probe()

    @rule()
    def the_operator_restarts(self) -> None:
        self.toy.restart()

    @rule()
    def the_operator_takes_one_step(self) -> None:
        self.toy.dry_run = self.toy.failure = None
        self.toy.step()
        self.in_mid_turn = True

    @rule()
    def the_operator_takes_a_turn(self) -> None:
        self.toy.turn()
        self.in_mid_turn = False

    @rule(turns=st.integers(1, 25))
    def all_goes_on_for_a_while(self, turns: int) -> None:
        for _ in range(turns):
            self.the_operator_takes_a_turn()
            self.toy.kubelet().probe().advance(1)

    # What must hold

    def watch(self, seen: Observed, decision: Decision) -> None:
        rollout = under_way(seen)
        if seen.spec.suspend:
            assert all(isinstance(a, DeletePreview) for a in decision.actions)
            assert decision.probes is None
        status = decision.status
        if status is None:
            return
        consistent(status, seen.generation)
        new = {q.attempt_digest for q in status.quarantine} - {
            q.attempt_digest for q in seen.status.quarantine
        }
        for entry in status.quarantine:
            assert entry.reason not in ENVIRONMENT_REASONS
        if new and rollout is not None and seen.abort in (None, seen.status.last_handled_abort):
            assert self.behaved.get(rollout.to.revision, set()) & FAULTS
        if status.stable != seen.status.stable:
            last = status.history[0]
            assert status.stable is not None
            assert (last.outcome, last.revision) == (Outcome.PROMOTED, status.stable.revision)
            assert status.stable == status.active

    @invariant()
    def history_and_quarantine_stay_small(self) -> None:
        status = self.toy.status
        assert len(status.history) <= 10
        assert len(status.quarantine) <= 20

    @invariant()
    def a_preview_pod_lives_only_while_its_revision_is_tried_aside(self) -> None:
        """It is taken away once the record says that it has to go, in the same turn."""
        rollout = self.toy.status.rollout
        if self.toy.preview is not None and not self.in_mid_turn:
            assert rollout is not None
            assert rollout.phase is Phase.PREVIEWING
            assert rollout.outcome is None
            assert rollout.suspended_at is None

    def teardown(self) -> None:
        """When people and faults come to rest, so does Belay; and a good new wish wins."""
        if not hasattr(self, "toy"):
            return
        self.toy.refusals.clear()
        self.toy.modes.clear()
        self.toy.wish(suspend=False).run()
        self.toy.advance(LONGEST_BACK_OFF).run()
        before = self.toy.writes
        self.toy.turn().kubelet().advance(60).turn()
        assert self.toy.writes == before
        self.toy.revisions["v5"] = world.revision("v5")
        self.toy.wish("v5").run("Promoted")
        assert self.toy.status.stable_revision == "v5"
        assert {self.toy.carries(name) for name in self.toy.workloads} == {"v5"}
        before = self.toy.writes
        self.toy.turn().kubelet().advance(60).turn()
        assert self.toy.writes == before


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=15,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
