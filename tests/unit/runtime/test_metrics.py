"""Metrics: what a scrape shows."""

from datetime import UTC, datetime
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from tests.unit.statuses import HISTORY, ROLLOUT, WHEN

from belay.api.status import WorkflowStatus
from belay.api.words import Outcome, Verdict
from belay.core.keys import Key
from belay.runtime.metrics import Metrics
from belay.shell.resources import WORKFLOWS

KEY = Key("shop", "triage")
EPOCH = datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp()


def status(**fields: Any) -> WorkflowStatus:
    return WorkflowStatus.model_validate(fields)


def condition(type_: str, value: str, reason: str) -> dict[str, str]:
    return {"type": type_, "status": value, "reason": reason, "lastTransitionTime": WHEN}


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[str]], float]:
    """Value of each sample, by name and label values (those of the Workflow left out)."""
    text = b"".join(metrics.exposition()).decode()
    return {
        (sample.name, frozenset(sample.labels.values()) - {"shop", "triage"}): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def seen(metrics: Metrics, name: str, *labels: str) -> float | None:
    return samples(metrics).get((name, frozenset(labels)))


def test_a_moving_workflow_shows_its_phase_its_deadline_and_the_last_outcome_before() -> None:
    metrics = Metrics()
    moving = {**ROLLOUT, "deadline": "2026-03-01T12:01:00Z"}
    metrics.state.put(
        KEY, "v3", status(activeRevision="v2", phase="Verifying", rollout=moving, history=[HISTORY])
    )
    assert seen(metrics, "belay_workflow_info", "v3", "v2") == 1
    assert seen(metrics, "belay_workflow_phase", "Verifying") == 1
    assert seen(metrics, "belay_workflow_phase_deadline_timestamp_seconds") == EPOCH + 60
    assert seen(metrics, "belay_workflow_last_outcome", "Promoted") == 1
    assert seen(metrics, "belay_workflow_last_outcome_timestamp_seconds") == EPOCH


def test_a_revert_shows_its_reason_and_when_and_that_it_is_still_wanted() -> None:
    metrics = Metrics()
    ended = {
        **ROLLOUT,
        "outcome": "Reverted",
        "reason": "CheckFailed",
        "endedAt": WHEN,
        "deadline": WHEN,
    }
    quarantine = {
        "attemptDigest": ROLLOUT["attemptDigest"],
        "revision": "v3",
        "reason": "CheckFailed",
        "at": WHEN,
        "rollout": "3-1",
    }
    entry = {**HISTORY, "id": ended["id"], "outcome": "Reverted", "reason": "CheckFailed"}
    reverted = {"rollout": ended, "history": [entry, HISTORY], "quarantine": [quarantine]}
    metrics.state.put(KEY, "v2", status(phase="Reverted", **reverted))
    assert seen(metrics, "belay_workflow_last_outcome", "Reverted", "CheckFailed") == 1
    assert seen(metrics, "belay_workflow_last_outcome_timestamp_seconds") == EPOCH
    assert seen(metrics, "belay_workflow_phase_deadline_timestamp_seconds") is None
    assert seen(metrics, "belay_workflow_quarantined") == 1
    assert seen(metrics, "belay_workflow_wanted_quarantined") == 1
    metrics.state.put(KEY, "v1", status(phase="Reverted", **reverted))
    assert seen(metrics, "belay_workflow_quarantined") == 1
    assert seen(metrics, "belay_workflow_wanted_quarantined") is None


def test_a_name_that_is_adopted_after_a_revert_is_the_last_outcome() -> None:
    metrics = Metrics()
    reverted = {**ROLLOUT, "outcome": "Reverted", "reason": "CheckFailed", "endedAt": WHEN}
    adopted = {**HISTORY, "id": "4-0", "reason": "SameContent"}
    metrics.state.put(KEY, "v2", status(phase="Promoted", rollout=reverted, history=[adopted]))
    assert seen(metrics, "belay_workflow_last_outcome", "Promoted", "SameContent") == 1
    assert seen(metrics, "belay_workflow_last_outcome", "Reverted", "CheckFailed") is None


def test_a_rollout_whose_clock_is_stopped_has_no_deadline() -> None:
    metrics = Metrics()
    stopped = {**ROLLOUT, "deadline": WHEN, "suspendedAt": WHEN}
    metrics.state.put(KEY, "v3", status(phase="Suspended", rollout=stopped))
    assert seen(metrics, "belay_workflow_phase_deadline_timestamp_seconds") is None


def test_a_refusal_shows_the_reason_of_the_ready_condition() -> None:
    metrics = Metrics()
    refused = condition("Ready", "False", "Quarantined")
    metrics.state.put(KEY, "v3", status(phase="Refused", conditions=[refused], history=[HISTORY]))
    assert seen(metrics, "belay_workflow_last_outcome", "Refused", "Quarantined") == 1
    assert seen(metrics, "belay_workflow_wanted_quarantined") == 1


def test_a_condition_shows_all_three_statuses() -> None:
    metrics = Metrics()
    metrics.state.put(KEY, "v3", status(conditions=[condition("Ready", "Unknown", "Progressing")]))
    shown = [
        seen(metrics, "belay_workflow_condition", "Ready", s) for s in ("True", "False", "Unknown")
    ]
    assert shown == [0, 0, 1]
    assert seen(metrics, "belay_workflow_condition", "Stalled", "True") is None


def test_series_follow_what_is_now_and_go_with_the_workflow() -> None:
    metrics = Metrics()
    before = len(samples(metrics))
    for revision in ("v1", "v2", "v3"):
        metrics.state.put(KEY, revision, status(phase="Pending"))
    assert len(samples(metrics)) == before + 3
    metrics.state.drop(KEY)
    assert len(samples(metrics)) == before


def test_the_first_rollout_that_ends_is_an_increase() -> None:
    metrics = Metrics()
    assert seen(metrics, "belay_rollout_duration_seconds_count", "Reverted", "total") == 0
    metrics.rollout_part(Outcome.REVERTED, "total", 1)
    assert seen(metrics, "belay_rollout_duration_seconds_count", "Reverted", "total") == 1


def test_the_machine_counts_without_naming_a_workflow() -> None:
    metrics = Metrics()
    metrics.watch_queue(lambda: 3, lambda: 1.5)
    metrics.watch_source(lambda: 42)
    metrics.leading(True)
    metrics.api_request("get", WORKFLOWS, 200)
    metrics.check("http", Verdict.FAIL)
    metrics.rollout_part(Outcome.PROMOTED, "total", 2.1)
    assert seen(metrics, "belay_queue_depth") == 3
    assert seen(metrics, "belay_queue_oldest_seconds") == 1.5
    assert seen(metrics, "belay_watch_age_seconds") == 42
    assert seen(metrics, "belay_leader") == 1
    assert seen(metrics, "belay_api_requests_total", "get", "workflows", "200") == 1
    assert seen(metrics, "belay_checks_total", "http", "Fail") == 1
    assert seen(metrics, "belay_rollout_duration_seconds_sum", "Promoted", "total") == 2.1
