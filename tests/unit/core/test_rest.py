"""At rest: waiting, refusing, adopting, and the housekeeping that never touches what has a role."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.properties import consistent
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import NOW, observed, seconds, stamp

from belay.api.status import Quarantine, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason
from belay.core.decide import decide
from belay.core.decision import DeleteConfigMap, DeleteRevision
from belay.core.observed import KnownRevision, Observed


def known(*names: str, managed: bool = True) -> tuple[KnownRevision, ...]:
    """Revisions that were created one second after another."""
    return tuple(
        KnownRevision(n, f"uid-of-{n}", managed, stamp(NOW + seconds(i)))
        for i, n in enumerate(names)
    )


# Waiting and refusing


def test_a_wish_that_waits_is_moving_and_starts_when_it_can() -> None:
    toy = Toy(world.spec("v9")).turn()
    assert toy.status.phase == Phase.PENDING
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.REVISION_NOT_FOUND)
    assert toy.says(ConditionType.RECONCILING) == ("True", Reason.REVISION_NOT_FOUND)
    toy.revisions["v9"] = world.revision("v9")
    assert toy.run().status.phase == Outcome.PROMOTED


def test_a_missing_target_is_followed() -> None:
    toy = Toy()
    toy.workloads.clear()
    toy.turn()
    assert toy.says(ConditionType.READY) == ("Unknown", Reason.TARGET_NOT_FOUND)
    assert toy.decisions[-1].follow


def test_a_wish_that_waits_keeps_what_is_said_of_what_runs() -> None:
    toy = promoted("v1").wish("v9").turn()
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)
    assert (toy.status.active_revision, toy.carries()) == ("v1", "v1")


def test_a_refusal_is_looked_at_again_without_a_new_write() -> None:
    toy = Toy()
    toy.workloads["triage"]["metadata"]["annotations"].clear()
    toy.turn()
    assert toy.status.phase == Outcome.REFUSED
    assert toy.says(ConditionType.STALLED) == ("True", Reason.TARGET_NOT_CONSENTING)
    written, told = toy.writes, dict(toy.events)
    toy.advance(3600).turn().turn()
    assert (toy.writes, toy.events) == (written, told)
    toy.workloads["triage"]["metadata"]["annotations"]["belay.dev/workflow"] = "wf-1"
    assert toy.run().status.phase == Outcome.PROMOTED


def test_a_wish_for_what_failed_two_wishes_ago_is_refused_with_its_story() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run().wish("v1").turn().wish("v2").turn()
    assert toy.status.phase == Outcome.REFUSED
    assert toy.says(ConditionType.READY) == ("False", Reason.QUARANTINED)


# The same content


def test_the_same_content_is_adopted_with_nothing_touched() -> None:
    toy = promoted("v1")
    toy.revisions["v2"] = world.revision("v2", "v1")
    before = toy.workloads["triage"]["metadata"]["generation"]
    toy.decisions.clear()
    toy.wish("v2").turn()
    assert not any(d.actions for d in toy.decisions)
    assert toy.workloads["triage"]["metadata"]["generation"] == before
    assert toy.says(ConditionType.READY) == ("True", Reason.SAME_CONTENT)
    assert toy.message() == (
        "v2 has the content of v1, which already runs and is proven: nothing was touched"
    )
    assert (toy.status.active_revision, toy.status.stable_revision) == ("v2", "v2")
    assert toy.status.active.uid == "uid-of-v2"
    assert ("g2", Reason.SAME_CONTENT) in toy.events
    entry = toy.status.history[0]
    assert (entry.revision, entry.reason) == ("v2", Reason.SAME_CONTENT)


def test_a_revert_after_an_adoption_rolls_nothing_of_the_same_bytes() -> None:
    toy = promoted("v1")
    toy.revisions["v2"] = world.revision("v2", "v1")
    toy.wish("v2").turn()
    toy.behaves("v3", Mode.WRONG).wish("v3").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    assert toy.status.active_revision == "v2"


def test_git_revert_heals_without_touching_a_pod() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.decisions.clear()
    toy.wish("v1").turn()
    assert not any(d.actions for d in toy.decisions)
    assert toy.says(ConditionType.READY) == ("True", Reason.SAME_CONTENT)
    assert toy.message() == "v1 already runs and is proven: nothing was touched"


def test_editing_checks_at_rest_re_proves_nothing() -> None:
    toy = promoted("v1")
    toy.decisions.clear()
    toy.wish(checks=[world.check("other")]).turn()
    assert not any(d.actions or d.milestones for d in toy.decisions)
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)
    assert toy.status.observed_generation == 2


def test_a_name_that_came_back_with_other_content_is_refused() -> None:
    toy = promoted("v1", "v2")
    toy.revisions["v1"] = world.revision("v1", "something else")
    toy.revisions["v2"] = world.revision("v2", "something else")
    toy.wish(revision_history_limit=3).turn()
    assert toy.says(ConditionType.READY) == ("False", Reason.REVISION_REPLACED)
    assert toy.carries() == "v2"


# Caps


def test_the_history_keeps_the_last_ten() -> None:
    toy = promoted("v1")
    for number in range(12):
        toy.wish(f"v{1 + number % 2}").run("Promoted")
    assert len(toy.status.history) == 10
    assert toy.status.history[0].id == f"{toy.generation}-1"


def entry(number: int, revision: str = "v5") -> Quarantine:
    return Quarantine(
        attempt_digest=world.digest(str(number)),
        revision=revision,
        reason=Reason.CHECK_FAILED,
        at=NOW,
        rollout=f"{number}-1",
    )


def test_the_quarantine_keeps_twenty_and_forgets_the_oldest() -> None:
    toy = promoted("v1")
    before = [entry(n) for n in range(20)]
    toy.status = toy.status.model_copy(update={"quarantine": before})
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    assert [q.revision for q in toy.status.quarantine] == ["v2", *["v5"] * 19]
    assert toy.status.quarantine[1:] == before[:19]


def test_the_wanted_one_is_never_evicted() -> None:
    toy = promoted("v1").wish("v2").run(Phase.OBSERVING)
    before = [*(entry(n) for n in range(19)), entry(19, "v3")]
    toy.status = toy.status.model_copy(update={"quarantine": before})
    toy.abort = "stop"
    toy.wish("v3").turn()
    kept = toy.status.quarantine
    assert len(kept) == 20
    assert [q.revision for q in kept][::19] == ["v2", "v3"]


def test_twenty_attempts_of_one_revision_make_room_for_another() -> None:
    toy = promoted("v1")
    before = [entry(n, "v2") for n in range(20)]
    toy.status = toy.status.model_copy(update={"quarantine": before})
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    assert [q.rollout for q in toy.status.quarantine] == ["2-1", *(q.rollout for q in before[:19])]


def test_the_same_attempt_stands_in_the_quarantine_once() -> None:
    toy = promoted("v1")
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    toy.retry = "one"
    toy.run()
    assert [q.rollout for q in toy.status.quarantine] == ["2-2"]


@pytest.mark.parametrize("outcome", [Outcome.PROMOTED, Outcome.SUPERSEDED])
@pytest.mark.parametrize("suspended", [False, True])
def test_only_a_failure_is_told_again_of_what_is_in_quarantine(
    outcome: Outcome, suspended: bool
) -> None:
    toy = promoted("v1").behaves("v2", Mode.WRONG).wish("v2").run()
    last = toy.status.rollout.model_copy(update={"outcome": outcome})
    phase = Phase.SUSPENDED if suspended else outcome
    toy.status = toy.status.model_copy(update={"rollout": last, "phase": phase.value})
    toy.wish(revision_history_limit=9).turn()
    assert toy.status.phase == Outcome.REFUSED
    assert toy.says(ConditionType.STALLED) == ("True", Reason.QUARANTINED)
    consistent(toy.status, toy.generation)


# Housekeeping


def resting(limit: int, *names: str, active: str, managed: bool = True) -> Observed:
    toy = promoted("v1")
    ref = world.ref(active)
    status = toy.status.model_copy(
        update={"active": ref, "stable": ref, "active_revision": active, "stable_revision": active}
    )
    spec = toy.spec.model_copy(update={"active_revision": active, "revision_history_limit": limit})
    seen = replace(toy.observe(), spec=spec, status=status)
    return replace(seen, known=known(*names, managed=managed), known_complete=True, workloads=())


def deleted(seen: Observed) -> list[str]:
    actions = decide(seen, NOW).actions
    return [a.name for a in actions if isinstance(a, DeleteRevision)]


@pytest.mark.parametrize(
    ("limit", "active", "expected"),
    [
        (10, "v5", []),
        (5, "v5", []),
        (3, "v5", ["wf-1-v1", "wf-1-v2"]),
        (1, "v5", ["wf-1-v1", "wf-1-v2", "wf-1-v3", "wf-1-v4"]),
        (0, "v5", ["wf-1-v1", "wf-1-v2", "wf-1-v3", "wf-1-v4"]),
        (0, "v3", ["wf-1-v1", "wf-1-v2"]),
        (0, "v1", []),
    ],
)
def test_surplus_revisions_go_oldest_first_and_never_what_runs_or_came_later(
    limit: int, active: str, expected: list[str]
) -> None:
    assert deleted(resting(limit, "v1", "v2", "v3", "v4", "v5", active=active)) == expected


def test_revisions_of_others_are_never_deleted() -> None:
    assert deleted(resting(0, "v1", "v2", "v3", active="v3", managed=False)) == []


def test_stable_and_wanted_are_never_deleted() -> None:
    seen = resting(0, "v1", "v2", "v3", active="v3")
    stable = {"stable": world.ref("v1"), "stable_revision": "v1"}
    seen = replace(seen, status=seen.status.model_copy(update=stable))
    assert deleted(seen) == ["wf-1-v2"]
    wanted = seen.spec.model_copy(update={"active_revision": "v2"})
    assert deleted(replace(seen, spec=wanted)) == []


def test_nothing_is_deleted_while_the_list_is_incomplete_or_the_last_wish_failed() -> None:
    seen = resting(0, "v1", "v2", "v3", active="v3")
    assert deleted(replace(seen, known_complete=False)) == []
    failed = seen.status.model_copy(update={"phase": Outcome.REVERTED.value})
    assert deleted(replace(seen, status=failed)) == []


def test_a_deletion_names_the_uid_that_was_seen() -> None:
    (action,) = decide(resting(0, "v1", "v2", active="v2"), NOW).actions
    assert isinstance(action, DeleteRevision)
    assert action.uid == "uid-of-v1"
    assert action.told == "deleting WorkflowRevision wf-1-v1, beyond revisionHistoryLimit"


def test_content_that_nothing_needs_is_deleted() -> None:
    seen = replace(promoted("v1").observe(), garbage={"wf-1-0123456789abcdef": "map-9"})
    (action,) = decide(seen, NOW).actions
    assert action == DeleteConfigMap("wf-1-0123456789abcdef", "map-9")
    assert action.told == "deleting ConfigMap wf-1-0123456789abcdef, which nothing needs"


def test_a_stable_revision_that_was_deleted_is_noted_and_changes_nothing() -> None:
    toy = promoted("v1")
    gone = toy.revisions.pop("v1")
    written = toy.writes
    toy.turn().turn()
    assert toy.writes == written + 1
    assert toy.says(ConditionType.SERVING) == ("True", Reason.STABLE_REVISION_DELETED)
    assert "its content is kept in the cluster" in toy.message(ConditionType.SERVING)
    assert toy.says(ConditionType.READY) == ("True", Reason.PROMOTED)
    toy.behaves("v2", Mode.WRONG).wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    toy.revisions["v1"] = gone
    toy.turn()
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)


def test_what_does_not_serve_is_not_told_to_serve_by_a_deleted_revision() -> None:
    toy = promoted("v1").wish("v2").run(Phase.OBSERVING)
    toy.behaves("v2", Mode.SILENT).run()
    assert toy.status.phase == Outcome.HELD
    del toy.revisions["v1"]
    toy.turn()
    assert toy.says(ConditionType.SERVING) == ("False", Reason.INCONCLUSIVE)


def test_an_idle_workflow_needs_neither_reads_nor_writes() -> None:
    toy = promoted("v1")
    decision = decide(replace(toy.observe(), revision=None, workloads=()), toy.now)
    assert (decision.status, decision.actions, decision.again, decision.requeue) == (
        None,
        (),
        False,
        None,
    )


def test_a_status_of_nothing_is_a_new_workflow() -> None:
    decision = decide(observed(status=WorkflowStatus()), NOW)
    assert [type(a).__name__ for a in decision.actions] == ["TryDelivery"]
    assert decision.again
