"""Each oracle fires when `decide` is wrong in the way that it watches for."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from tests.model import __main__ as by_hand
from tests.model import around, steps
from tests.model.scenarios import SCENARIOS, Scenario
from tests.model.search import Bounds, Found, search, undisturbed
from tests.model.state import THEIRS
from tests.unit.core import world

from belay.api.names import ANNOTATION_CONTENT_DIGEST
from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import Outcome, Phase, Reason
from belay.core import ending
from belay.core.decide import decide, under_way
from belay.core.decision import (
    ApplyTemplate,
    CreatePreview,
    Decision,
    DeletePreview,
    PauseInstances,
)
from belay.core.evidence.proof import Fault, Why
from belay.core.observed import Observed
from belay.core.phases.observing import promote


def effect_before_intent(seen: Observed, now: datetime) -> Decision:
    first = decide(seen, now)
    if under_way(seen) is None and first.status is not None and not first.actions:
        second = decide(replace(seen, status=first.status), now)
        return replace(first, actions=second.actions)
    return first


def another_content(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    for action in decision.actions:
        if isinstance(action, ApplyTemplate):
            template = action.body["spec"]["template"]
            template["metadata"]["annotations"][ANNOTATION_CONTENT_DIGEST] = world.ref(
                "v3"
            ).content_digest
    return decision


def reverts_twice(seen: Observed, now: datetime) -> Decision:
    last = seen.status.rollout
    if last is not None and last.outcome is Outcome.REVERTED:
        anew = last.model_copy(update={"outcome": None, "ended_at": None, "delivered": True})
        before = replace(seen, status=_with(seen.status, anew))
        return replace(_reverting(before, now, anew), again=True)
    return decide(seen, now)


def _reverting(seen: Observed, now: datetime, rollout: Rollout) -> Decision:
    return ending.back(seen, now, rollout, Outcome.REVERTED)


def forgets_history(seen: Observed, now: datetime) -> Decision:
    return _altered(decide(seen, now), history=[])


def forgets_ready(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    told = decision.status.conditions[1:] if decision.status else []
    return _altered(decision, conditions=told)


def never_ends(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    rollout = decision.status.rollout if decision.status else None
    if rollout is not None and rollout.outcome is Outcome.PROMOTED:
        return Decision(requeue=world.seconds(5), follow=True)
    return decision


def sleeps(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    return replace(decision, requeue=None)


def promotes_unproven(seen: Observed, now: datetime) -> Decision:
    rollout = under_way(seen)
    if rollout is not None and rollout.phase is Phase.VERIFYING:
        return promote(seen, now, rollout)
    return decide(seen, now)


def forgets_quarantine(seen: Observed, now: datetime) -> Decision:
    if under_way(seen) is not None:
        return decide(seen, now)
    before = seen.status.model_copy(update={"quarantine": []})
    decision = decide(replace(seen, status=before), now)
    return _altered(decision, quarantine=seen.status.quarantine)


def deaf_to_newer_wishes(seen: Observed, now: datetime) -> Decision:
    if seen.spec.active_revision == "v3":
        spec = seen.spec.model_copy(update={"active_revision": "v2"})
        seen = replace(seen, spec=spec, revision=world.revision("v2"))
    return decide(seen, now)


def remembers_another_outcome(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    told = decision.status.history if decision.status else []
    update = {"outcome": Outcome.ABORTED}
    history = [h.model_copy(update=update) if h.outcome is Outcome.SUPERSEDED else h for h in told]
    return _altered(decision, history=history)


def leaves_the_preview(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    kept = tuple(a for a in decision.actions if not isinstance(a, DeletePreview))
    return replace(decision, actions=kept)


def disowns_the_preview(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    for action in decision.actions:
        if isinstance(action, CreatePreview):
            del action.body["metadata"]["ownerReferences"]
    return decision


def delivers_in_two_goes(seen: Observed, now: datetime) -> Decision:
    """Without its mount first, and no status is written in between."""
    decision = decide(seen, now)
    for action in decision.actions:
        if isinstance(action, ApplyTemplate) and seen.workloads[0].carried is None:
            action.body["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] = []
            return replace(decision, again=True)
    return decision


def leaves_instances(seen: Observed, now: datetime) -> Decision:
    rollout = under_way(seen)
    if seen.instances is None or rollout is None or rollout.phase is not Phase.RESUMING:
        return decide(seen, now)
    return decide(replace(seen, instances=replace(seen.instances, resources=())), now)


def pauses_without_a_word(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    rollout = decision.status.rollout if decision.status is not None else None
    if rollout is None or rollout.phase is not Phase.PAUSING:
        return decision
    silent = rollout.model_copy(update={"paused": False})
    return replace(decision, status=_with(decision.status or seen.status, silent))


def touches_what_is_theirs(seen: Observed, now: datetime) -> Decision:
    decision = decide(seen, now)
    for action in decision.actions:
        if isinstance(action, PauseInstances):
            action.writes[0].body["metadata"]["uid"] = f"uid-of-{THEIRS}"
    return decision


def writes_for_ever(seen: Observed, now: datetime) -> Decision:
    decision, rollout = decide(seen, now), under_way(seen)
    if rollout is not None and rollout.phase is Phase.OBSERVING and decision.status is None:
        noise = rollout.model_copy(update={"message": rollout.message[:50] + "."})
        return replace(decision, status=_with(seen.status, noise), again=True)
    return decision


def gives_up_after_a_restart(seen: Observed, now: datetime) -> Decision:
    rollout = under_way(seen)
    if rollout is None or rollout.deadline is None or rollout.phase is not Phase.OBSERVING:
        return decide(seen, now)
    if now >= rollout.deadline and not seen.session:
        why = Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, "who am I")
        return ending.unproven(seen, now, rollout, why)
    return decide(seen, now)


def deaf_to_lost_contact(seen: Observed, now: datetime) -> Decision:
    return decide(replace(seen, lost_contact=None), now)


def counts_unclear_as_right(seen: Observed, now: datetime) -> Decision:
    tallies = tuple(replace(t, passes=t.tries, passed_ever=t.tries > 0) for t in seen.tallies)
    return decide(replace(seen, tallies=tallies), now)


def takes_silence_for_an_answer(seen: Observed, now: datetime) -> Decision:
    rollout = under_way(seen)
    if rollout is not None and rollout.phase is Phase.VERIFYING and not seen.tallies:
        why = Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, "nothing was heard")
        return ending.unproven(seen, now, rollout, why)
    return decide(seen, now)


def _with(status: WorkflowStatus, rollout: Rollout) -> WorkflowStatus:
    return status.model_copy(update={"rollout": rollout})


def _altered(decision: Decision, **update: Any) -> Decision:
    if decision.status is None:
        return decision
    return replace(decision, status=decision.status.model_copy(update=update))


@pytest.mark.parametrize(
    ("oracle", "mutant", "scenario", "disturbance"),
    [
        ("intent before effect", effect_before_intent, "good", ""),
        ("one revision on a target", another_content, "good", ""),
        ("one revert per attempt", reverts_twice, "wrong", ""),
        ("one history entry per outcome", forgets_history, "good", ""),
        ("conditions tell one story", forgets_ready, "good", ""),
        ("eventually stable", never_ends, "good", ""),
        ("eventually stable", sleeps, "good", ""),
        ("stable is proven", promotes_unproven, "wrong", ""),
        ("quarantine", forgets_quarantine, "wrong", "suspend"),
        ("a newer wish wins", deaf_to_newer_wishes, "good", "wish v3"),
        ("one event per milestone", remembers_another_outcome, "good", "wish v3"),
        ("nothing is left", leaves_the_preview, "previewed", ""),
        ("nothing is left", disowns_the_preview, "previewed", "workflow deleted"),
        ("writes within budget", delivers_in_two_goes, "first", "workflow deleted"),
        ("nothing is left paused", leaves_instances, "paused", ""),
        ("intent before effect", pauses_without_a_word, "paused", ""),
        ("what others suspended is left alone", touches_what_is_theirs, "paused", ""),
        ("writes within budget", writes_for_ever, "good", ""),
        ("a newer wish wins", gives_up_after_a_restart, "good", "crash"),
        ("the same end", takes_silence_for_an_answer, "wrong", ""),
        ("a newer wish wins", deaf_to_lost_contact, "good", "cut off"),
        ("stable is proven", counts_unclear_as_right, "unclear", ""),
        ("stable is proven", counts_unclear_as_right, "unclear-late", ""),
    ],
)
def test_an_oracle_fires(oracle: str, mutant: Any, scenario: str, disturbance: str) -> None:
    sound = SCENARIOS[scenario]
    wrong = replace(sound, world=replace(sound.world, decide=mutant))
    bounds = Bounds({disturbance: 1}, 1) if disturbance else Bounds()
    search(sound, bounds, undisturbed(scenario))
    with pytest.raises(Found) as found:
        search(wrong, bounds, undisturbed(scenario))
    assert found.value.oracle == oracle, found.value


@pytest.mark.parametrize(
    ("oracle", "step", "scenario"),
    [
        ("nothing is left paused", "swept", "paused"),
        ("nothing is left", "collected", "previewed"),
    ],
)
def test_after_a_deletion_somebody_has_to_clear_up(
    oracle: str, step: str, scenario: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sound, bounds = SCENARIOS[scenario], Bounds({"workflow deleted": 1}, 1)
    assert len(search(sound, bounds, undisturbed(scenario)).endings) > 1
    monkeypatch.setattr(around, step, lambda _: iter(()))
    with pytest.raises(Found) as found:
        search(sound, bounds, undisturbed(scenario))
    assert found.value.oracle == oracle, found.value


def test_a_status_may_not_come_to_another_workflow_of_the_same_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, bounds = SCENARIOS["good"], Bounds({"workflow anew": 1}, 1)
    search(sound, bounds, undisturbed("good"))
    monkeypatch.setattr(steps, "_wish_differs", lambda *_: False)
    with pytest.raises(Found) as found:
        search(sound, bounds, undisturbed("good"))
    assert found.value.oracle == "conditions tell one story", found.value


def test_a_violation_tells_its_story_and_plays_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = SCENARIOS["good"]
    wrong = replace(
        sound, name="broken", world=replace(sound.world, decide=gives_up_after_a_restart)
    )
    with pytest.raises(Found) as found:
        search(wrong, Bounds({"crash": 1}, 1), undisturbed("good"))
    told = str(found.value)
    assert "** the operator is killed and starts anew" in told
    scenarios: dict[str, Scenario] = {"broken": wrong}
    monkeypatch.setattr(by_hand, "SCENARIOS", scenarios)
    plan = told.rpartition('--replay "')[2].rstrip('"')
    by_hand.replay(plan)
    played = capsys.readouterr().out
    assert [line for line in found.value.story if line not in played] == []
