"""What may happen next in a state: the operator's next call, the world's next move, a disturbance.

A turn reads once and decides; each of its calls is a step of its own, so that everything else may
come between any two of them.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from tests.model import around, oracles
from tests.model.around import Step, owned, woken
from tests.model.state import (
    CONTENTS,
    Call,
    Cluster,
    Operator,
    PreviewPod,
    Progress,
    State,
    Tell,
    Turn,
    Wish,
    WriteStatus,
    dumped,
    names,
)
from tests.model.world import GOT, World
from tests.unit.core.toy_cluster import applied
from tests.unit.core.world import NOW, Raw

from belay.api.names import ANNOTATION_CONTENT_DIGEST, ANNOTATION_REVISION
from belay.api.status import Baseline
from belay.api.words import Reason, Stage
from belay.core.decision import (
    AccountFor,
    Action,
    ApplyTemplate,
    CreatePreview,
    Decision,
    DeletePreview,
    EnsureConfigMap,
    PauseInstances,
    ResumeInstances,
    TryDelivery,
)
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Sample, Tally, judge
from belay.core.observed import ConfigMapView, DryRun, Refusal

MOST_DECISIONS = 24
DENIED = Refusal(Reason.ENVIRONMENT_FORBIDDEN, "no")


def natural(state: State, world: World) -> list[Step]:
    """What happens without a disturbance. Time passes only when nothing else can happen."""
    steps = [
        *_operator(state, world),
        *around.controllers(state, world),
        *around.answers(state, world),
        *around.silence(state),
        *around.swept(state),
        *around.collected(state),
    ]
    return [*(steps or _idle(state, world)), *around.contact_back(state)]


def _operator(state: State, world: World) -> Iterator[Step]:
    turn = state.operator.turn
    if turn is None:
        if state.operator.awake:
            yield "the operator reads and decides", begin_turn(state, world, state.cluster)
        return
    actions = [c for c in turn.calls if not isinstance(c, WriteStatus | Tell)]
    for call in actions or turn.calls[:1]:
        after = call_made(state, world, call)
        yield f"operator: {told(call)}", after


def begin_turn(state: State, world: World, read: Cluster) -> State:
    if read.uid is None:
        return replace(state, operator=_forgotten(state.operator))
    operator = replace(state.operator, awake=False, turn=Turn(read))
    return think(replace(state, operator=operator), world)


def _forgotten(operator: Operator) -> Operator:
    """Nothing of a deleted Workflow stays in the process."""
    return Operator(awake=False, lost_contact=operator.lost_contact)


def think(state: State, world: World) -> State:
    """Decide, until there is a call to make or the turn is over."""
    for _ in range(MOST_DECISIONS):
        turn = state.operator.turn
        assert turn is not None
        state = _told(_looked(state, turn), turn.read.status.told)
        decision, calls = world.thought(state, turn)
        if not calls:
            state = _told(state, names(decision.milestones))
        over = not calls and not decision.again
        plan, tallies = pursued(state.operator, decision)
        operator = replace(
            state.operator,
            turn=None if over else replace(turn, calls=calls, again=decision.again, failure=None),
            follows=decision.follow,
            looks_again=decision.requeue is not None,
            plan=plan,
            tallies=tallies,
        )
        state = replace(state, operator=operator)
        if calls or over:
            return state
    raise oracles.Violation("eventually stable", "a turn has no end")


def call_made(state: State, world: World, call: Call) -> State:
    """After one call of the turn was answered."""
    turn = state.operator.turn
    assert turn is not None
    if isinstance(call, WriteStatus) and _wish_differs(turn.read, state.cluster):
        return conflict(state)
    oracles.before_call(state, call, world.good)
    turn = replace(turn, calls=tuple(c for c in turn.calls if c is not call))
    match call:
        case Tell(told):
            state = replace(state, operator=replace(state.operator, turn=turn))
            state = _told(state, names(told))
        case WriteStatus():
            state = _status_written(state, turn, call)
        case _:
            after = effect(state, world, turn, call)
            if after is None:
                return conflict(state)
            state = after
    return _called(state, world)


def _called(state: State, world: World) -> State:
    turn = state.operator.turn
    assert turn is not None
    if turn.failure is not None and all(isinstance(c, WriteStatus | Tell) for c in turn.calls):
        return think(replace(state, operator=replace(state.operator, turn=turn)), world)
    if turn.calls:
        return state
    if turn.again:
        return think(state, world)
    return replace(state, operator=replace(state.operator, turn=None))


def conflict(state: State) -> State:
    return replace(state, operator=replace(state.operator, turn=None, awake=True))


def _wish_differs(read: Cluster, live: Cluster) -> bool:
    return read.wish != live.wish or read.status is not live.status


def _status_written(state: State, turn: Turn, call: WriteStatus) -> State:
    old, kept, ledger = state.cluster.status.status, call.kept, state.ledger
    new = kept.status.rollout
    if new is not None:
        if old.rollout is None or old.rollout.id != new.id:
            ledger = replace(ledger, status_writes=0, target_writes=0)
        if oracles.begins_revert(old, new):
            ledger = replace(ledger, reverts=(*ledger.reverts, new.id))
    fresh = {h.id: h for h in kept.status.history if h not in old.history}
    ended = tuple((i, str(h.outcome)) for i, h in fresh.items() if not i.endswith("-0"))
    ledger = replace(ledger, ended=(*ledger.ended, *ended), status_writes=ledger.status_writes + 1)
    turn = replace(turn, read=replace(turn.read, status=kept))
    return replace(
        state,
        cluster=replace(state.cluster, status=kept),
        ledger=ledger,
        operator=replace(state.operator, turn=turn),
    )


def effect(state: State, world: World, turn: Turn, action: Action) -> State | None:
    """The action's answer in cluster and turn; None where it is a conflict."""
    cluster, target = state.cluster, state.cluster.target
    match action:
        case TryDelivery():
            turn = replace(turn, dry_run=DryRun(None, _baseline(state, world, action)))
        case EnsureConfigMap(body):
            view = _config_map(body, cluster)
            others = tuple(c for c in cluster.config_maps if c.name != view.name)
            maps = sorted((*others, view), key=lambda c: c.name)
            cluster = replace(cluster, config_maps=tuple(maps))
        case CreatePreview(body):
            if not _is_there(cluster, body["metadata"]["name"]):
                cluster = replace(cluster, preview=PreviewPod(dumped(body)))
        case DeletePreview(name):
            if cluster.preview is not None and cluster.preview.pod.name == name:
                cluster = replace(cluster, preview=None)
        case ApplyTemplate(body):
            if target is None or body["metadata"]["uid"] != f"uid-of-triage-{target.born}":
                return None
            ours = body.get("spec", {}).get("template")
            template = dumped(applied(json.loads(target.template), ours))
            ledger = replace(state.ledger, target_writes=state.ledger.target_writes + 1)
            state = replace(state, ledger=ledger)
            if template != target.template:
                target = replace(
                    target,
                    template=template,
                    generation=target.generation + 1,
                    progress=Progress.UNSEEN,
                )
            cluster = replace(cluster, target=target)
        case _:
            cluster = _with_instances(cluster, action)
    read = replace(
        turn.read,
        config_maps=cluster.config_maps,
        preview=cluster.preview,
        jobs=cluster.jobs,
        target=cluster.target if isinstance(action, ApplyTemplate) else turn.read.target,
    )
    operator = replace(state.operator, turn=replace(turn, read=read))
    return replace(state, cluster=cluster, operator=operator)


def _with_instances(cluster: Cluster, action: Action) -> Cluster:
    match action:
        case PauseInstances(writes) | ResumeInstances(writes):
            jobs = cluster.jobs
            for write in writes:
                jobs = tuple(owned(job, write) for job in jobs)
            return replace(cluster, jobs=jobs)
        case AccountFor():
            return cluster
        case _:
            raise NotImplementedError(action.told)


def _is_there(cluster: Cluster, preview: str) -> bool:
    """There is room for one; that of a rollout whose record was lost is out of sight."""
    return cluster.preview is not None and cluster.preview.pod.name == preview


def _config_map(body: Raw, cluster: Cluster) -> ConfigMapView:
    meta = body["metadata"]
    before = next((c for c in cluster.config_maps if c.name == meta["name"]), None)
    first = before.first_name if before else meta["annotations"][ANNOTATION_REVISION]
    owners = frozenset(o["uid"] for o in meta["ownerReferences"])
    content = next(iter(body["data"].values()))
    return ConfigMapView(meta["name"], f"uid-of-{meta['name']}", first, owners, content)


def _baseline(state: State, world: World, action: TryDelivery) -> tuple[Baseline, ...]:
    cluster = state.cluster
    content = cluster.target.carries if cluster.target else None
    answer = Answer.NONE if state.cut_off else world.answer(content, Stage.GATE)
    verdict = judge(Sample(answer, GOT[answer], NOW), ready=True, another_answered=False)
    names = dict.fromkeys(p.check.name for p in action.baseline.probes)
    return tuple(Baseline(check=n, verdict=verdict) for n in names)


def _looked(state: State, turn: Turn) -> State:
    rollout, before = turn.read.rollout, state.operator.looking
    looking = None
    if rollout is not None:
        at = f"{rollout.id}/{rollout.phase}/{rollout.suspended_at}"
        looking = before if before and before[0] == at else (at, state.now)
    if looking == before:
        return state
    return replace(state, operator=replace(state.operator, looking=looking))


def _told(state: State, events: frozenset[tuple[str, str]]) -> State:
    """Those of a deleted Workflow are of another uid."""
    turn = state.operator.turn
    if turn is not None and turn.read.uid != state.cluster.uid:
        return state
    if events <= state.ledger.events:
        return state
    return replace(state, ledger=replace(state.ledger, events=state.ledger.events | events))


def pursued(operator: Operator, decision: Decision) -> tuple[ProbePlan | None, tuple[Tally, ...]]:
    """As the prober: a new session starts fresh tallies."""
    plan, before = decision.probes, operator.plan
    known: dict[tuple[str, str], Tally] = {}
    if plan is not None and before is not None and plan.session == before.session:
        plan = replace(plan, heard=before.heard)
        known = {(t.check, t.pod_uid): t for t in operator.tallies}
    asked = plan.probes if plan else ()
    return plan, tuple(known.get((p.check.name, p.pod_uid)) or _blank(p) for p in asked)


def _blank(probe: Probe) -> Tally:
    return Tally(probe.check.name, probe.stage, probe.pod, probe.pod_uid, probe.asked)


def _idle(state: State, world: World) -> list[Step]:
    """Nothing moves: the suspension is lifted, a look finds something, or time passes."""
    wish = state.cluster.wish
    if wish.spec.suspend and state.cluster.uid is not None:
        lifted = wish.spec.model_copy(update={"suspend": False})
        wish = replace(wish, spec=lifted, generation=wish.generation + 1)
        return [("a person lifts the suspension", woken(wished(state, wish)))]
    look = begin_turn(state, world, state.cluster)
    news = look.operator.turn is not None or look.operator.plan != state.operator.plan
    rollout = state.cluster.rollout
    if news:
        slow = {"lost wake-up", *oracles.MOVED_BY_OTHERS}
        if not state.operator.looks_again and not slow & set(state.ledger.disturbed):
            what = "there is something to do, and only the periodic list would find it"
            raise oracles.Violation("eventually stable", what)
        return [("the operator looks again by its own clock", woken(state))]
    if rollout is None:
        return []
    if not state.operator.looks_again:
        raise oracles.Violation("eventually stable", f"{rollout.phase} without another look")
    return [("time passes", woken(replace(state, now=later(state))))]


def later(state: State) -> int:
    """The next time at which a decision may be another one."""
    rollout = state.cluster.rollout
    assert rollout is not None
    deadline = rollout.deadline or NOW
    left = (deadline - NOW - timedelta(seconds=state.now)).total_seconds()
    return state.now + (int(left) + 1 if left > 0 else 30)


def wished(state: State, wish: Wish) -> State:
    return replace(state, cluster=replace(state.cluster, wish=wish))


def told(call: Call) -> str:
    match call:
        case WriteStatus(kept):
            return f"writes the status: {kept.status.phase}"
        case Tell(events):
            return f"tells {', '.join(str(m.reason) for m in events)}"
        case ApplyTemplate(body):
            template = body.get("spec", {}).get("template")
            digest = template and template["metadata"]["annotations"][ANNOTATION_CONTENT_DIGEST]
            return f"delivers {CONTENTS[digest]}" if digest else "withdraws the delivery"
        case _:
            return call.told
