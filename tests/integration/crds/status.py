"""A status in which every part is there."""

from datetime import UTC, datetime, timedelta

from tests.integration.crds.samples import ONES, ZEROS

from belay.api.revision import Format
from belay.api.status import (
    Baseline,
    Condition,
    Evidence,
    HistoryEntry,
    Quarantine,
    RevisionRef,
    Rollout,
    TargetRecord,
    WorkflowStatus,
)
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

WHEN = datetime(2026, 5, 4, 12, 3, 11, 250_000, tzinfo=UTC)
REF = RevisionRef(revision="v2", digest=ZEROS, content_digest=ONES, uid="6f1c", format=Format.DIFY)
STATUS = WorkflowStatus(
    observed_generation=4,
    active_revision="v2",
    stable_revision="v1",
    active=REF,
    stable=REF,
    phase="Reverted",
    conditions=[
        Condition(
            type=ConditionType.READY,
            status="False",
            reason=Reason.CHECK_FAILED,
            message="v3 was reverted",
            last_transition_time=WHEN.replace(microsecond=0),
            observed_generation=4,
        )
    ],
    rollout=Rollout(
        id="4-1",
        kind=RolloutKind.ROLLOUT,
        trigger=Trigger.SPEC,
        from_=REF.revision,
        to=REF,
        attempt_digest=ZEROS,
        phase=Phase.REVERTING,
        started_at=WHEN,
        phase_started_at=WHEN + timedelta(microseconds=1),
        deadline=WHEN,
        targets=[TargetRecord(kind="Deployment", name="triage", uid="77", template_hash="5d")],
        baseline=[Baseline(check="answers", verdict=Verdict.PASS)],
        evidence=[Evidence(check="answers", stage=Stage.GATE, pod="p", verdict=Verdict.FAIL)],
        outcome=Outcome.REVERTED,
        reason=Reason.CHECK_FAILED,
    ),
    quarantine=[
        Quarantine(
            attempt_digest=ONES, revision="v3", reason=Reason.CRASH_LOOP, at=WHEN, rollout="3-1"
        )
    ],
    last_handled_retry="1",
    history=[
        HistoryEntry(
            id="3-1",
            kind=RolloutKind.ROLLBACK,
            revision="v3",
            digest=ZEROS[:19],
            outcome=Outcome.HELD,
            reason=Reason.INCONCLUSIVE,
            started_at=WHEN.replace(microsecond=0),
            ended_at=WHEN.replace(microsecond=0),
        )
    ],
)
