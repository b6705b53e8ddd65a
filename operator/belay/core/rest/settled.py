"""At rest: whether a wish starts something, and the housekeeping after it ended."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from belay.api.status import HistoryEntry, RevisionRef, Rollout, WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason, RolloutKind, Trigger
from belay.core import conditions, ending, gates, milestones, moves
from belay.core.attempt import attempt_digest, is_wished, unwished
from belay.core.begin import begin
from belay.core.conditions import Say, Story
from belay.core.decision import Action, Decision, DeleteConfigMap, DeleteRevision
from belay.core.gates import Ask, Go, Refuse, Same, Wait
from belay.core.observed import Observed, Refusal, RevisionView
from belay.core.phases.content import ensured
from belay.core.rest import adoption, drift, pods, restoring, steady

_FINAL = frozenset(Outcome) - {Outcome.REFUSED, Outcome.SUPERSEDED}


def idle(seen: Observed) -> bool:
    """Whether nothing new is wished for since the last outcome."""
    return answered(seen) and seen.abort in (None, seen.status.last_handled_abort)


def answered(seen: Observed) -> bool:
    """Whether this very wish has had its outcome; nothing starts by itself after that."""
    return (
        seen.status.observed_generation == seen.generation
        and seen.status.phase in _FINAL
        and not seen.spec.suspend
        and not wants_retry(seen)
    )


def wants_retry(seen: Observed) -> bool:
    """A new retry token; one that was there at creation counts as handled."""
    first = seen.status.observed_generation is None
    return not first and seen.retry not in (None, seen.status.last_handled_retry)


def settled(seen: Observed, now: datetime) -> Decision:
    if restoring.is_due(seen):
        return restoring.restoring(seen, now)
    if idle(seen):
        return pods.at_rest(seen, now) or drift.at_rest(seen, now) or _housekeeping(seen, now)
    done = answered(seen)
    trigger = Trigger.RETRY if wants_retry(seen) else Trigger.SPEC
    tokens = _tokens(seen)
    if tokens and (not seen.spec.suspend or seen.status.observed_generation is None):
        handled = seen.status.model_copy(update=tokens)
        seen = replace(seen, status=handled, written=seen.status)
    if done:
        return Decision(status=seen.to_write(seen.status))
    if seen.spec.suspend:
        return _suspended(seen, now)
    return _answer(seen, now, trigger)


def _answer(seen: Observed, now: datetime, trigger: Trigger) -> Decision:
    found = _found_running(seen)
    if found is not None and not _is_wanted(seen, found):
        return begin(seen, now, Go(found, unwished(found.digest)), Trigger.ADOPTION)
    answer = gates.gate(seen, released=trigger is Trigger.RETRY)
    if found is not None and isinstance(answer, Ask | Go):
        attempt = attempt_digest(seen.spec, found.digest)
        return begin(seen, now, Go(found, attempt), Trigger.ADOPTION)
    match answer:
        case Ask(action):
            return Decision((action,), again=True)
        case Go():
            return begin(seen, now, answer, trigger)
        case Same():
            return _adopt(seen, now, answer)
        case Wait():
            return _wait(seen, now, answer)
        case Refuse():
            return _refuse(seen, now, answer)
        case _:
            assert_never(answer)


def _found_running(seen: Observed) -> RevisionRef | None:
    """What the targets carry and the status lost, to be proven where it runs.

    The wanted content waits for what stands against it. Another is needed as the way back, if it
    could be brought back at all.
    """
    found = adoption.found(seen)
    if found is None or isinstance(ensured(seen, gates.delivery_of(seen, found)), Refusal):
        return None
    return found


def _is_wanted(seen: Observed, found: RevisionRef) -> bool:
    wanted = seen.revision
    return isinstance(wanted, RevisionView) and wanted.spec.digest == found.digest


def adopted_status(seen: Observed, now: datetime, same: Same) -> WorkflowStatus:
    """The name is adopted: what runs stays as it is, down to its bytes."""
    before, new = seen.status, same.ref.revision
    ready = conditions.find(before.conditions, ConditionType.READY)
    renamed = same.was.revision != new
    serving = moves.still_serving(seen, before)
    if serving.reason == Reason.DRIFTED:
        serving = Say("True", Reason.CHECK_PASSED, f"{new} is proven")
    if ready is not None and ready.status == "True" and not renamed:
        story = conditions.settled(ready.reason, ready.message, serving)
        return _rest(seen, now, Outcome.PROMOTED, story)
    message = f"{new} already runs and is proven: nothing was touched"
    if renamed:
        message = (
            f"{new} has the content of {same.was.revision}, which already runs and is "
            "proven: nothing was touched"
        )
    story = conditions.settled(Reason.SAME_CONTENT, message, serving)
    status = _rest(seen, now, Outcome.PROMOTED, story)
    entry = HistoryEntry(
        id=f"{seen.generation}-0",
        kind=RolloutKind.ROLLOUT,
        revision=new,
        digest=same.ref.digest[:19],
        outcome=Outcome.PROMOTED,
        reason=Reason.SAME_CONTENT,
        started_at=now.replace(microsecond=0),
        ended_at=now.replace(microsecond=0),
        activated=True,
    )
    others = [h for h in status.history if h.id != entry.id]
    return status.model_copy(
        update={
            "active": same.ref,
            "stable": same.ref,
            "active_revision": new,
            "stable_revision": new,
            "history": [entry, *others][: ending.MOST_HISTORY],
        }
    )


def _adopt(seen: Observed, now: datetime, same: Same) -> Decision:
    status = adopted_status(seen, now, same)
    ready = conditions.find(status.conditions, ConditionType.READY)
    told: tuple[milestones.Milestone, ...] = ()
    if ready is not None and ready.reason == Reason.SAME_CONTENT:
        told = (milestones.adopted(seen.generation, ready.message, now),)
    return Decision(status=seen.to_write(status), milestones=told, again=True)


def _wait(seen: Observed, now: datetime, wait: Wait) -> Decision:
    story = conditions.moving(
        wait.reason,
        wait.message,
        Say("False", wait.reason, wait.message),
        moves.still_serving(seen, seen.status),
    )
    status = _rest(seen, now, Phase.PENDING, story)
    follow = wait.reason is Reason.TARGET_NOT_FOUND
    return Decision(status=seen.to_write(status), follow=follow)


def _refuse(seen: Observed, now: datetime, refuse: Refuse) -> Decision:
    last = seen.status.rollout
    if refuse.reason is Reason.QUARANTINED and last is not None and is_wished(seen.spec, last):
        kept = _story_kept(seen, now, last)
        if kept is not None:
            return Decision(status=seen.to_write(kept))
    story = conditions.stopped(
        refuse.reason,
        refuse.message,
        Say("False", refuse.reason, refuse.message),
        moves.still_serving(seen, seen.status),
    )
    status = _rest(seen, now, Outcome.REFUSED, story)
    told = (milestones.refused(seen.generation, refuse.reason, refuse.message, now),)
    return Decision(status=seen.to_write(status), milestones=told)


def _story_kept(seen: Observed, now: datetime, last: Rollout) -> WorkflowStatus | None:
    """The quarantined wish is the rollout that failed last: its own story says more.

    A suspension that was lifted leaves it as it was.
    """
    status = seen.status
    if last.outcome in {None, Outcome.PROMOTED, Outcome.SUPERSEDED}:
        return None
    if status.phase == Phase.SUSPENDED:
        return _rest(seen, now, last.outcome, ending.told_of(seen, status, last, last.outcome, now))
    if status.phase != last.outcome:
        return None
    kept = [
        c.model_copy(update={"observed_generation": seen.generation}) for c in status.conditions
    ]
    return status.model_copy(update={"observed_generation": seen.generation, "conditions": kept})


def _suspended(seen: Observed, now: datetime) -> Decision:
    ready = conditions.find(seen.status.conditions, ConditionType.READY)
    serving = moves.still_serving(seen, seen.status)
    wished = seen.status.active_revision == seen.spec.active_revision
    if ready is not None and ready.status == "True" and wished:
        story = conditions.settled(ready.reason, ready.message, serving)
    else:
        message = (
            f"by spec.suspend; {seen.spec.active_revision} is not looked at until it is lifted"
        )
        story = conditions.moving(
            Reason.SUSPENDED, message, Say("False", Reason.SUSPENDED, message), serving
        )
    return Decision(status=seen.to_write(_rest(seen, now, Phase.SUSPENDED, story)))


def _rest(seen: Observed, now: datetime, phase: Phase | Outcome, story: Story) -> WorkflowStatus:
    drifted = drift.found(seen) if not seen.spec.suspend else None
    if drifted is not None:
        serving = drift.serving(drifted)
        story = replace(story, drifted=drift.say(seen, drifted), serving=serving)
    told = conditions.write(story, seen.status.conditions, now, seen.generation)
    return seen.status.model_copy(
        update={
            "phase": phase.value,
            "observed_generation": seen.generation,
            "conditions": told,
        }
    )


def _tokens(seen: Observed) -> dict[str, str]:
    """Tokens that are handled by now, as fields of the status."""
    tokens = {"last_handled_retry": seen.retry, "last_handled_abort": seen.abort}
    if seen.status.observed_generation is None:
        tokens["last_handled_restore"] = seen.restore
    return {field: token for field, token in tokens.items() if token is not None}


def _housekeeping(seen: Observed, now: datetime) -> Decision:
    actions: list[Action] = [
        DeleteConfigMap(name, uid) for name, uid in sorted(seen.garbage.items())
    ]
    actions += _surplus(seen)
    status = seen.to_write(_stable_noted(seen, steady.noted(seen, now)))
    probes = steady.probes(seen)
    look = pods.LOOK if pods.looked_at(seen) else None
    follow = probes is not None
    return Decision(tuple(actions), status, probes=probes, requeue=look, follow=follow)


def _surplus(seen: Observed) -> list[Action]:
    """Revisions of our own importer beyond the limit, oldest first.

    Never one that has a role, and none that came after those: it may be wished for next.
    """
    status = seen.status
    if status.phase != Outcome.PROMOTED or not seen.known_complete:
        return []
    needed = {seen.spec.active_revision, status.active_revision, status.stable_revision}
    managed = sorted((k for k in seen.known if k.managed), key=lambda k: (k.created, k.name))
    excess = max(len(managed) - seen.spec.revision_history_limit, 0)
    newest = max((k.created for k in seen.known if k.name in needed), default="")
    free = [k for k in managed if k.name not in needed and k.created < newest]
    return [DeleteRevision(f"{seen.key.name}-{k.name}", k.uid) for k in free[:excess]]


def _stable_noted(seen: Observed, status: WorkflowStatus) -> WorkflowStatus:
    """Serving says so when the stable revision's object is gone; nothing else changes (rule 12)."""
    serving = conditions.find(status.conditions, ConditionType.SERVING)
    if status.stable is None or serving is None or not seen.known_complete:
        return status
    name = status.stable.revision
    there = any(k.name == name for k in seen.known)
    noted = serving.reason == Reason.STABLE_REVISION_DELETED
    if there is not noted or serving.status != "True":
        return status
    message = f"{name} is proven and runs"
    reason = Reason.CHECK_PASSED
    if not there:
        reason = Reason.STABLE_REVISION_DELETED
        message = (
            f"{name} runs, but WorkflowRevision {seen.key.name}-{name} was deleted. The way back "
            "still works: its content is kept in the cluster"
        )
    told = [
        c.model_copy(update={"reason": reason, "message": message}) if c is serving else c
        for c in status.conditions
    ]
    return status.model_copy(update={"conditions": told})
