"""What is asked of an engine, and kept of its runs. Idempotent, each call and each write."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, assert_never

from belay.api.names import LABEL_BACKUP_OF, MANAGER_PAUSE
from belay.api.status import RevisionRef
from belay.api.words import Reason
from belay.core.delivery import config_map_name
from belay.core.engine.actions import (
    BackUp,
    EngineAction,
    NoteRuns,
    PauseEngine,
    PushContent,
    ReleaseEngine,
    SettleRuns,
)
from belay.core.engine.names import rollout_of
from belay.core.engine.view import EnginePod, Entry, Fate
from belay.core.keys import Key
from belay.core.observed import Refusal
from belay.core.workloads import WorkloadView
from belay.shell.backups.store import Backup, Store, StoreError, load, save
from belay.shell.checks.credentials import Problem
from belay.shell.engine import records
from belay.shell.engine.client import EngineError, NoAnswer, Peer
from belay.shell.engine.engines import Engines, slots
from belay.shell.engine.fetching import envelopes
from belay.shell.engine.wire import BadEnvelope
from belay.shell.errors import ApiError, NotFound
from belay.shell.resources import CONFIG_MAPS, WORKLOADS
from belay.shell.turn import Turn

log = logging.getLogger(__name__)

_DONE = frozenset({"notPaused", "alreadyElsewhere", "runUnknown", "alreadyFinished"})
"""Answers to a resume that mean that there is nothing left to resume here."""
_WHY: Final = 200
"""Characters of a reason that the record keeps."""
_NEVER = frozenset({"stateRejected", "revisionMismatch", "tooLarge", "invalidRequest"})


async def act(turn: Turn, action: EngineAction, engines: Engines) -> Refusal | None:
    """Carry out one action. What may pass by itself is a refusal, too: `decide` tries again."""
    token = await engines.token(turn.key.namespace, action.engine.how)
    if isinstance(token, Problem):
        return _unreachable(token.text)
    try:
        return await _acted(turn, action, engines, token)
    except Rejected as error:
        return Refusal(Reason.REVISION_REJECTED, str(error))
    except StoreError as error:
        return Refusal(Reason.BACKUP_FAILED, str(error)[:1024], passing=error.passing)
    except (EngineError, BadEnvelope) as error:
        return _unreachable(str(error))


async def _acted(turn: Turn, action: EngineAction, engines: Engines, token: str) -> Refusal | None:
    match action:
        case PauseEngine():
            await _pause(turn, action, engines, token)
        case NoteRuns(engine, name, record, needed, key):
            await records.write(turn, key, name, record, engine.record_at)
            await _forget(turn, key, needed, engines.store)
        case BackUp():
            await _back_up(turn, action, engines, token)
        case SettleRuns():
            return await Settling(turn, action, engines, token).settle()
        case ReleaseEngine():
            await _release(turn, action, engines, token)
        case PushContent():
            await _push(action, engines, token)
        case _:
            assert_never(action)
    return None


async def _forget(turn: Turn, key: Key, needed: frozenset[str], store: Store) -> None:
    """Drop what is kept of rollouts that are remembered no more; a refusal holds nothing up."""
    try:
        for name in await store.names(key):
            if (old := rollout_of(key.name, name)) is not None and old not in needed:
                await store.delete(key, name)
        labels = f"{LABEL_BACKUP_OF}={key.name}"
        found, _ = await turn.cluster.list_metadata(CONFIG_MAPS, key.namespace, labels=labels)
        for metadata in (one["metadata"] for one in found):
            old = rollout_of(key.name, metadata["name"])
            if old is not None and old not in needed:
                await turn.cluster.delete(
                    CONFIG_MAPS, key.namespace, metadata["name"], uid=metadata["uid"]
                )
    except (StoreError, ApiError) as error:
        log.warning("old backups are kept: %s", error, extra={"workflow": str(key)})


class Rejected(Exception):
    """An engine cannot run a definition."""


def _unreachable(message: str) -> Refusal:
    return Refusal(Reason.ENGINE_UNREACHABLE, message[:1024])


async def _all(calls: Iterable[Awaitable[object]]) -> None:
    """All of them, a few at once; then the first that failed is raised."""
    limit = slots()

    async def one(call: Awaitable[object]) -> None:
        async with limit:
            await call

    answers = await asyncio.gather(*(one(call) for call in calls), return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer


async def _pause(turn: Turn, action: PauseEngine, engines: Engines, token: str) -> None:
    """The mark comes first: whoever finds it knows that an engine may be paused."""
    owner = action.engine.owner
    for workload, mark in action.unmarked:
        await _label(turn, workload, mark.written(owner, action.engine.how))
    peers = [engines.peer(pod, token) for pod in action.engine.to_ask]
    await _all(peer.pause_all(owner) for peer in peers)


async def _release(turn: Turn, action: ReleaseEngine, engines: Engines, token: str) -> None:
    peers = [engines.peer(pod, token) for pod in action.closed]
    await _all(peer.open_intake(action.engine.owner) for peer in peers)
    for workload in action.labelled:
        await _label(turn, workload, {})


async def _label(turn: Turn, workload: WorkloadView, marks: Mapping[str, Any]) -> None:
    """Mark a target as it was read, or give its marks up. One that is gone has none."""
    resource = WORKLOADS[workload.kind.api_version, workload.kind.kind]
    assert workload.raw is not None  # noqa: S101
    read = {name: workload.raw["metadata"][name] for name in ("uid", "resourceVersion")}
    names = {"name": workload.name, "namespace": turn.key.namespace, **read}
    body = {
        "apiVersion": resource.api_version,
        "kind": resource.kind,
        "metadata": {**names, **marks},
    }
    try:
        answer = await turn.cluster.apply(resource, body, manager=MANAGER_PAUSE, force=True)
    except NotFound:
        turn.forget(resource, workload.name)
        return
    turn.put(resource, answer)


async def _back_up(turn: Turn, action: BackUp, engines: Engines, token: str) -> None:
    engine = action.engine
    found = await envelopes(engine, engines, token)
    contents = await _definitions(turn, action)
    if engine.former is not None and engine.carried:
        before = await load(engines.store, action.key, engine.former.name)
        found |= {run: before.envelopes[run] for run in engine.carried}
        contents = {**before.contents, **contents}
    backup = Backup(found, contents, _target(action))
    await save(engines.store, action.key, action.name, backup)


def _target(action: BackUp) -> dict[str, str]:
    ref = action.target
    if ref is None:
        return {}
    name = config_map_name(action.key.name, ref.content_digest)
    digests = {"digest": ref.digest, "contentDigest": ref.content_digest}
    return {"revision": ref.revision, **digests, "configMap": name}


async def _definitions(turn: Turn, action: BackUp) -> dict[str, dict[str, str]]:
    """Those that are delivered; another one, a pod has to know by itself."""
    found = {}
    for digest in action.contents:
        raw = await turn.get(CONFIG_MAPS, config_map_name(action.key.name, digest))
        ((file, text),) = ((raw or {}).get("data") or {"": ""}).items()
        if text:
            form = "DifyDSL" if file.endswith((".yaml", ".yml")) else "JSON"
            found[digest] = {"format": form, "definition": text}
    return found


async def _push(action: PushContent, engines: Engines, token: str) -> None:
    body = definition(action.ref, action.content)

    async def validate(pod: EnginePod) -> None:
        verdict = await engines.peer(pod, token).validate(body)
        if not verdict.valid:
            reasons = "; ".join(verdict.reasons[:3])[:500]
            raise Rejected(f"pod {pod.name} cannot run it: {reasons}")

    async def activate(pod: EnginePod) -> None:
        try:
            await engines.peer(pod, token).activate(action.ref.content_digest, pod.active)
        except EngineError as error:
            if error.code == "invalidRevision":
                raise Rejected(f"{error}: {'; '.join(error.reasons)}") from error
            raise

    await _all(validate(pod) for pod in action.validated)
    await _all(activate(pod) for pod in action.activated)


def definition(ref: RevisionRef, content: str) -> dict[str, str]:
    """A content, as engines take it."""
    return {
        "revision": ref.revision,
        "contentDigest": ref.content_digest,
        "format": ref.format.value,
        "definition": content,
    }


class Settling:
    """One round of letting runs go on, or end."""

    def __init__(self, turn: Turn, action: SettleRuns, engines: Engines, token: str) -> None:
        self._turn, self._action = turn, action
        self._engines, self._token = engines, token
        self._record = dict(action.todo.record)
        self._at = action.engine.record_at
        self._trouble = ""
        self._limit = slots()

    async def settle(self) -> Refusal | None:
        """A claim is written before its pod is told of it: so no run is ever given to two.

        Before that, all is read that pods are to be given: what is damaged changes nothing.
        """
        todo = self._action.todo
        backup = await self._load() if todo.moved else Backup({}, {}, {})
        if self._record != dict(self._action.engine.record or {}) and todo.moved:
            await self._write()
        before = dict(self._record)
        await asyncio.gather(*(self._here(pod, run) for pod, run in todo.here))
        if todo.moved:
            await self._move(todo.moved, backup)
        if self._record != before or not todo.moved:
            await self._write()
        return _unreachable(self._trouble) if self._trouble else None

    async def _write(self) -> None:
        if not self._action.name:
            return
        action = self._action
        self._at = await records.write(self._turn, action.key, action.name, self._record, self._at)

    def _fate(self, run: str, fate: Fate, why: str = "") -> None:
        entry = self._record.get(run) or Entry("")
        self._record[run] = replace(entry, fate=fate, why=why)

    async def _here(self, pod: EnginePod, run: str) -> None:
        peer, fate = self._engines.peer(pod, self._token), self._wanted(pod, run)
        async with self._limit:
            try:
                if fate is Fate.CANCELLED:
                    await peer.abort(run, "ended by policy, after the revision had changed")
                    self._fate(run, fate)
                else:
                    self._fate(run, *await self._let_go(peer, {"id": run}, fate))
            except EngineError as error:
                if error.code not in _DONE:
                    self._trouble = self._trouble or str(error)
                    return
                self._fate(run, Fate.CANCELLED if fate is Fate.CANCELLED else Fate.RESUMED)
        self._record[run] = replace(self._record[run], at=pod.at, pod=pod.name)

    def _wanted(self, pod: EnginePod, run: str) -> Fate:
        return self._action.then.at(pod, self._record[run].content_digest)

    async def _let_go(self, peer: Peer, what: dict[str, Any], fate: Fate) -> tuple[Fate, str]:
        """What has become of the run, and why it is not what was wanted."""
        owner = self._action.engine.owner
        if fate is Fate.RESTARTED:
            try:
                await peer.resume(owner, {**what, "how": "Restart"})
            except EngineError as error:
                if error.code != "restartRejected":
                    raise
                await peer.resume(owner, what)
                return Fate.RESUMED, f"{error}"[:_WHY]
            return fate, ""
        await peer.resume(owner, what)
        return fate, ""

    async def _move(self, moved: tuple[tuple[EnginePod, str], ...], backup: Backup) -> None:
        peers = {pod.at: self._engines.peer(pod, self._token) for pod, _ in moved}
        wanted: dict[str, set[str]] = {}
        for pod, run in moved:
            digest = self._record[run].content_digest
            if digest not in pod.loaded:
                wanted.setdefault(pod.at, set()).add(digest)
        await asyncio.gather(
            *(self._teach(peers[at], digests, backup) for at, digests in wanted.items())
        )
        await asyncio.gather(
            *(self._give(peers[pod.at], run, backup.envelopes.get(run)) for pod, run in moved)
        )

    async def _load(self) -> Backup:
        """What this pause has stored, and what it has not got round to carry over."""
        engine, store = self._action.engine, self._engines.store
        names = [view.name for view in (engine.former, engine.backup) if view is not None]
        return await _merged(store, self._action, names)

    async def _teach(self, peer: Peer, digests: set[str], backup: Backup) -> None:
        """What a pod does not take here, it refuses with the envelope: with the words for it."""
        for digest in sorted(digests & backup.contents.keys()):
            body = {"revision": None, "contentDigest": digest, **backup.contents[digest]}
            try:
                await peer.validate(body)
            except EngineError as error:
                self._trouble = self._trouble or str(error)

    async def _give(self, peer: Peer, run: str, envelope: dict[str, Any] | None) -> None:
        fate = self._wanted(peer.pod, run)
        if envelope is None:
            self._fate(run, Fate.LOST, "its envelope is in no backup")
            return
        async with self._limit:
            try:
                self._fate(run, *await self._let_go(peer, {"envelope": envelope}, fate))
            except EngineError as error:
                if error.code in _NEVER and not isinstance(error, NoAnswer):
                    self._fate(run, Fate.LOST, f"{error}"[:_WHY])
                elif error.code not in _DONE:
                    self._trouble = self._trouble or str(error)


async def _merged(store: Store, action: SettleRuns, names: list[str]) -> Backup:
    envelopes: dict[str, dict[str, Any]] = {}
    contents: dict[str, dict[str, str]] = {}
    for name in names:
        one = await load(store, action.key, name)
        envelopes |= one.envelopes
        contents |= one.contents
    return Backup(envelopes, contents, {})
