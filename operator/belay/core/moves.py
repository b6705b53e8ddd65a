"""Steps from one state of a rollout to the next: the record, the conditions, one decision."""

from datetime import datetime, timedelta
from typing import Any

from belay.api.duration import delta
from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import ConditionType, Phase, Reason, Stage, Trigger
from belay.core import conditions, milestones
from belay.core.conditions import Say, Story
from belay.core.decision import Action, Decision, DeletePreview
from belay.core.delivery import Delivery, preview_name
from belay.core.engine.names import next_runs
from belay.core.engine.telling import unpaused
from belay.core.evidence import proof
from belay.core.evidence.probe import ProbePlan
from belay.core.gates import delivery_of
from belay.core.instances.account import untold
from belay.core.instances.telling import named
from belay.core.observed import Observed
from belay.core.workloads import WorkloadView

HEARTBEAT = timedelta(seconds=5)
"""How long a moving Workflow waits at most for an event that may have been lost."""

_GRACE = timedelta(seconds=5)
_TOLD = 256
"""Characters by which a message is known again that was shortened."""
_UNTOLD = timedelta(seconds=1)
"""Pauses that take no longer are no news."""

_DOING = {
    Phase.PREVIEWING: "is tried in a preview pod; nothing live is touched",
    Phase.PAUSING: "waits for running instances to pause",
    Phase.BACKING_UP: "waits until paused runs are stored",
    Phase.RESUMING: "is through the gate, and paused instances are let go",
    Phase.DELIVERING: "is being delivered",
    Phase.VERIFYING: "is delivered and has its gate checks",
    Phase.OBSERVING: "is active and observed on real traffic",
}

_STAGES = {
    Phase.PREVIEWING: Stage.PREVIEW,
    Phase.VERIFYING: Stage.GATE,
    Phase.OBSERVING: Stage.OBSERVATION,
}
"""Stages whose checks end the phase."""

_AFTER_PREVIEW = frozenset({Phase.PAUSING, Phase.DELIVERING, Phase.RESUMING, Phase.REVERTING})
"""Phases that may follow Previewing at once."""


def session(rollout: Rollout) -> str:
    """Session of the tallies that count in this phase; a foreign change starts fresh ones."""
    changed = [t.template_hash[7:13] for t in rollout.targets if t.changed_by]
    return f"{rollout.id}/{rollout.phase}/{'-'.join(changed)}"


def enter(rollout: Rollout, phase: Phase, now: datetime, limit: str | None, **more: Any) -> Rollout:
    """The record at the beginning of a phase that may take `limit`."""
    deadline = now + delta(limit) if limit is not None else None
    times = {"phase": phase, "phase_started_at": now, "deadline": deadline}
    return rollout.model_copy(update={**times, **more})


def patient(seen: Observed, rollout: Rollout) -> datetime | None:
    """The deadline of a phase in which instances are waited for.

    One that passed while nobody looked leaves a new process a few seconds.
    """
    if rollout.deadline is None or seen.looking_since is None:
        return rollout.deadline
    return max(rollout.deadline, seen.looking_since + _GRACE)


def before_delivery(seen: Observed, now: datetime, rollout: Rollout, **more: Any) -> Rollout:
    """The record at the phase that comes before anything live is touched, if there is one."""
    limits = seen.spec.deadlines
    if seen.spec.instances is not None and rollout.trigger is not Trigger.ADOPTION:
        return pausing(seen, now, rollout, limits.pause, **more)
    return enter(rollout, Phase.DELIVERING, now, limits.deliver, delivered=True, **more)


def pausing(seen: Observed, now: datetime, rollout: Rollout, limit: str, **more: Any) -> Rollout:
    """The record at the beginning of Pausing; what an engine holds is kept under a fresh name."""
    wanted = seen.spec.instances
    if wanted is not None and wanted.engine is not None:
        more["runs"] = next_runs(seen.key.name, seen.uid, rollout)
    return enter(rollout, Phase.PAUSING, now, limit, paused=True, **more)


def letting_go(seen: Observed, now: datetime, rollout: Rollout, **more: Any) -> Rollout:
    """The record at the beginning of Resuming."""
    counts = untold(rollout.instances)
    limit = seen.spec.deadlines.resume
    return enter(rollout, Phase.RESUMING, now, limit, instances=counts, **more)


def go(seen: Observed, now: datetime, rollout: Rollout, *actions: Action, **more: Any) -> Decision:
    """Write the rollout's next state and decide again at once; `more` are fields of the status."""
    status = _with(seen, now, rollout, **more)
    told = milestones.of(rollout, status.stable)
    return Decision(actions, seen.to_write(status), told, again=True)


def stay(
    seen: Observed,
    now: datetime,
    rollout: Rollout,
    *actions: Action,
    probes: ProbePlan | None = None,
    until: datetime | None = None,
    again: bool = False,
) -> Decision:
    """Wait in this phase, until something happens or `until`."""
    wait = HEARTBEAT if until is None or until <= now else min(HEARTBEAT, until - now)
    status = seen.to_write(_with(seen, now, rollout))
    return Decision(actions, status, probes=probes, requeue=wait, follow=True, again=again)


def _with(seen: Observed, now: datetime, rollout: Rollout, **more: Any) -> WorkflowStatus:
    base = seen.status.model_copy(update=more) if more else seen.status
    story = moving_story(seen, now, base, rollout)
    update = {
        "rollout": rollout,
        "phase": Phase.SUSPENDED.value if rollout.suspended_at else rollout.phase.value,
        "observed_generation": seen.generation,
        "conditions": conditions.write(story, base.conditions, now, seen.generation),
    }
    return base if update.items() <= vars(base).items() else base.model_copy(update=update)


def moving_story(seen: Observed, now: datetime, status: WorkflowStatus, rollout: Rollout) -> Story:
    """What the conditions say of a rollout under way."""
    new = rollout.to.revision
    if rollout.going_back:
        reason = rollout.reason or Reason.PROGRESSING
        message = f"{new}: {rollout.message}. Going back to {_fallback(seen, status)}"
    elif rollout.letting_go:
        reason = rollout.reason or Reason.PROGRESSING
        message = f"{new}: {rollout.message}. Paused instances are let go"
    else:
        reason = Reason.PROGRESSING
        message = f"{new} {_DOING.get(rollout.phase, 'is on its way')}"
        if rollout.trigger is Trigger.ADOPTION:
            message = f"{new} was found running, and is proven where it runs: nothing is rolled"
        elif rollout.trigger is Trigger.DRIFT:
            message += f" again: {rollout.message}"
    waits = (*_pauses(seen), *_unpaused(seen, now, rollout), *_not_let_go(seen, rollout))
    message = "; ".join([message, *waits])
    stage = _STAGES.get(rollout.phase)
    if seen.lost_contact is not None and stage is not None and proof.unheard(seen, stage):
        reason = Reason.PROBING_SUSPENDED
        message = f"{message}; {seen.lost_contact.told}"
    if rollout.suspended_at is not None:
        reason = Reason.SUSPENDED
        message = (
            f"by spec.suspend since {rollout.suspended_at:%H:%M:%S}; rollout {rollout.id} stands "
            f"at {rollout.phase}, its clock is stopped"
        )
    open_ = rollout.phase in (Phase.OBSERVING, Phase.RESUMING) and rollout.ending is None
    through = rollout.activated_at is not None and open_
    active = (
        Say("True", Reason.ACTIVATED, f"{new} is delivered and through the gate")
        if through
        else Say("False", reason, message)
    )
    return conditions.moving(reason, message, active, _serving(seen, status, rollout))


def _serving(seen: Observed, status: WorkflowStatus, rollout: Rollout) -> Say:
    if not rollout.live:
        return still_serving(seen, status)
    return Say("Unknown", Reason.PROGRESSING, f"{rollout.to.revision} runs and is not proven yet")


def still_serving(seen: Observed, status: WorkflowStatus) -> Say:
    """Serving while nothing live is touched: as it was, or by the proof of the stable revision."""
    before = conditions.keep(seen.status.conditions, ConditionType.SERVING)
    if before is not None and before.status != "Unknown":
        return before
    if status.stable is None:
        return conditions.NOTHING_PROVEN
    return Say("True", Reason.CHECK_PASSED, f"{status.stable.revision} is proven")


def _pauses(seen: Observed) -> list[str]:
    """Updates that wait for a person by their own strategy: Belay waits with them."""
    rolling = (w for w in seen.workloads if not w.in_place)
    return [f"{w.told} {w.completion.pause}" for w in rolling if w.completion.pause]


def _unpaused(seen: Observed, now: datetime, rollout: Rollout) -> list[str]:
    """Whom a pause waits for, once that takes a while."""
    found = seen.instances
    if found is None or rollout.phase is not Phase.PAUSING:
        return []
    if now - rollout.phase_started_at < _UNTOLD:
        return []
    runs = unpaused(seen.engine)
    left = (*found.to_pause, *found.pending, *found.contested)
    if not left:
        return runs
    told = f"{len(left)} of {len(found.running)} instances still run ({named(left)})"
    return [told, *runs]


def _not_let_go(seen: Observed, rollout: Rollout) -> list[str]:
    """Why something is still paused that should go on."""
    if rollout.phase is not Phase.RESUMING:
        return []
    why = [one.message for one in seen.instances.unseen] if seen.instances is not None else []
    if seen.failure is not None:
        why.append(seen.failure.message)
    return [one for one in why if one[:_TOLD] not in (rollout.message or "")]


def _fallback(seen: Observed, status: WorkflowStatus) -> str:
    if status.stable is not None:
        return status.stable.revision
    return "what was there before" if in_place(seen) else "the workload's own template"


def in_place(seen: Observed) -> bool:
    """Whether a workload is updated in place: to go back is not by its template alone."""
    return any(w.in_place for w in seen.spec.target.workloads)


def is_at(seen: Observed, delivery: Delivery) -> bool:
    """Whether every live template carries this delivery."""
    return all(delivery.arrived_at(w) for w in seen.workloads)


def fallback(seen: Observed) -> Delivery | None:
    """The delivery of the stable revision, or None where there is none."""
    return delivery_of(seen, seen.status.stable) if seen.status.stable else None


def note_foreign_changes(seen: Observed, rollout: Rollout) -> Rollout:
    """The record, with the manager of each template that was changed by another hand meanwhile."""
    views = {(w.kind.kind, w.name): w for w in seen.workloads}
    targets = [
        t.model_copy(update={"template_hash": w.template_hash, "changed_by": w.changed_by or "?"})
        if (w := views.get((t.kind, t.name))) and w.found and w.template_hash != t.template_hash
        else t
        for t in rollout.targets
    ]
    if targets == rollout.targets:
        return rollout
    return rollout.model_copy(update={"targets": targets})


def gone(seen: Observed, rollout: Rollout) -> WorkloadView | None:
    """A target that is no longer the one that the rollout began with."""
    uids = {(t.kind, t.name): t.uid for t in rollout.targets}
    for workload in seen.workloads:
        if workload.uid != uids.get((workload.kind.kind, workload.name)):
            return workload
    return None


def preview_gone(seen: Observed, rollout: Rollout) -> tuple[DeletePreview, ...]:
    """What takes the preview pod away before the status is written.

    Only where the wish itself keeps it from being made anew, should the process die in between.
    """
    pod = seen.preview
    if rollout.phase is not Phase.PREVIEWING or (pod is not None and pod.terminating):
        return ()
    name = preview_name(seen.key.name, rollout.id)
    return (DeletePreview(name, pod.uid if pod is not None else None),)


def preview_outlived(status: WorkflowStatus) -> bool:
    """Whether the phase after the preview may still have its pod to take away.

    The phase is written first: a process that dies in between must not try the revision anew.
    The next phase cannot be left without taking the pod away.
    """
    rollout = status.rollout
    if rollout is None or not rollout.previewed:
        return False
    if rollout.outcome is not None:
        return rollout.phase is Phase.PREVIEWING
    return rollout.activated_at is None and rollout.phase in _AFTER_PREVIEW


def preview_left(seen: Observed) -> tuple[DeletePreview, ...]:
    """What takes away the preview pod of a rollout that has left Previewing."""
    rollout, pod = seen.status.rollout, seen.preview
    if rollout is None or pod is None or pod.terminating or not preview_outlived(seen.status):
        return ()
    return (DeletePreview(preview_name(seen.key.name, rollout.id), pod.uid),)
