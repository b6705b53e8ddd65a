"""What must hold at every call and at every end, whatever happened before."""

from typing import NamedTuple

from tests.model.state import CONTENTS, THEIRS, Call, Cluster, State, WriteStatus
from tests.unit.core.properties import consistent

from belay.api.names import ANNOTATION_CONTENT_DIGEST
from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import Outcome, Phase
from belay.core.attempt import attempt_digest
from belay.core.decision import (
    ApplyTemplate,
    CreatePreview,
    EnsureConfigMap,
    PauseInstances,
    ResumeInstances,
)

MOST_STATUS_WRITES = 6
MORE_WITH_INSTANCES = 6
MOST_TARGET_WRITES = 2
MOVED_BY_OTHERS = frozenset(
    {"foreign image", "taken out", "target replaced", "target deleted", "status lost"}
)
"""After these, what runs need not be what the status calls active."""


class Violation(AssertionError):
    """An oracle that fired."""

    def __init__(self, oracle: str, what: str) -> None:
        super().__init__(f"{oracle}: {what}")
        self.oracle = oracle


def before_call(state: State, call: Call, good: frozenset[str]) -> None:
    """What the durable record must say before this call."""
    match call:
        case ApplyTemplate(body):
            template = body.get("spec", {}).get("template")
            digest = template and template["metadata"]["annotations"][ANNOTATION_CONTENT_DIGEST]
            _touched(state, CONTENTS[digest] if digest else None)
        case EnsureConfigMap():
            if _record(state).rollout is None:
                raise Violation("intent before effect", "a ConfigMap without a record")
        case CreatePreview():
            rollout = _record(state).rollout
            if rollout is None or rollout.phase is not Phase.PREVIEWING:
                raise Violation("intent before effect", "a preview pod without a record")
        case PauseInstances(writes) | ResumeInstances(writes):
            _instances(state, call, {w.body["metadata"]["uid"] for w in writes})
        case WriteStatus(kept):
            _written(state, kept.status, good)
        case _:
            pass


def _instances(state: State, call: Call, uids: set[str]) -> None:
    rollout = _record(state).rollout
    if rollout is None or not rollout.paused:
        raise Violation("intent before effect", f"{call} without a record")
    theirs = [j.name for j in state.cluster.jobs if j.suspended and not j.holder]
    if uids & {f"uid-of-{name}" for name in theirs}:
        raise Violation("what others suspended is left alone", f"{call}")


def _record(state: State) -> Cluster:
    """Where the durable record is; where somebody has just taken that away, what it was."""
    turn = state.operator.turn
    taken = "status lost" in state.ledger.disturbed or _is_late(state)
    return turn.read if turn and taken else state.cluster


def _is_late(state: State) -> bool:
    """A turn under way goes on with a Workflow that is deleted by now."""
    turn = state.operator.turn
    return turn is not None and turn.read.uid != state.cluster.uid


def _touched(state: State, content: str | None) -> None:
    cluster = _record(state)
    rollout = cluster.rollout
    if rollout is None:
        raise Violation(
            "intent before effect",
            f"the target is written at {cluster.status.status.phase}, with no rollout under way",
        )
    if not rollout.delivered:
        raise Violation("intent before effect", "the record does not say that it is delivered")
    stable = cluster.status.status.stable
    back = CONTENTS[stable.content_digest] if stable else None
    meant = back if rollout.phase is Phase.REVERTING else CONTENTS[rollout.to.content_digest]
    if content != meant:
        what = f"{content} is delivered at {rollout.phase}, and {meant} is meant"
        raise Violation("one revision on a target", what)
    limit = 1 if _is_late(state) else MOST_TARGET_WRITES + len(state.ledger.disturbed)
    if state.ledger.target_writes >= limit:
        raise Violation("writes within budget", f"more than {limit} writes to the target")


def _written(state: State, new: WorkflowStatus, good: frozenset[str]) -> None:
    old, ledger, wish = state.cluster.status.status, state.ledger, state.cluster.wish
    try:
        consistent(new, wish.generation)
    except AssertionError as error:
        raise Violation("conditions tell one story", f"at {new.phase}") from error
    more, each = (MORE_WITH_INSTANCES, 5) if wish.spec.instances else (0, 3)
    if ledger.status_writes >= MOST_STATUS_WRITES + more + each * len(ledger.disturbed):
        raise Violation("writes within budget", f"{ledger.status_writes + 1} writes of the status")
    _history(old, new)
    rollout = new.rollout
    if rollout is None:
        return
    if new.stable != old.stable and new.stable is not None:
        content = CONTENTS[new.stable.content_digest]
        if content not in good:
            raise Violation("stable is proven", f"{content} became stable, and its checks fail")
    if begins_revert(old, rollout):
        _reverted(state, new, rollout)
    begun = old.rollout is None or old.rollout.id != rollout.id
    tried = {q.attempt_digest for q in old.quarantine}
    if begun and rollout.attempt_digest in tried and wish.retry == old.last_handled_retry:
        raise Violation("quarantine", f"{rollout.to.revision} is tried again, and nobody asked")


def begins_revert(old: WorkflowStatus, rollout: Rollout) -> bool:
    before = old.rollout
    back = before is not None and before.id == rollout.id and before.phase is Phase.REVERTING
    moving = before is not None and before.outcome is None
    return rollout.outcome is None and rollout.phase is Phase.REVERTING and not (back and moving)


def _reverted(state: State, new: WorkflowStatus, rollout: Rollout) -> None:
    undone = sum(d in ("taken out", "target replaced") for d in state.ledger.disturbed)
    if state.ledger.reverts.count(rollout.id) > undone:
        raise Violation("one revert per attempt", f"rollout {rollout.id} goes back once more")
    if new.stable is not None:
        attempt = attempt_digest(state.cluster.wish.spec, new.stable.digest)
        if any(q.attempt_digest == attempt for q in new.quarantine):
            raise Violation("quarantine", f"the way back leads to {new.stable.revision}")


def _history(old: WorkflowStatus, new: WorkflowStatus) -> None:
    ids = [h.id for h in new.history if h.trigger is None]
    if len(ids) != len(set(ids)):
        raise Violation("one history entry per outcome", f"twice in {ids}")
    was = old.rollout
    if was is None or was.outcome is not None:
        return
    over = new.rollout is None or new.rollout.id != was.id or new.rollout.outcome is not None
    if over and was.id not in {h.id for h in new.history}:
        raise Violation("one history entry per outcome", f"none of {was.id}")


def at_end(state: State, good: frozenset[str]) -> None:
    """What must hold when nothing moves any more."""
    cluster, ledger = state.cluster, state.ledger
    status = cluster.status.status
    if cluster.rollout is not None:
        raise Violation("eventually stable", f"it hangs at {cluster.rollout.phase}")
    for id_, outcome in ledger.ended:
        if not any(o.startswith(id_) and r == outcome for o, r in ledger.events):
            raise Violation("one event per milestone", f"no event {outcome} of rollout {id_}")
    _nothing_left(cluster, ledger.disturbed)
    if cluster.uid is None:
        return
    if MOVED_BY_OTHERS & set(ledger.disturbed) or cluster.target is None:
        return
    active = CONTENTS[status.active.content_digest] if status.active else None
    last = status.rollout.outcome if status.rollout else None
    nowhere_to_go = last is Outcome.ABORTED and status.stable is None
    left = last in (Outcome.HELD, Outcome.REVERT_FAILED) or nowhere_to_go
    unknown = left and active is None
    if cluster.target.carries != active and not unknown:
        raise Violation(
            "one revision on a target", f"{cluster.target.carries} runs, {active} is active"
        )
    if active is not None and active not in good and not left:
        raise Violation("eventually stable", f"{active} runs at {status.phase}, and is bad")
    _newer_wish(cluster, ledger.disturbed, good)


def _nothing_left(cluster: Cluster, disturbed: tuple[str, ...]) -> None:
    """What nobody holds is the sweeper's to let go, and the garbage collector's to take away."""
    out_of_sight = "status lost" in disturbed and cluster.uid is not None
    if cluster.preview is not None and not out_of_sight:
        raise Violation("nothing is left", f"preview pod {cluster.preview.pod.name}")
    for job in cluster.jobs:
        if job.holder or job.suspended != (job.name == THEIRS):
            raise Violation("nothing is left paused", f"{job} at {cluster.status.status.phase}")


OTHER_WORDS = frozenset({"abort", "deadline", "denied", "resumed by others"})
"""After these a wish may rightly end otherwise."""
SEEN_UNREADY = frozenset({"stale read", "cut off"})
"""After both: a pod that is silent while it is seen as not ready fails (rule 6)."""


def _newer_wish(cluster: Cluster, disturbed: tuple[str, ...], good: frozenset[str]) -> None:
    name = cluster.wish.spec.active_revision
    status = cluster.status.status
    if name.removesuffix(".again") not in good or OTHER_WORDS & set(disturbed):
        return
    if set(disturbed) >= SEEN_UNREADY:
        return
    if status.stable_revision != name or status.phase != Outcome.PROMOTED:
        what = f"{name} is wanted and good, {status.stable_revision} is stable, {status.phase}"
        raise Violation("a newer wish wins", what)


class Ending(NamedTuple):
    """What must be the same as without a disturbance, with revisions by name."""

    phase: str | None
    active: str | None
    stable: str | None
    carries: str | None
    quarantine: tuple[str, ...]
    history: tuple[tuple[str, Outcome], ...]


def ending(state: State) -> Ending:
    status = state.cluster.status.status
    return Ending(
        status.phase,
        status.active_revision,
        status.stable_revision,
        state.cluster.target.carries if state.cluster.target else None,
        tuple(q.revision for q in status.quarantine),
        tuple((h.revision, h.outcome) for h in status.history),
    )
