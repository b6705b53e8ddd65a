"""Reading an engine: each pod by itself, and what is kept of its runs outside."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from belay.api.instances import Engine
from belay.api.names import LABEL_PAUSED_BY
from belay.core.decide import under_way
from belay.core.engine.marks import Mark, read_mark
from belay.core.engine.names import rollout_of
from belay.core.engine.view import Ask, EnginePod, EngineView, Run
from belay.core.observed import Observed
from belay.core.pods import Pod
from belay.core.rest import restoring
from belay.core.workloads import WorkloadView
from belay.core.workloads.raw import is_paused_by_us
from belay.shell.backups.store import StoreError, look
from belay.shell.checks.credentials import Problem
from belay.shell.engine import records
from belay.shell.engine.client import EngineError, NoAnswer, Peer
from belay.shell.engine.engines import Engines, slots
from belay.shell.turn import Turn


async def find(turn: Turn, seen: Observed, ask: Ask, engines: Engines) -> EngineView | None:
    """The engine of a Workflow; None where there is none, or none is asked for."""
    how = _how(seen) if ask is not Ask.NOTHING else None
    if how is None:
        return None
    engine = EngineView(seen.uid, how, labelled=_labelled(seen), foreign=_foreign(seen))
    rollout, restore = seen.status.rollout, restoring.goes_on(seen)
    if ask is Ask.RUNS and restore is not None and under_way(seen) is None:
        engine = await _wanted_back(turn, engine, restore.backup, engines)
    elif ask is Ask.RUNS and rollout is not None and rollout.runs is not None:
        former = rollout.backup if rollout.backup != rollout.runs else None
        engine = await kept(turn, engine, Mark(turn.key.name, rollout.runs, former), engines)
    return await heard(turn, engine, ask, _targets(seen, how), engines)


async def heard(
    turn: Turn,
    engine: EngineView,
    ask: Ask,
    targets: Iterable[WorkloadView],
    engines: Engines,
) -> EngineView:
    """With what the pods of these targets tell."""
    token = await engines.token(turn.key.namespace, engine.how)
    if isinstance(token, Problem):
        return replace(engine, problem=engine.problem or token.text)
    limit = slots()
    pods = [_pod(p, engine.how) for w in targets for p in w.living if p.address]
    asked = await asyncio.gather(*(_asked(engines.peer(p, token), ask, limit) for p in pods))
    return replace(engine, pods=tuple(p for p in asked if p is not None))


def _how(seen: Observed) -> Engine | None:
    """As the spec says, or as it was when the engine was paused."""
    wanted = seen.spec.instances
    if wanted is not None and wanted.engine is not None:
        return wanted.engine
    for workload in seen.workloads:
        metadata = workload.raw["metadata"] if workload.raw else {}
        told = read_mark(metadata.get("annotations") or {})
        if told is not None and workload.uid in _labelled(seen):
            return told[1]
    return None


def _labelled(seen: Observed) -> frozenset[str]:
    return frozenset(
        w.uid
        for w in seen.workloads
        if w.raw and (w.raw["metadata"].get("labels") or {}).get(LABEL_PAUSED_BY) == seen.uid
    )


def _foreign(seen: Observed) -> tuple[str, ...]:
    """Targets with a mark of our own for another Workflow; a label that was copied is none."""
    return tuple(
        w.told
        for w in seen.workloads
        if w.raw
        and (w.raw["metadata"].get("labels") or {}).get(LABEL_PAUSED_BY, seen.uid) != seen.uid
        and is_paused_by_us(w.raw)
    )


def _targets(seen: Observed, how: Engine) -> list[WorkloadView]:
    return [w for w in seen.workloads if how.workload in (None, w.name)]


def _pod(pod: Pod, how: Engine) -> EnginePod:
    return EnginePod(
        name=pod.name,
        uid=pod.uid,
        address=pod.address,
        hosts=pod.hosts,
        host_network=pod.host_network,
        port=pod.port(how.port),
        ready=pod.ready,
    )


async def _asked(peer: Peer, ask: Ask, limit: asyncio.Semaphore) -> EnginePod | None:
    """What a pod tells; None where nothing runs in it yet."""
    pod = peer.pod
    async with limit:
        try:
            info, revisions = await asyncio.gather(peer.info(), peer.revisions())
            runs = await peer.runs() if ask is Ask.RUNS else []
        except NoAnswer as error:
            if error.code == "unconnected" and not pod.ready:
                return None
            return replace(pod, problem=error.message)
        except EngineError as error:
            return replace(pod, problem=error.message)
    return replace(
        pod,
        instance=info.instance,
        holders=frozenset(info.holders),
        restarts=info.capabilities.restart,
        active=revisions.active.content_digest if revisions.active is not None else None,
        loaded=frozenset(r.content_digest for r in revisions.revisions if r.state == "Ready"),
        runs=tuple(Run(r.id, r.content_digest, r.status, r.holder) for r in runs),
    )


async def _wanted_back(turn: Turn, engine: EngineView, backup: str, engines: Engines) -> EngineView:
    """With the backup that somebody has named, be there a record of it or not."""
    if rollout_of(turn.key.name, backup) is None:
        return engine
    try:
        record, at = await records.read(turn, backup)
        there = await look(engines.store, turn.key, backup)
    except (StoreError, records.BadRecord) as error:
        return replace(engine, problem=str(error))
    return replace(engine, record=record, record_at=at, backup=there)


async def kept(turn: Turn, engine: EngineView, mark: Mark, engines: Engines) -> EngineView:
    """With the record and the backups of this pause."""
    try:
        record, at = await records.read(turn, mark.runs)
        engine = replace(engine, record=record, record_at=at)
        if record:
            engine = replace(engine, backup=await look(engines.store, turn.key, mark.runs))
        if mark.former is not None:
            earlier, _ = await records.read(turn, mark.former)
            before = await look(engines.store, turn.key, mark.former)
            engine = replace(engine, former=before, former_record=earlier or {})
    except (StoreError, records.BadRecord) as error:
        return replace(engine, problem=str(error))
    return engine
