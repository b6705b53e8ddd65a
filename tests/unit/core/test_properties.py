"""`decide` over any well-typed observation: total, pure, consistent; and what a status weighs."""

import json
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core import world
from tests.unit.core.properties import STOPPED, consistent
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode, applied
from tests.unit.core.world import NOW, Raw, seconds

from belay.api.status import Baseline, Quarantine, Rollout, TargetRecord, WorkflowStatus
from belay.api.words import Outcome, Phase, Reason, RolloutKind, Stage, Trigger, Verdict
from belay.api.workflow import OnFailure, OnInconclusive, Preview, WorkflowSpec
from belay.core import reading
from belay.core.attempt import attempt_digest
from belay.core.decide import decide
from belay.core.decision import DeletePreview
from belay.core.delivery import Delivery, config_map_name, template_patch
from belay.core.observed import (
    ConfigMapView,
    DamagedRevision,
    DryRun,
    KnownRevision,
    Observed,
    Refusal,
)
from belay.core.pods import read_pod
from belay.core.rest.settled import idle
from belay.core.workloads import WorkloadView

NAMES = st.sampled_from(["v1", "v2", "v3"])
REFS = NAMES.map(world.ref)
TOKENS = st.sampled_from([None, "one", "two"])
TIMES = st.integers(-400, 400).map(lambda n: NOW + seconds(n))
REFUSALS = st.builds(Refusal, st.sampled_from(Reason), st.sampled_from(["no", "x" * 5000]))
CHECKS = st.sampled_from(
    [
        [],
        [world.check()],
        [world.check(http={"port": 8080, "path": "/" + "x" * 2000}, failure_threshold=1)],
        [world.check("a", at=[Stage.PREVIEW]), world.check("b", at=[Stage.OBSERVATION])],
        [world.check("behind", http={"port": 80, "service": "triage"})],
    ]
)
SPECS = st.builds(
    world.spec,
    NAMES,
    suspend=st.booleans(),
    preview=st.sampled_from(Preview),
    checks=CHECKS,
    window=st.sampled_from(["0s", "10s"]),
    on_inconclusive=st.sampled_from(OnInconclusive),
    on_failure=st.sampled_from(OnFailure),
)
STATES: list[Raw] = [
    {},
    {"ready": False},
    {"restarts": 5},
    {"ready": False, "state": {"waiting": {"reason": "ErrImageNeverPull"}}},
    {"ready": False, "containerStatuses": []},
]
PODS = st.lists(st.sampled_from(STATES), max_size=3).map(
    lambda states: tuple(
        read_pod(world.pod(f"p{n}", created=NOW - seconds(n * 30), **s), "app")
        for n, s in enumerate(states)
    )
)
KNOWN = NAMES.map(lambda n: KnownRevision(n, f"uid-of-{n}", managed=True, created=f"at {n}"))
WHYS = [r for r in Reason if r not in {Reason.ROLLOUT_STARTED, Reason.ACTIVATED, *Outcome}]
"""Reasons of a rollout; the others are of events about it."""
VERDICTS = st.lists(st.sampled_from(Verdict), max_size=5)


@st.composite
def workloads(draw: st.DrawFn) -> WorkloadView:
    """Missing, foreign, paused, replaced, ours with any content, complete or not."""
    if draw(st.integers(0, 9)) == 0:
        return world.view(found=False)
    raw = world.deployment()
    if draw(st.booleans()):
        delivery = Delivery(world.KEY, draw(REFS), "v1", "/etc/belay")
        patch = template_patch(world.view(), delivery)["spec"]["template"]
        raw["spec"]["template"] = applied(world.template(), patch)
    change = draw(st.sampled_from(["", "", "", "foreign", "paused", "replaced", "two", "image"]))
    template = raw["spec"]["template"]["spec"]
    if change == "foreign":
        raw["metadata"]["annotations"]["belay.dev/workflow"] = "other"
    elif change == "paused":
        raw["spec"]["paused"] = True
    elif change == "replaced":
        raw["metadata"]["uid"] = "uid-of-another"
    elif change == "two":
        template["containers"].append({"name": "proxy"})
    elif change == "image":
        template["containers"][0]["image"] = "triage:2"
    raw["status"]["updatedReplicas"] = draw(st.integers(0, 2))
    return replace(world.view(raw), pods=draw(PODS))


@st.composite
def rollouts(draw: st.DrawFn, spec: WorkflowSpec) -> Rollout:
    to = draw(REFS)
    tried = draw(st.sampled_from([attempt_digest(spec, to.digest), world.digest("another")]))
    phase, outcome = draw(st.sampled_from(Phase)), draw(st.none() | st.sampled_from(Outcome))
    known = TargetRecord(
        kind="Deployment",
        name="triage",
        uid="uid-of-triage",
        template_hash=world.view().template_hash,
        restarts=draw(st.integers(0, 3)),
    )
    return Rollout(
        id=f"{draw(st.integers(1, 5))}-1",
        kind=draw(st.sampled_from(RolloutKind)),
        trigger=draw(st.sampled_from(Trigger)),
        from_=draw(st.none() | st.just("v1")),
        to=to,
        attempt_digest=tried,
        phase=phase,
        started_at=NOW - seconds(500),
        phase_started_at=draw(TIMES),
        deadline=draw(st.none() | TIMES),
        suspended_at=draw(st.none() | TIMES),
        activated_at=draw(st.none() | TIMES),
        ended_at=draw(TIMES) if outcome else None,
        previewed=draw(st.booleans()),
        delivered=draw(st.booleans()),
        targets=draw(st.sampled_from([[known], []])),
        baseline=draw(
            st.lists(
                st.builds(Baseline, check=st.just("answers"), verdict=st.sampled_from(Verdict))
            )
        )[:1],
        ending=draw(st.none() | st.sampled_from(Outcome)) if phase is Phase.REVERTING else None,
        outcome=outcome,
        reason=draw(st.none() | st.sampled_from(WHYS)),
        message=draw(st.sampled_from(["", "why", "y" * 2048])),
    )


@st.composite
def statuses(draw: st.DrawFn, spec: WorkflowSpec) -> WorkflowStatus:
    """A new one, or one that Belay may have written, with any rollout in it."""
    if draw(st.integers(0, 5)) == 0:
        return WorkflowStatus()
    rollout = draw(rollouts(spec))
    toy = FAILED if rollout.outcome in STOPPED or draw(st.booleans()) else PROVEN
    quarantined = Quarantine(
        attempt_digest=attempt_digest(spec, world.ref("v2").digest),
        revision="v2",
        reason=Reason.CHECK_FAILED,
        at=NOW,
        rollout="1-1",
    )
    active, stable = draw(st.none() | REFS), draw(st.none() | REFS)
    generation = draw(st.integers(3, 5))
    told = [c.model_copy(update={"observed_generation": generation}) for c in toy.conditions]
    return toy.model_copy(
        update={
            "observed_generation": generation,
            "conditions": told,
            "active": active,
            "stable": stable,
            "active_revision": active.revision if active else None,
            "stable_revision": stable.revision if stable else None,
            "phase": rollout.outcome.value if rollout.outcome else rollout.phase.value,
            "rollout": rollout,
            "quarantine": draw(st.sampled_from([[], [quarantined]])),
            "last_handled_retry": draw(TOKENS),
            "last_handled_abort": draw(TOKENS),
        }
    )


@st.composite
def observations(draw: st.DrawFn) -> Observed:
    """Any well-typed observation, whether or not a cluster could ever show it."""
    spec = draw(SPECS)
    status = draw(statuses(spec))
    wanted = world.revision(spec.active_revision)
    everything = (world.ref(n) for n in ("v1", "v2", "v3"))
    config_maps = {
        name: ConfigMapView(name, f"uid-of-{name}", "v1", frozenset({owner}), content)
        for name in (config_map_name(world.KEY.name, r.content_digest) for r in everything)
        for owner in [draw(st.sampled_from(["uid-of-triage", "uid-of-old"]))]
        for content in [draw(st.sampled_from(["text", "text", None]))]
        if draw(st.booleans())
    }
    rollout = status.rollout
    session = f"{rollout.id}/{rollout.phase}/0" if rollout else ""
    tallies = [
        world.tally(pod, *draw(VERDICTS), check_name=check.name)
        for check in spec.verification.checks
        for pod in ("p0", "p1", "preview")
    ]
    return Observed(
        key=world.KEY,
        uid=world.UID,
        generation=5,
        spec=spec,
        status=status,
        retry=draw(TOKENS),
        abort=draw(TOKENS),
        known=tuple(draw(st.lists(KNOWN, max_size=3))),
        known_complete=draw(st.booleans()),
        revision=draw(
            st.sampled_from(
                [
                    wanted,
                    wanted,
                    world.revision(spec.active_revision, "v1"),
                    DamagedRevision("wf-1-v1", "d" * 5000),
                    None,
                ]
            )
        ),
        fallback=draw(st.sampled_from([None, world.revision("v1")])),
        workloads=(draw(workloads()),),
        config_maps=config_maps,
        preview=draw(
            st.none()
            | st.sampled_from(STATES).map(lambda s: read_pod(world.pod("preview", **s), "app"))
        ),
        tallies=tuple(tallies),
        session=session,
        looking_since=draw(st.none() | TIMES),
        dry_run=draw(st.none() | st.builds(DryRun, st.none() | REFUSALS, st.just(()))),
        failure=draw(st.none() | REFUSALS),
    )


PROVEN = promoted("v1").status
FAILED = promoted("v1").behaves("v2", Mode.WRONG).wish("v2").run().status


@given(observations())
def test_decide_is_total_pure_and_consistent(seen: Observed) -> None:
    before = seen.status.model_copy(deep=True)
    first = decide(seen, NOW)
    assert decide(seen, NOW) == first
    assert seen.status == before
    names = [(m.occasion, m.reason) for m in first.milestones]
    assert len(names) == len(set(names))
    status = first.status
    if status is None:
        return
    assert status != seen.status
    told = status.conditions and status.conditions != seen.status.conditions
    if told and not idle(seen):  # at rest only one message changes, and the rest was drawn freely
        consistent(status, seen.generation)
    assert WorkflowStatus.model_validate(status.to_api(defaults=False)).to_api() == status.to_api()
    assert status.stable in (seen.status.stable, status.active)


@given(observations())
def test_while_suspended_only_the_preview_pod_goes(seen: Observed) -> None:
    seen = replace(seen, spec=seen.spec.model_copy(update={"suspend": True}))
    decision = decide(seen, NOW)
    assert all(isinstance(a, DeletePreview) for a in decision.actions)
    assert decision.probes is None


@given(observations())
def test_what_is_to_be_read_can_always_be_told(seen: Observed) -> None:
    bare = replace(seen, workloads=(), revision=None, config_maps={}, preview=None)
    needs = reading.needs(bare)
    assert needs.workloads or not needs.pods
    assert len(reading.contents(seen)) <= 2


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(Mode), st.sampled_from(Preview), st.sampled_from(OnInconclusive))
def test_what_decides_nothing_decides_nothing_again(
    mode: Mode, preview: Preview, policy: OnInconclusive
) -> None:
    """A decision without status and actions is a fixed point; a rollout's end is one."""
    toy = promoted("v1", preview=preview, on_inconclusive=policy)
    toy.behaves("v2", mode).wish("v2").run()
    for later in (0, 1, 3600, 86400):
        decision = decide(toy.observe(), toy.now + seconds(later))
        assert (decision.actions, decision.status, decision.again) == ((), None, False)


# Size


def size(status: WorkflowStatus) -> int:
    return len(json.dumps(status.to_api(defaults=False), separators=(",", ":")))


def test_a_status_with_full_history_stays_small() -> None:
    toy = promoted("v1")
    for number in range(12):
        toy.wish(f"v{1 + number % 2}").run("Promoted")
    assert len(toy.status.history) == 10
    assert size(toy.status) < 4 * 1024
    history = toy.status.model_copy(update={"history": []})
    assert size(toy.status) - size(history) < 2300


def test_even_a_full_quarantine_and_evidence_fit_well_into_an_object() -> None:
    toy = promoted("v1")
    for number in range(21):
        if number == 20:
            toy.workloads["triage"]["spec"]["replicas"] = 40
        checks = [world.check(failure_threshold=2 + number)]
        toy.behaves("v2", Mode.WRONG).wish("v2", checks=checks, preview=Preview.NONE).run()
    assert len(toy.status.quarantine) == 20
    assert len(toy.status.rollout.evidence) == 32
    assert size(toy.status) < 32 * 1024


def test_evidence_is_of_the_current_rollout_only() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run().wish("v3").turn()
    assert toy.status.rollout.evidence == []


def test_the_status_of_a_promoted_workflow_with_all_its_history_is_small() -> None:
    """Three workloads, three checks, names as people give them, every other rollout a failure."""
    names = ("support-triage-api", "support-triage-worker", "support-triage-batch")
    checks = [world.check(f"answers-{what}") for what in ("questions", "orders", "complaints")]
    toy = Toy(world.spec("v1", workloads=names, checks=checks), revisions=8)
    for good, bad in (("v1", "v4"), ("v2", "v5"), ("v3", "v6"), ("v1", "v7"), ("v2", "v8")):
        toy.wish(good).run().behaves(bad, Mode.WRONG).wish(bad).run()
    toy.wish("v3").run()
    assert (toy.status.phase, len(toy.status.history)) == (Outcome.PROMOTED, 10)
    status = toy.status.model_copy(update={"quarantine": []})
    real_uids = 3 * (len("bf3f6e4a-86a8-4a0e-8b0e-0c4d3f7c7d11") - len("uid-of-v3"))
    assert size(status) + real_uids < 4 * 1024, size(status) + real_uids
