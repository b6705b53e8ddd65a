"""What people, the network and the machine may do to a run, at any time."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from tests.model import steps
from tests.model.around import Step, woken
from tests.model.state import (
    Kept,
    Ledger,
    Operator,
    Progress,
    State,
    Target,
    Wish,
    WriteStatus,
    dumped,
)
from tests.model.steps import wished
from tests.model.world import World
from tests.unit.core.toy_cluster import applied

from belay.api.status import WorkflowStatus
from belay.core.decision import ApplyTemplate, PauseInstances

Disturb = Callable[[State, World], Iterator[Step]]


def crash(state: State, world: World) -> Iterator[Step]:
    """The process is killed, and another one starts with an empty memory."""
    if state.operator != Operator():
        yield "the operator is killed and starts anew", replace(state, operator=Operator())


def conflict(state: State, world: World) -> Iterator[Step]:
    turn = state.operator.turn
    if turn and turn.calls and isinstance(turn.calls[0], WriteStatus):
        yield "the server answers the status write with 409", steps.conflict(state)


def unanswered(state: State, world: World) -> Iterator[Step]:
    """The call is committed, and its answer is lost: the turn begins anew."""
    turn = state.operator.turn
    for call in turn.calls[:1] if turn else ():
        after = steps.call_made(state, world, call)
        yield f"the answer to this is lost: {steps.told(call)}", steps.conflict(after)


def stale_read(state: State, world: World) -> Iterator[Step]:
    """The controller's latest step is not to be seen yet in what is read."""
    cluster, target = state.cluster, state.cluster.target
    waits = state.operator.turn is None and state.operator.awake
    if waits and target is not None and target.progress > Progress.UNSEEN:
        before = replace(target, progress=Progress(target.progress - 1))
        read = replace(cluster, target=before)
        yield "the operator reads a stale target", steps.begin_turn(state, world, read)


def lost(state: State, world: World) -> Iterator[Step]:
    """Never the first one of a process, which is its own list, nor its own next try."""
    operator = state.operator
    if state.ledger.disturbed[-1:] in (("conflict",), ("unanswered",)):
        return
    if operator.turn is None and operator.awake and operator != Operator():
        yield "a wake-up is lost", replace(state, operator=replace(state.operator, awake=False))


def repeated(state: State, world: World) -> Iterator[Step]:
    if not state.operator.awake:
        yield "a wake-up for nothing", woken(state)


def denied(state: State, world: World) -> Iterator[Step]:
    turn = state.operator.turn
    if turn is None:
        return
    for call in turn.calls[:1]:
        if isinstance(call, ApplyTemplate | PauseInstances):
            refused = replace(turn, calls=(), failure=steps.DENIED)
            after = replace(state, operator=replace(state.operator, turn=refused))
            yield f"the server refuses this: {steps.told(call)}", steps.think(after, world)


def resumed(state: State, world: World) -> Iterator[Step]:
    """A tool that heals what it owns, or a person."""
    if any(job.holder and job.suspended for job in state.cluster.jobs):
        jobs = tuple(replace(j, suspended=j.suspended and not j.holder) for j in state.cluster.jobs)
        yield "somebody resumes what is paused", _after(state, jobs=jobs)


def deadline(state: State, world: World) -> Iterator[Step]:
    """Too much time passes before anything else."""
    if state.cluster.rollout is not None and state.operator.turn is None:
        yield "a deadline passes", woken(replace(state, now=steps.later(state)))


def cut_off(state: State, world: World) -> Iterator[Step]:
    if state.cluster.rollout is not None and not state.cut_off:
        yield "the network to all pods breaks", replace(state, cut_off=True)


def wishes(revision: str) -> Disturb:
    def disturb(state: State, world: World) -> Iterator[Step]:
        wish = state.cluster.wish
        if wish.spec.active_revision != revision:
            spec = wish.spec.model_copy(update={"active_revision": revision})
            wish = replace(wish, spec=spec, generation=wish.generation + 1)
            yield f"a person wishes for {revision}", woken(wished(state, wish))

    return disturb


def suspend(state: State, world: World) -> Iterator[Step]:
    wish = state.cluster.wish
    if not wish.spec.suspend:
        spec = wish.spec.model_copy(update={"suspend": True})
        wish = replace(wish, spec=spec, generation=wish.generation + 1)
        yield "a person suspends", woken(wished(state, wish))


def retry(state: State, world: World) -> Iterator[Step]:
    yield "a person retries", woken(wished(state, replace(state.cluster.wish, retry="now")))


def abort(state: State, world: World) -> Iterator[Step]:
    yield "a person aborts", woken(wished(state, replace(state.cluster.wish, abort="now")))


def foreign_image(state: State, world: World) -> Iterator[Step]:
    def edit(target: Target) -> str:
        shape = json.loads(target.template)
        shape["spec"]["containers"][0]["image"] = "triage:2"
        return dumped(shape)

    yield from _edited(state, "somebody sets another image", edit)


def taken_out(state: State, world: World) -> Iterator[Step]:
    def edit(target: Target) -> str:
        return dumped(applied(json.loads(target.template), None))

    yield from _edited(state, "somebody takes the delivery out", edit)


def _edited(state: State, label: str, edit: Callable[[Target], str]) -> Iterator[Step]:
    target = state.cluster.target
    if target is None or edit(target) == target.template:
        return
    target = replace(
        target,
        template=edit(target),
        generation=target.generation + 1,
        progress=Progress.UNSEEN,
        by="kubectl",
    )
    yield label, _after(state, target=target)


def target_replaced(state: State, world: World) -> Iterator[Step]:
    if state.cluster.target is not None:
        target = Target(born=state.cluster.target.born + 1)
        yield "the target is deleted and made anew", _after(state, target=target)


def target_deleted(state: State, world: World) -> Iterator[Step]:
    if state.cluster.target is not None:
        yield "the target is deleted", _after(state, target=None)


def preview_deleted(state: State, world: World) -> Iterator[Step]:
    if state.cluster.preview is not None:
        yield "the preview pod is deleted", _after(state, preview=None)


def content_deleted(state: State, world: World) -> Iterator[Step]:
    if state.cluster.config_maps:
        yield "the ConfigMaps are deleted", _after(state, config_maps=())


def status_lost(state: State, world: World) -> Iterator[Step]:
    ledger = replace(state.ledger, reverts=(), ended=())
    after = _after(state, status=Kept(WorkflowStatus()))
    yield "the status is lost", woken(replace(after, ledger=ledger))


def workflow_deleted(state: State, world: World) -> Iterator[Step]:
    """No finalizer keeps it: the turn under way goes on with what it has read."""
    yield "the Workflow is deleted", _without_status(state, uid=None)


def workflow_anew(state: State, world: World) -> Iterator[Step]:
    """The process hears of both at once, and keeps what it remembers of the name."""
    wish = Wish(state.cluster.wish.spec)
    uid = f"{state.cluster.uid}-again"
    yield "the Workflow is deleted and made anew", _without_status(state, uid=uid, wish=wish)


def _without_status(state: State, **update: Any) -> State:
    cluster = replace(state.cluster, status=Kept(WorkflowStatus()), **update)
    ledger = Ledger(disturbed=state.ledger.disturbed)
    return woken(replace(state, cluster=cluster, ledger=ledger))


def _after(state: State, **update: Any) -> State:
    after = replace(state, cluster=replace(state.cluster, **update))
    return woken(after) if state.operator.follows else after


DISTURBANCES: dict[str, Disturb] = {
    "crash": crash,
    "conflict": conflict,
    "unanswered": unanswered,
    "stale read": stale_read,
    "lost wake-up": lost,
    "repeated wake-up": repeated,
    "denied": denied,
    "resumed by others": resumed,
    "deadline": deadline,
    "cut off": cut_off,
    "wish v3": wishes("v3"),
    "wish v1": wishes("v1"),
    "wish same content": wishes("v1.again"),
    "suspend": suspend,
    "retry": retry,
    "abort": abort,
    "foreign image": foreign_image,
    "taken out": taken_out,
    "target replaced": target_replaced,
    "target deleted": target_deleted,
    "preview deleted": preview_deleted,
    "content deleted": content_deleted,
    "status lost": status_lost,
    "workflow deleted": workflow_deleted,
    "workflow anew": workflow_anew,
}
WILFUL = sorted(DISTURBANCES.keys() - {"status lost", "workflow anew"})
FORGETFUL = sorted(k for k in DISTURBANCES if not k.startswith("wish "))
"""Without its status, be it lost or made anew, no newer wish comes: docs/reliability.md, Known."""
TO_THE_WORKFLOW = frozenset(
    {"suspend", "retry", "abort", "status lost", "workflow deleted", "workflow anew", "stale read"}
    | {kind for kind in DISTURBANCES if kind.startswith("wish ")}
)
"""For these it has to be there."""
NEUTRAL = frozenset(
    {
        "crash",
        "conflict",
        "unanswered",
        "lost wake-up",
        "repeated wake-up",
        "cut off",
        "preview deleted",
        "content deleted",
    }
)
"""After these, a run ends as if nothing had happened."""
