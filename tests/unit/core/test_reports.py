"""Updated in place: the pointer moves, and only what pods say that report its content counts."""

import re
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.world import KEY, NOW, observed, seconds, spec

from belay.api.reports import Reports
from belay.api.revision import Binding, KeyRef
from belay.api.status import Rollout, TargetRecord, WorkflowStatus
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
from belay.api.workflow import (
    OnInconclusive,
    Preview,
    Steady,
    TargetKind,
    Update,
    WorkflowSpec,
    Workload,
)
from belay.core.attempt import attempt_digest
from belay.core.decide import decide
from belay.core.decision import Decision, DeleteConfigMap, EnsureConfigMap, WritePointer
from belay.core.delivery import Delivery, pointer_map
from belay.core.evidence import proof, reports
from belay.core.evidence.probe import BASELINE, Answer, Sample, Tally
from belay.core.gates import Ask, Refuse, gate, preview_workload
from belay.core.observed import ConfigMapView, Observed
from belay.core.pods import read_pod
from belay.core.workloads import WorkloadView
from belay.core.workloads.pointer import pointed_file, watching

NAMES = ("triage-1", "triage-2", "triage-3")
REPORTS = Reports(port=8080, path="/current")
PLACE = Workload(kind=TargetKind.DEPLOYMENT, name="triage", update=Update.IN_PLACE, reports=REPORTS)
ROLLING = Workload(kind=TargetKind.DEPLOYMENT, name="worker")


def pointer(name: str = "v2", **metadata: Any) -> dict[str, Any]:
    """The ConfigMap as the server keeps it."""
    revision = world.revision(name)
    delivery = Delivery(KEY, revision.ref, name, "/etc/belay")
    body = pointer_map(delivery, revision.content, [world.view()], None)
    body["metadata"] |= {"uid": "uid-of-pointer", "resourceVersion": "7", **metadata}
    return body


def placed(raw: dict[str, Any] | None, names: tuple[str, ...] = NAMES, **pod: Any) -> WorkloadView:
    pods = tuple(read_pod(world.pod(n, **pod), "app") for n in names)
    return replace(watching(world.view(), PLACE.reports, raw, KEY.name), pods=pods)


def rollout(phase: Phase = Phase.DELIVERING, **more: Any) -> Rollout:
    target = TargetRecord(kind="Deployment", name="triage", uid="uid-of-triage",
                          template_hash=world.view().template_hash)  # fmt: skip
    fields = {
        "id": "2-1", "kind": RolloutKind.ROLLOUT, "trigger": Trigger.SPEC, "to": world.ref("v2"),
        "attempt_digest": attempt_digest(wish(), world.ref("v2").digest), "phase": phase,
        "started_at": NOW, "phase_started_at": NOW, "deadline": NOW + seconds(300),
        "delivered": True, "targets": [target],
    }  # fmt: skip
    return Rollout(**{**fields, **more})


def wish(active: str = "v2", **more: Any) -> WorkflowSpec:
    return spec(active, **{"workloads": [PLACE], **more})


def report(name: str, *answers: Answer, got: str = "") -> Tally:
    tally = Tally(reports.REPORT, Stage.GATE, name, f"uid-of-{name}", "GET :8080/current")
    verdicts = {Answer.RIGHT: Verdict.PASS, Answer.WRONG: Verdict.FAIL}
    for number, answer in enumerate(answers):
        said = got or world.ref("v2" if answer is Answer.RIGHT else "v1").content_digest[:19]
        sample = Sample(answer, said, NOW + seconds(number))
        tally = tally.count(sample, verdicts.get(answer, Verdict.INCONCLUSIVE))
    return tally


def moving(*tallies: Tally, **more: Any) -> Observed:
    """v2 is delivered to three pods; `tallies` is what they were heard to say."""
    record = more.pop("record", rollout())
    status = WorkflowStatus(
        observed_generation=2, rollout=record, active=world.ref("v1"), stable=world.ref("v1")
    )
    fields = {
        "generation": 2, "spec": wish(), "status": status, "tallies": tallies,
        "workloads": (placed(pointer()),), "session": f"2-1/{record.phase}/",
        "revision": world.revision("v2"), "looking_since": NOW,
    }  # fmt: skip
    return observed(**{**fields, **more})


def asked(decision: Decision) -> list[tuple[str, str, bool]]:
    """Of each probe the check, the pod, and whether it waits for the pod's report."""
    assert decision.probes is not None
    return [(p.check.name, p.pod, p.reported) for p in decision.probes.probes]


EACH = [
    *((reports.REPORT, name, False) for name in NAMES), *(("answers", name, True) for name in NAMES)
]  # fmt: skip


RIGHT, WRONG, NONE = Answer.RIGHT, Answer.WRONG, Answer.NONE
GOOD = tuple(report(name, RIGHT) for name in NAMES)
CHECKED = tuple(world.tally(name, Verdict.PASS) for name in NAMES)


def test_checks_wait_for_the_report_of_their_pod() -> None:
    decision = decide(moving(report("triage-1", RIGHT), report("triage-2", WRONG)), NOW)
    assert asked(decision) == EACH


def test_a_report_is_counted_apart_from_checks() -> None:
    decision = decide(moving(report("triage-1", RIGHT)), NOW)
    assert decision.probes is not None
    assert {(p.check.name, p.type) for p in decision.probes.probes} == {
        ("contentDigest", "report"), ("answers", "http")
    }  # fmt: skip


def test_what_a_check_says_of_a_pod_with_other_content_is_discarded() -> None:
    wrong = world.tally("triage-2", *[Verdict.FAIL] * 3)
    counted = moving(*GOOD, wrong)
    discarded = moving(GOOD[0], report("triage-2", RIGHT, WRONG), GOOD[2], wrong)
    assert decide(counted, NOW).status.rollout.phase is Phase.REVERTING
    assert decide(discarded, NOW).status.rollout.phase is Phase.DELIVERING


def test_all_pods_report_and_pass_so_it_is_active_without_a_phase_between() -> None:
    decision = decide(moving(*GOOD, *CHECKED), NOW)
    assert decision.status.rollout.phase is Phase.OBSERVING
    assert decision.status.active_revision == "v2"


def test_a_gate_that_takes_its_time_gets_its_own_phase() -> None:
    seen = moving(*GOOD)
    assert decide(seen, NOW + seconds(4)).status.rollout.phase is Phase.DELIVERING
    assert decide(seen, NOW + seconds(6)).status.rollout.phase is Phase.VERIFYING


def test_without_checks_the_reports_are_the_gate() -> None:
    seen = moving(*GOOD, spec=wish(checks=[]), record=rollout(attempt_digest=attempt_digest(
        wish(checks=[]), world.ref("v2").digest)))  # fmt: skip
    assert decide(seen, NOW).status.rollout.phase is Phase.OBSERVING
    assert decide(replace(seen, tallies=GOOD[:2]), NOW).status.rollout.phase is Phase.DELIVERING


@pytest.mark.parametrize(
    ("tally", "phase", "reason", "words"),
    [
        (
            report("triage-3", WRONG, WRONG), Phase.REVERTING, Reason.WRONG_CONTENT,
            "2 of 3 pods report sha256:.*; triage-3 still reports sha256:.* after 1.0 s",
        ),
        (
            report("triage-3", WRONG, got="404 instead of 200"), Phase.REVERTING,
            Reason.WRONG_CONTENT, "triage-3 answers 404 instead of 200",
        ),
        (
            replace(report("triage-3", NONE, got="refused"), fails=1), Phase.REVERTING,
            Reason.CHECK_FAILED,
            r"2 of 3 pods report .*; triage-3 reports nothing while others answer \(1 tries of",
        ),
        (
            report("triage-3", NONE, got="no answer within 1 s"), None, Reason.INCONCLUSIVE,
            r"2 of 3 pods report .*; triage-3 reports nothing \(1 tries of GET :8080/current",
        ),
    ],
)  # fmt: skip
def test_at_the_deadline_the_report_decides(
    tally: Tally, phase: Phase | None, reason: Reason, words: str
) -> None:
    seen = moving(*GOOD[:2], tally)
    assert decide(seen, NOW + seconds(299)).status.rollout.phase is Phase.DELIVERING
    record = decide(seen, NOW + seconds(301)).status.rollout
    assert record.reason is reason
    assert record.phase is (phase or Phase.DELIVERING)
    assert re.search(words, record.message), record.message
    quarantined = decide(seen, NOW + seconds(301)).status.quarantine
    assert [q.reason for q in quarantined] == ([reason] if phase else [])


def test_silence_may_be_taken_as_proven_and_other_content_never() -> None:
    promote = wish(on_inconclusive=OnInconclusive.PROMOTE)
    record = rollout(attempt_digest=attempt_digest(promote, world.ref("v2").digest))
    silent = moving(*GOOD[:2], report("triage-3", NONE), spec=promote, record=record)
    other = replace(silent, tallies=(*GOOD[:2], report("triage-3", WRONG)))
    late = NOW + seconds(301)
    assert decide(silent, late).status.rollout.phase is Phase.OBSERVING
    assert decide(other, late).status.rollout.phase is Phase.REVERTING


def test_the_window_ends_well_only_where_all_report() -> None:
    over = NOW + seconds(11)
    watched = rollout(Phase.OBSERVING, deadline=NOW + seconds(10), activated_at=NOW)
    assert decide(moving(*GOOD, *CHECKED, record=watched), over).status.phase == "Promoted"
    stray = (*GOOD[:2], report("triage-3", RIGHT, WRONG), *CHECKED)
    assert decide(moving(*stray, record=watched), over).status.phase == Phase.OBSERVING
    late = decide(moving(*stray, record=watched), NOW + seconds(30)).status.rollout
    assert late.reason is Reason.WRONG_CONTENT


def test_a_restart_makes_a_pod_report_again() -> None:
    def since(restarts: int) -> set[str]:
        plan = proof.plan(moving(workloads=(placed(pointer(), restarts=restarts),)), Stage.GATE, "")
        return {p.since for p in plan.probes}

    assert since(0) != since(1)


def test_old_restarts_are_no_crash_loop_and_new_ones_are() -> None:
    def with_restarts(number: int) -> Observed:
        looping = placed(pointer(), NAMES[:1], restarts=number, ready=False)
        record = rollout()
        targets = [record.targets[0].model_copy(update={"restarts": 5})]
        return moving(record=record.model_copy(update={"targets": targets}), workloads=(looping,))

    assert decide(with_restarts(7), NOW).status.rollout.phase is Phase.DELIVERING
    assert decide(with_restarts(8), NOW).status.rollout.reason is Reason.CRASH_LOOP


def test_the_content_comes_before_the_pointer_and_both_are_guarded() -> None:
    seen = moving(workloads=(placed(pointer("v1")),))
    (content,) = decide(seen, NOW).actions
    assert isinstance(content, EnsureConfigMap)
    view = _content("v2")
    (action,) = decide(replace(seen, config_maps={view.name: view}), NOW).actions
    assert isinstance(action, WritePointer)
    assert action.target == "ConfigMap wf-1-current"
    assert action.told == "pointing ConfigMap wf-1-current to the content"
    metadata = action.body["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("uid-of-pointer", "7")
    assert action.body["data"]["definition.yaml"] == "behaviour: v2\n"
    assert "immutable" not in action.body


def test_the_way_back_is_the_pointer_or_its_end() -> None:
    back = rollout(Phase.REVERTING, reason=Reason.CHECK_FAILED)
    view = _content("v1")
    seen = moving(record=back, config_maps={view.name: view})
    (action,) = decide(seen, NOW).actions
    assert isinstance(action, WritePointer)
    first = seen.status.model_copy(update={"stable": None, "active": None})
    assert decide(replace(seen, status=first), NOW).actions == (
        DeleteConfigMap("wf-1-current", "uid-of-pointer"),
    )


def test_the_first_revision_that_failed_leaves_nothing_delivered() -> None:
    back = rollout(
        Phase.REVERTING,
        ending=Outcome.FAILED,
        reason=Reason.CHECK_FAILED,
        message="it is wrong",
    )
    seen = moving(record=back, workloads=(placed(None),))
    first = seen.status.model_copy(update={"stable": None, "active": None})
    status = decide(replace(seen, status=first), NOW).status
    assert status.phase == Outcome.FAILED
    ready = world.condition(status, ConditionType.READY)
    assert "ConfigMap wf-1-current is deleted, so nothing is delivered" in ready.message


def test_only_pods_that_report_are_heard_and_a_baseline_needs_no_report() -> None:
    seen = moving(GOOD[0], report("triage-2", WRONG))
    assert [p.name for p in reports.missing(seen, seen.session)] == list(NAMES[1:])
    assert reports.missing(seen, BASELINE) == []
    assert [p.name for p in reports.missing(seen, "another")] == list(NAMES)


@pytest.mark.parametrize(
    ("written", "edited"),
    [
        ([], False),
        ([("Update", "f:data")], True),
        ([("Update", "f:metadata")], False),
        ([("Apply", "f:data")], False),
        ([("Update", "f:data"), ("Apply", "f:data")], False),
        ([("Update", "f:data"), ("Apply", "f:metadata")], True),
    ],
)
def test_an_edit_by_hand_is_known_by_who_wrote_the_data(
    written: list[tuple[str, str]], edited: bool
) -> None:
    fields = [{"manager": "x", "operation": how, "fieldsV1": {of: {}}} for how, of in written]
    view = placed(pointer(managedFields=fields))
    assert view.pointer is not None
    assert view.pointer.edited is edited


def test_what_watches_no_config_map_is_read_by_its_template_alone() -> None:
    assert watching(world.view(), None, pointer(), KEY.name) == world.view()


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (None, "somebody deleted the ConfigMap that Deployment triage watches"),
        (pointer("v1", managedFields=[{"manager": "kubectl-edit"}]), "kubectl-edit changed the"),
    ],
)
def test_a_pointer_that_others_move_in_mid_rollout_is_told(there: Any, message: str) -> None:
    seen = moving(record=rollout(Phase.VERIFYING), workloads=(placed(there),))
    record = decide(seen, NOW).status.rollout
    assert record.reason is Reason.TARGET_CHANGED
    assert record.message.startswith(message)


def test_content_that_is_not_what_the_pointer_promises_has_not_arrived() -> None:
    changed = pointer()
    changed["data"]["definition.yaml"] += "#"
    delivery = Delivery(KEY, world.ref("v2"), "v2", "/etc/belay")
    assert delivery.arrived_at(placed(pointer()))
    assert not delivery.arrived_at(placed(changed))
    assert not delivery.arrived_at(placed(pointer("v2", ownerReferences=[])))
    assert not delivery.arrived_at(placed(None))


BOUND = world.revision(
    "v2", bindings=[Binding(name="key", secret_key_ref=KeyRef(name="crm", key="key"))]
)


@pytest.mark.parametrize(
    ("more", "reason", "words"),
    [
        (
            {"workloads": (placed(pointer("v1", labels={})),)},
            Reason.DELIVERY_CONFLICT, "ConfigMap wf-1-current, which Deployment triage is to watch",
        ),
        ({"revision": BOUND}, Reason.TARGET_UNSUPPORTED, "v2 has bindings"),
        (
            {"workloads": (replace(placed(None), reports=Reports(port=9)),)},
            Reason.CHECK_INVALID, "port 9 of spec.target.workloads[0].reports is not declared",
        ),
        (
            {"spec": wish(preview=Preview.POD)},
            Reason.PREVIEW_IMPOSSIBLE, "it is updated in place",
        ),
    ],
)  # fmt: skip
def test_gating_refuses_what_cannot_be_done_in_place(
    more: dict[str, Any], reason: Reason, words: str
) -> None:
    fields = {"spec": wish(), "revision": world.revision("v2"), "workloads": (placed(None),)}
    answer = gate(observed(**{**fields, **more}), released=False)
    assert isinstance(answer, Refuse)
    assert answer.reason is reason
    assert words in answer.message


def test_gating_tries_the_pointer_and_asks_no_baseline_before_the_first_delivery() -> None:
    fields: dict[str, Any] = {"spec": wish(), "revision": world.revision("v2")}
    first = gate(observed(**fields, workloads=(placed(None),)), released=False)
    later = gate(observed(**fields, workloads=(placed(pointer("v1")),)), released=False)
    assert isinstance(first, Ask)
    assert isinstance(later, Ask)
    assert [w.body["kind"] for w in first.action.writes] == ["ConfigMap"]
    assert first.action.baseline.probes == ()
    assert {p.check.name for p in later.action.baseline.probes} == {"answers"}


def test_a_preview_beside_workloads_in_place_copies_a_rolling_one() -> None:
    worker = world.view(world.deployment("worker"), name="worker")
    seen = observed(
        spec=wish(workloads=[PLACE, ROLLING], preview=Preview.POD), workloads=(placed(None), worker)
    )
    assert preview_workload(seen).name == "worker"


@pytest.mark.parametrize(
    ("workloads", "default"),
    [([ROLLING], Preview.POD), ([PLACE], Preview.NONE), ([PLACE, ROLLING], Preview.NONE)],
)
def test_the_default_of_preview_is_no_other_attempt_than_the_same_in_words(
    workloads: list[Workload], default: Preview
) -> None:
    unsaid = spec(workloads=workloads)
    assert unsaid.preview is default
    (other,) = set(Preview) - {default}
    same, different = (spec(workloads=workloads, preview=p) for p in (default, other))
    digest = world.ref().digest
    assert attempt_digest(unsaid, digest) == attempt_digest(same, digest)
    assert attempt_digest(unsaid, digest) != attempt_digest(different, digest)


def _content(name: str) -> ConfigMapView:
    revision = world.revision(name)
    owners = frozenset({"uid-of-triage"})
    config_map = Delivery(KEY, revision.ref, name, "/etc/belay").config_map
    return ConfigMapView(config_map, "uid", name, owners, revision.content)


def test_checks_at_rest_are_asked_of_pods_that_report_what_is_active() -> None:
    ended = rollout(Phase.OBSERVING, outcome=Outcome.PROMOTED, ended_at=NOW)
    v2 = world.ref("v2")
    status = WorkflowStatus(
        observed_generation=2, phase="Promoted", rollout=ended, active=v2, stable=v2
    )
    seen = moving(
        report("triage-1", RIGHT), report("triage-2", WRONG),
        status=status, spec=wish(steady=Steady()), session=f"steady/{v2.content_digest}",
    )  # fmt: skip
    decision = decide(seen, NOW)
    assert asked(decision) == EACH
    assert {p.check.period for p in decision.probes.probes} == {"10s"}
    assert decision.probes.session == f"steady/{v2.content_digest}"
    unknown = decide(replace(seen, status=status.model_copy(update={"rollout": None})), NOW)
    assert asked(unknown) == EACH
    assert {p.check.period for p in unknown.probes.probes} == {"10s"}


def test_going_back_from_the_first_revision_is_told_as_what_it_is() -> None:
    back = rollout(Phase.REVERTING, reason=Reason.CHECK_FAILED, message="it is wrong")
    seen = moving(record=back, workloads=(placed(pointer()),))
    first = seen.status.model_copy(update={"stable": None, "active": None})
    status = decide(replace(seen, status=first), NOW).status
    ready = world.condition(status, ConditionType.READY)
    assert ready.message == "v2: it is wrong. Going back to what was there before"


def test_the_definition_beside_the_pointer_is_a_file_of_the_config_map() -> None:
    assert pointed_file("wf-1", "definition.yaml") == (
        "configMap", "wf-1-current", "definition.yaml", "definition.yaml"
    )  # fmt: skip
