"""How a rollout ends: the policy on failure, the quarantine, the history, the last words."""

from datetime import datetime, timedelta
from typing import Any, assert_never

from belay.api.duration import spoken
from belay.api.instances import AfterRevert, Policy
from belay.api.status import HistoryEntry, Quarantine, RevisionRef, Rollout, WorkflowStatus
from belay.api.words import Outcome, Phase, Reason, Trigger, Verdict
from belay.api.workflow import OnFailure, OnInconclusive
from belay.core import conditions, milestones, moves
from belay.core.attempt import is_wished
from belay.core.conditions import Say, Story
from belay.core.decision import Decision
from belay.core.evidence import proof
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import retry_command
from belay.core.observed import Observed
from belay.core.workloads.pointer import pointer_name

MOST_HISTORY = 10
MOST_QUARANTINE = 20
_QUIET = timedelta(hours=2)
"""After this, what is taken out anew is another matter; longer than the longest back-off."""
_UNASKED = (Trigger.ADOPTION, Trigger.DRIFT)
MOST_WORDS = 1024
"""Characters of a reason to give up; kubelet and admission may say more."""
REVISIONS_FAULT = frozenset(
    {
        Reason.CHECK_FAILED,
        Reason.CRASH_LOOP,
        Reason.NOT_READY,
        Reason.CONTAINER_RESTARTED,
        Reason.WRONG_CONTENT,
        Reason.REVISION_REJECTED,
    }
)
_RUNBOOK = "docs/operations.md"


def unproven(seen: Observed, now: datetime, rollout: Rollout, why: Why) -> Decision:
    """The revision was not proven: hold it, go back, or just end where nothing live was touched."""
    why = _blame(rollout, why)
    record = rollout.model_copy(
        update={
            "reason": why.reason,
            "message": why.message[:MOST_WORDS],
            "evidence": proof.evidence(seen, moves.session(rollout)) or rollout.evidence,
        }
    )
    marked = _quarantined(seen, record, why, now)
    if _holds(seen, rollout, why):
        return _left(seen, now, record, Outcome.HELD, quarantine=marked)
    outcome = Outcome.ABORTED if why.fault is Fault.PERSON else Outcome.REVERTED
    if not rollout.delivered:
        if seen.status.stable is None and outcome is Outcome.REVERTED:
            outcome = Outcome.FAILED
        return end(seen, now, record, outcome, quarantine=marked)
    return back(seen, now, record, outcome, quarantine=marked)


def back(
    seen: Observed, now: datetime, rollout: Rollout, outcome: Outcome, **more: Any
) -> Decision:
    """Begin the way back; `outcome` is what it leads to.

    There is none from what was found running, or from the stable revision itself: but a person who
    ends the delivery of that before it has arrived does not ask for what ran before it, nor do
    instances that do not pause.
    """
    early = rollout.phase in (Phase.PAUSING, Phase.BACKING_UP)
    asked = outcome in (Outcome.ABORTED, Outcome.SUPERSEDED)
    halfway = (asked or early) and _elsewhere(seen, rollout.to)
    if rollout.inherited or (_is_stable(seen, rollout) and not halfway):
        left = Outcome.HELD if outcome is Outcome.REVERTED else outcome
        return _left(seen, now, rollout, left, **more)
    if seen.status.stable is None and outcome is Outcome.REVERTED:
        outcome = Outcome.FAILED
    limits = seen.spec.deadlines
    record = moves.enter(rollout, Phase.REVERTING, now, limits.revert, ending=outcome)
    if _pauses_first(seen, rollout):
        record = moves.pausing(seen, now, rollout, limits.revert_pause, ending=outcome)
    return moves.go(seen, now, record, **more)


def _pauses_first(seen: Observed, rollout: Rollout) -> bool:
    """Whether instances run on what failed, and stand still for the way back.

    New pods of an engine take runs as soon as they are ready.
    """
    wanted = seen.spec.instances
    if wanted is None or wanted.after_revert is AfterRevert.PIN:
        return False
    runs = wanted.engine is not None and wanted.engine.policy is Policy.PAUSE
    return runs or (bool(wanted.resources) and rollout.activated_at is not None)


def end(seen: Observed, now: datetime, rollout: Rollout, outcome: Outcome, **more: Any) -> Decision:
    """The one write that ends a rollout; `more` are further fields of the status.

    Where instances are paused, they are let go first: nothing ends before that was tried.
    """
    if not rollout.delivered:
        more = {"active": _active(seen) or seen.status.active, **more}
    if rollout.paused:
        record = moves.letting_go(seen, now, rollout, ending=outcome, delivered=rollout.live)
        return moves.go(seen, now, record, **_readable(more))
    record = rollout.model_copy(
        update={"outcome": outcome, "ended_at": now, "deadline": None, "suspended_at": None}
    )
    status = seen.status.model_copy(update=more)
    overtaken = outcome is Outcome.SUPERSEDED or not is_wished(seen.spec, record)
    story = told_of(seen, status, record, outcome, now)
    if overtaken:
        story = _on_the_way(seen, story)
    status = status.model_copy(
        update={
            "rollout": record,
            "phase": Phase.PENDING.value if overtaken else outcome.value,
            "observed_generation": seen.generation,
            "active_revision": status.active.revision if status.active else None,
            "stable_revision": status.stable.revision if status.stable else None,
            "conditions": conditions.write(story, status.conditions, now, seen.generation),
            "history": remember(status, record),
        }
    )
    told = milestones.of(record, status.stable)
    return Decision(status=seen.to_write(status), milestones=told, again=True)


def _readable(more: dict[str, Any]) -> dict[str, Any]:
    """With the readable copies of what they name."""
    copies = {
        f"{role}_revision": more[role].revision if more[role] else None
        for role in ("active", "stable")
        if role in more
    }
    return {**more, **copies}


def _left(
    seen: Observed, now: datetime, rollout: Rollout, outcome: Outcome, **more: Any
) -> Decision:
    """End with everything as it is; active is what the targets carry, where that is known."""
    if _untouched(seen, rollout) or (rollout.live and _elsewhere(seen, rollout.to)):
        rollout = rollout.model_copy(update={"delivered": False})
    active = rollout.to if rollout.live else _active(seen)
    return end(seen, now, rollout, outcome, active=active, **more)


def _is_stable(seen: Observed, rollout: Rollout) -> bool:
    stable = seen.status.stable
    return stable is not None and stable.content_digest == rollout.to.content_digest


def _untouched(seen: Observed, rollout: Rollout) -> bool:
    """Whether all runs as before, although the delivery had begun: it was refused."""
    if rollout.phase is not Phase.DELIVERING or _is_stable(seen, rollout):
        return False
    stable = moves.fallback(seen)
    if stable is None:
        return all(not w.in_place and w.carried is None for w in seen.workloads)
    return moves.is_at(seen, stable)


def _elsewhere(seen: Observed, ref: RevisionRef) -> bool:
    """Whether a target carries another content, such as that of a rollout that was superseded."""
    carried = (w.carried for w in seen.workloads)
    return any(c is not None and c.content_digest != ref.content_digest for c in carried)


def _active(seen: Observed) -> RevisionRef | None:
    """What was active before, or stable, where a way back that gave way had brought it.

    Nothing, where a target carries something else by now.
    """
    before, way_back = seen.status.active, moves.fallback(seen)
    if before is None or not _elsewhere(seen, before):
        return before
    return seen.status.stable if way_back is not None and moves.is_at(seen, way_back) else None


def _on_the_way(seen: Observed, story: Story) -> Story:
    """A newer wish has not had its answer: what ended is not the last word on it."""
    message = f"{story.ready.message}. {seen.spec.active_revision} is wanted now"
    say = Say("False", Reason.SUPERSEDED, message)
    return conditions.moving(Reason.SUPERSEDED, message, say, story.serving)


def remember(status: WorkflowStatus, rollout: Rollout) -> list[HistoryEntry]:
    """The history with one more entry, newest first; what is put back again and again is one."""
    assert rollout.outcome is not None  # noqa: S101
    told = rollout.reason is not None and rollout.reason.value == rollout.outcome.value
    entry = HistoryEntry(
        id=rollout.id,
        kind=rollout.kind,
        revision=rollout.to.revision,
        digest=rollout.to.digest[:19],
        outcome=rollout.outcome,
        reason=None if told else rollout.reason,
        started_at=rollout.started_at.replace(microsecond=0),
        ended_at=(rollout.ended_at or rollout.phase_started_at).replace(microsecond=0),
        activated=rollout.activated_at is not None,
        trigger=rollout.trigger if rollout.trigger in _UNASKED else None,
    )
    before = list(status.history)
    last = _continued(entry, before)
    if last is None:
        return [entry, *before][:MOST_HISTORY]
    before.remove(last)
    fresh = entry.started_at - last.ended_at > _QUIET
    update = {"times": 2 if fresh else last.times + 1, "started_at": last.started_at}
    return [entry.model_copy(update=update), *before]


def _continued(entry: HistoryEntry, before: list[HistoryEntry]) -> HistoryEntry | None:
    """The entry that this one goes on with: its own, or that of the putting back just before."""
    own = next((h for h in before if h.id == entry.id), None)
    if own is not None or entry.trigger is not Trigger.DRIFT or not before:
        return own
    last = before[0]
    recent = entry.started_at - last.ended_at <= _QUIET
    return last if last.trigger is Trigger.DRIFT and recent else None


def _blame(rollout: Rollout, why: Why) -> Why:
    """A failure after a foreign change of the template is not the revision's (rule 2)."""
    changed = next((t for t in rollout.targets if t.changed_by), None)
    if changed is None or why.fault is not Fault.REVISION:
        return why
    message = (
        f"{why.message}; but {changed.changed_by} changed the pod template of {changed.kind} "
        f"{changed.name} meanwhile"
    )
    return Why(Fault.ENVIRONMENT, Reason.TARGET_CHANGED, message, why.check)


def _holds(seen: Observed, rollout: Rollout, why: Why) -> bool:
    match why.fault:
        case Fault.PERSON:
            return False
        case Fault.UNKNOWN:
            return seen.spec.verification.on_inconclusive is OnInconclusive.HOLD
        case Fault.REVISION | Fault.ENVIRONMENT:
            failing_before = any(
                b.check == why.check and b.verdict is Verdict.FAIL for b in rollout.baseline
            )
            held = seen.spec.on_failure is OnFailure.HOLD
            return held or (bool(why.check) and failing_before)
        case _:
            assert_never(why.fault)


def _quarantined(seen: Observed, rollout: Rollout, why: Why, now: datetime) -> list[Quarantine]:
    """The quarantine after this failure; only the revision's fault and an abort are remembered.

    Whoever aborts the return to what is proven does not say that it is bad.
    """
    before, stable = seen.status.quarantine, seen.status.stable
    if why.fault not in (Fault.REVISION, Fault.PERSON):
        return before
    proven = stable is not None and stable.digest == rollout.to.digest
    if proven and why.fault is Fault.PERSON:
        return before
    entry = Quarantine(
        attempt_digest=rollout.attempt_digest,
        revision=rollout.to.revision,
        reason=why.reason,
        message=why.message[:512],
        at=now,
        rollout=rollout.id,
    )
    kept = [entry, *(q for q in before if q.attempt_digest != entry.attempt_digest)]
    if len(kept) > MOST_QUARANTINE:
        wanted = seen.spec.active_revision
        kept.remove(next((q for q in reversed(kept) if q.revision != wanted), kept[-1]))
    return kept


def told_of(
    seen: Observed, status: WorkflowStatus, rollout: Rollout, outcome: Outcome, now: datetime
) -> Story:
    """What the conditions say of a rollout that ended this way."""
    new = rollout.to.revision
    took = spoken((rollout.ended_at or now) - rollout.started_at)
    if outcome is Outcome.PROMOTED:
        reason = rollout.reason or Reason.PROMOTED
        message = f"{new} is active and proven, {took} after the rollout began"
        if rollout.trigger is Trigger.ADOPTION:
            message = f"{new} was found running and is proven where it runs: nothing was rolled"
        elif rollout.trigger is Trigger.DRIFT:
            message = f"{new} was put back and is proven after {took}: {rollout.message}"
        serving = Say("True", Reason.CHECK_PASSED, f"{new} passed its last check at {now:%H:%M:%S}")
        return conditions.settled(reason, message, serving)
    reason = rollout.reason or Reason.PROGRESSING
    message = _last_words(seen, status, rollout, outcome)
    active = Say("False", reason, message)
    if outcome is Outcome.HELD and rollout.activated_at is not None:
        active = Say("True", Reason.ACTIVATED, f"{new} is delivered and through the gate")
    return conditions.stopped(
        reason, message, active, _serving(seen, status, rollout, outcome, now)
    )


def _serving(
    seen: Observed, status: WorkflowStatus, rollout: Rollout, outcome: Outcome, now: datetime
) -> Say:
    if not rollout.live:
        before = moves.still_serving(seen, status)
        if before.status == "True" and status.active is None:
            reason = rollout.reason or Reason.INCONCLUSIVE
            return Say("Unknown", reason, "what runs was never proven")
        return before
    if outcome is Outcome.HELD:
        return Say("False", Reason.INCONCLUSIVE, f"{rollout.to.revision} runs unproven")
    if outcome is Outcome.REVERT_FAILED:
        return Say("False", rollout.reason or Reason.STABLE_FAILING, rollout.message)
    if status.stable is None:
        return conditions.NOTHING_PROVEN
    name = status.stable.revision
    return Say("True", Reason.CHECK_PASSED, f"{name} passed its last check at {now:%H:%M:%S}")


def _last_words(seen: Observed, status: WorkflowStatus, rollout: Rollout, outcome: Outcome) -> str:
    new, why, retry = rollout.to.revision, rollout.message, retry_command(seen)
    stable = status.stable.revision if status.stable else None
    runs = _what_runs(seen, rollout, stable, known=status.active is not None)
    match outcome:
        case Outcome.REVERTED:
            fix = _remedy(rollout, retry)
            return f"{new} was reverted: {why}. {runs}. {fix}"
        case Outcome.ABORTED:
            return f"{new} was aborted: {why}. {runs}. To try it again: {retry}"
        case Outcome.FAILED:
            return (
                f"{new} failed: {why}. There is no proven revision to go back to; {runs}. "
                f"{_remedy(rollout, retry)}"
            )
        case Outcome.HELD:
            kept = f"{stable} is kept to go back to" if stable else "there is nothing to go back to"
            held = f"{new} runs unproven, {kept}" if rollout.live else f"{runs}; {new} is not live"
            return f"{new} is held: {why}. {held}. To try it again: {retry}"
        case Outcome.REVERT_FAILED:
            return (
                f"{new} failed, and the way back to {stable or 'the own template'} too: {why}. "
                f"Nothing more is tried. Runbook: {_RUNBOOK}#revertfailed"
            )
        case _:
            return f"{new} gave way to a newer wish"


def _remedy(rollout: Rollout, retry: str) -> str:
    reason = rollout.reason or Reason.INCONCLUSIVE
    if reason in REVISIONS_FAULT:
        return f"Fix {rollout.to.revision} under a new revision, or try it again: {retry}"
    return f"{rollout.to.revision} is not to blame: mend that, then try it again: {retry}"


def _what_runs(seen: Observed, rollout: Rollout, stable: str | None, *, known: bool) -> str:
    """`known`: something was active, which it is not after a way back that failed."""
    if rollout.live and stable:
        return f"{stable} runs again"
    if rollout.live and moves.in_place(seen):
        return f"ConfigMap {pointer_name(seen.key.name)} is deleted, so nothing is delivered"
    if rollout.live:
        return "the workload runs its own template"
    if rollout.delivered or (stable and not known):
        return "what runs is left as it is"
    return f"{stable} kept serving all the time" if stable else "nothing was touched"
