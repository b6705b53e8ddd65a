"""All runs of this process: taken in, carried, paused, resumed, ended.

Runs live in the memory of one process, each in a thread of its own. There is one lock; nothing
that takes long happens under it.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from belay_runner import engine
from belay_runner.engine import Execution, Rejected
from belay_runner.envelopes import Envelope, Folder, opened, seal
from belay_runner.inputs import checked
from belay_runner.metrics import Metrics
from belay_runner.mounted import values
from belay_runner.problems import Code, Problem
from belay_runner.progress import NodeBegan, NodeEnded, Progress, State, Stood
from belay_runner.redaction import redact
from belay_runner.revisions import Revision, Revisions
from belay_runner.run import ENGINE, Run, new_id, now, told
from belay_runner.settings import Settings

_LOG = logging.getLogger(__name__)
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Wish:
    """A new run, as it was asked for."""

    inputs: Mapping[str, Any]
    user: str = "belay"
    id: str | None = None
    content_digest: str | None = None
    trial: bool = False


class Registry:
    """Every public method may be called from any thread."""

    def __init__(self, settings: Settings, metrics: Metrics, folder: Folder | None) -> None:
        self._settings, self._metrics, self._folder = settings, metrics, folder
        self._runs: dict[str, Run] = {}
        self._gone: dict[str, str] = {}
        self._closed_by: set[str] = set()
        self._lock = threading.RLock()
        self.ending = False
        self.revisions: Revisions

    # ---- intake

    @property
    def holders(self) -> list[str]:
        with self._lock:
            return sorted(self._closed_by)

    def set_intake(self, holder: str, *, closed: bool) -> None:
        with self._lock:
            (self._closed_by.add if closed else self._closed_by.discard)(holder)

    def start(self, wish: Wish) -> Run:
        """Take a new run in, or give the one that has this id already."""
        revision = self._wanted(wish)
        definition = revision.ready
        inputs = checked(definition.inputs, wish.inputs)
        run = Run(wish.id or new_id(), revision.content_digest, revision)
        with self._lock:
            known = self._runs.get(run.id)
            if known is not None:
                return known
            if self.ending or (self._closed_by and not wish.trial):
                raise Problem(Code.DRAINING, "intake is closed: runs are being paused or moved")
            self._room()
            self._add(run)
        env = self._env(run, revision)
        system = {
            "user_id": wish.user,
            "workflow_id": revision.content_digest,
            "workflow_run_id": run.id,
            "timestamp": int(time.time()),
            "query": str(wish.inputs.get("query") or ""),
        }
        try:
            execution = definition.start(system, inputs, env)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises ends this run alone
            self._end(run, Stood(State.FAILED, error=str(error)))
            return run
        if self._folder:
            self._folder.mark(run.id)
        self._launch(run, execution)
        return run

    # ---- looking

    def get(self, run: str) -> Run:
        """Raises `runUnknown`."""
        with self._lock:
            found = self._runs.get(run)
        if found is None:
            raise Problem(Code.RUN_UNKNOWN, f"there is no run {run} in this pod")
        return found

    def all(self) -> list[Run]:
        """In the order of their ids."""
        with self._lock:
            return sorted(self._runs.values(), key=lambda run: run.id)

    def in_use(self) -> set[str]:
        with self._lock:
            return {run.content_digest for run in self._runs.values() if not run.state.is_over}

    def envelope(self, run: Run) -> Envelope:
        """Raises `notPaused`, `envelopeTooLarge`."""
        with self._lock:
            envelope = run.envelope
            if run.state is not State.PAUSED or envelope is None:
                raise _not_paused(run)
            size = len(envelope.state)
            if size > self._settings.max_envelope:
                message = f"{run.id} has {size} bytes of state, more than may leave"
                raise Problem(Code.ENVELOPE_TOO_LARGE, message, {"bytes": size})
            run.fetched = True
            return envelope

    # ---- pausing

    def pause_all(
        self, holder: str, content_digest: str | None = None, *, close_intake: bool = False
    ) -> tuple[list[str], list[str]]:
        """(runs that pause for this holder, runs that pause for another one)."""
        with self._lock:
            if close_intake:
                self._closed_by.add(holder)
            concerned = [
                run
                for run in self.all()
                if not run.state.is_over and content_digest in (None, run.content_digest)
            ]
            for run in concerned:
                self._ask_to_pause(run, holder)
            ours = [run.id for run in concerned if run.holder == holder]
            return ours, [run.id for run in concerned if run.holder != holder]

    def pause(self, run: Run, holder: str) -> None:
        """Raises `alreadyFinished`, `heldByOther`."""
        with self._lock:
            if run.state.is_over:
                details = {"status": run.state.value}
                raise Problem(Code.ALREADY_FINISHED, f"{run.id} is over", details)
            self._ask_to_pause(run, holder)
            _held_by(run, holder)

    def _ask_to_pause(self, run: Run, holder: str) -> None:
        if run.state is State.PAUSING and run.go_on:
            run.go_on, run.holder, run.resumed_for = False, holder, None
        if run.state is not State.RUNNING:
            return
        run.state, run.holder, run.pause_requested = State.PAUSING, holder, now()
        run.resumed_for = None
        if run.execution is not None:
            run.execution.pause(holder)

    # ---- going on

    def resume(self, run: Run, holder: str) -> bool:
        """Go on with a run of this pod; whether that is new. Raises `notPaused`, `heldByOther`."""
        with self._lock:
            if run.resumed_for == holder:
                return False
            if run.state not in (State.PAUSED, State.PAUSING):
                raise _not_paused(run)
            _held_by(run, holder)
            if run.state is State.PAUSING:
                run.go_on = True
                run.resumed_for = holder
                return True
            revision, envelope = run.revision or self._known(run.content_digest), run.envelope
            if revision is None or envelope is None:
                raise self._mismatch(run.content_digest)
            self._room()
            self._claim(run, envelope, holder)
        self._revive(run, revision, envelope)
        return True

    def resume_envelope(
        self, envelope: Envelope, holder: str, *, allow_migration: bool
    ) -> tuple[Run, bool]:
        """Go on with a run that was paused elsewhere; (run, whether that is new)."""
        opened(envelope)
        if envelope.engine != engine.NAME:
            raise Problem(Code.STATE_REJECTED, f"the envelope is of the engine {envelope.engine}")
        with self._lock:
            known = self._runs.get(envelope.runId)
            if known is not None and envelope.sha256 in known.claims:
                return known, False
            if known is not None and known.state is not State.LOST:
                if known.envelope is None or known.envelope.sha256 != envelope.sha256:
                    raise _not_paused(known)
            else:
                known, revision = None, self._for_new(envelope, holder, allow_migration)
                run = _from_envelope(envelope, revision)
                self._add(run)
                self._claim(run, envelope, holder)
        if known is not None:
            return known, self.resume(known, holder)
        try:
            self._revive(run, revision, envelope)
        except Problem:
            with self._lock:
                del self._runs[run.id]
            raise
        return run, True

    def _for_new(self, envelope: Envelope, holder: str, allow_migration: bool) -> Revision:
        """What a run that comes from elsewhere would run on here, if it may."""
        if self._gone.get(envelope.runId) == envelope.sha256:
            message = f"{envelope.runId} was handed over with this envelope"
            raise Problem(Code.ALREADY_ELSEWHERE, message)
        if envelope.holder not in (holder, ENGINE):
            message = f"{envelope.holder} paused {envelope.runId}"
            raise Problem(Code.HELD_BY_OTHER, message, {"holder": envelope.holder})
        if self.ending:
            raise Problem(Code.DRAINING, "this process ends")
        revision = self._known(envelope.contentDigest)
        if revision is None and allow_migration:
            revision = self.revisions.active
        if revision is None:
            raise self._mismatch(envelope.contentDigest)
        self._room()
        return revision

    def _known(self, content_digest: str) -> Revision | None:
        known = {r.content_digest: r for r in self.revisions.all() if r.definition}
        return known.get(content_digest)

    def _mismatch(self, content_digest: str) -> Problem:
        known = [r.content_digest for r in self.revisions.all() if r.definition]
        message = f"{content_digest} is not known here: validate it first, or migrate the run"
        return Problem(Code.REVISION_MISMATCH, message, {"contentDigests": known})

    def _claim(self, run: Run, envelope: Envelope, holder: str) -> None:
        run.claims.add(envelope.sha256)
        run.state, run.resumed_for = State.RUNNING, holder
        run.holder = run.pause_requested = run.envelope = None
        run.fetched = run.go_on = False

    def _revive(self, run: Run, revision: Revision, envelope: Envelope) -> None:
        """Build the run again from its envelope; where that fails it is paused as before."""
        try:
            env = self._env(run, revision)
            execution = revision.ready.resume(envelope.state, env, run.id)
        except (Rejected, Problem) as error:
            with self._lock:
                run.claims.discard(envelope.sha256)
                run.state, run.envelope, run.holder = State.PAUSED, envelope, envelope.holder
                run.resumed_for = None
            raise self._rejected(run, envelope, error) from error
        if self._folder:
            self._folder.mark(run.id)
            self._folder.drop(run.id)
        run.content_digest, run.revision = revision.content_digest, revision
        self._launch(run, execution)

    def _rejected(self, run: Run, envelope: Envelope, error: Exception) -> Problem:
        if run.content_digest != envelope.contentDigest:
            return self._mismatch(envelope.contentDigest)
        return Problem(
            Code.STATE_REJECTED,
            f"{run.id} cannot be resumed: {redact(str(error), run.secrets)}",
            {"engineVersion": envelope.engineVersion, "snapshotVersion": envelope.snapshotVersion},
        )

    # ---- leaving

    def hand_over(self, run_id: str, holder: str, sha256: str) -> None:
        """Forget a paused run, whose envelope is safe elsewhere."""
        with self._lock:
            if self._gone.get(run_id) == sha256:
                return
            run = self.get(run_id)
            if run.state is not State.PAUSED or run.envelope is None:
                raise _not_paused(run)
            _held_by(run, holder)
            if run.envelope.sha256 != sha256:
                message = f"the envelope of {run_id} is another one now"
                raise Problem(Code.ENVELOPE_DIFFERS, message, {"sha256": run.envelope.sha256})
            del self._runs[run_id]
            self._gone[run_id] = sha256
        if self._folder:
            self._folder.drop(run_id)
        run.settled.set_result(run)

    def abort(self, run: Run, reason: str) -> None:
        """A paused run ends at once; one at work when its engine has stopped."""
        with self._lock:
            if run.state.is_over:
                return
            run.abort_reason, run.go_on = reason, False
            if run.state is not State.PAUSED:
                if run.execution is not None:
                    run.execution.abort(reason)
                return
        self._end(run, Stood(State.STOPPED, error=reason))

    def end(self) -> None:
        """Take nothing in any more, and pause what is there."""
        with self._lock:
            self.ending = True
            self._closed_by.add(ENGINE)
            self.pause_all(ENGINE)

    def left(self) -> tuple[list[str], list[str]]:
        """(runs still at work, paused runs whose envelope is nowhere but here)."""
        with self._lock:
            at_work = [r.id for r in self.all() if r.state in (State.RUNNING, State.PAUSING)]
            kept = self._folder is not None
            paused = [r.id for r in self.all() if r.state is State.PAUSED]
            return at_work, [r for r in paused if not kept and not self._runs[r].fetched]

    def settle(self) -> None:
        """Let go whoever waits for a run that will not end in this process."""
        for run in self.all():
            if run.state is State.PAUSED and not run.settled.done():
                run.settled.set_result(run)

    def take_up(self, envelopes: Iterable[Envelope], lost: Iterable[str]) -> None:
        """What the process before this one left: paused runs, and the names of lost ones."""
        for envelope in envelopes:
            run = _from_envelope(envelope, None)
            run.state, run.envelope = State.PAUSED, envelope
            run.holder = envelope.holder
            self._runs[run.id] = run
        for name in lost:
            run = Run(name, f"sha256:{'0' * 64}", None, State.LOST, ended=now())
            run.error = "it was running when the process before this one ended"
            self._runs[name] = run

    # ---- carrying

    def _wanted(self, wish: Wish) -> Revision:
        if wish.content_digest is not None:
            return self.revisions.get(wish.content_digest)
        active = self.revisions.active
        if active is None:
            raise Problem(Code.NO_ACTIVE_REVISION, "no revision is active in this pod")
        return active

    def _room(self) -> None:
        working = sum(r.state in (State.RUNNING, State.PAUSING) for r in self._runs.values())
        if working >= self._settings.max_runs:
            raise Problem(Code.FULL, f"{working} runs are at work, as many as may be")

    def _add(self, run: Run) -> None:
        self._runs[run.id] = run
        over = [r.id for r in self._runs.values() if r.state.is_over]
        for old in over[: -self._settings.keep_finished]:
            del self._runs[old]

    def _env(self, run: Run, revision: Revision) -> Any:
        mounted = values(self._settings.mount, revision.content_digest, self._settings.env_folder)
        env = revision.ready.env(mounted)
        run.secrets = tuple(str(v.value) for v in env.values() if v.secret)
        return env

    def _launch(self, run: Run, execution: Execution) -> None:
        with self._lock:
            run.execution = execution
            if run.state is State.PAUSING:
                execution.pause(run.holder or ENGINE)
            if run.abort_reason is not None:
                execution.abort(run.abort_reason)
        name = f"run {run.id}"
        threading.Thread(target=self._carry, args=(run, execution), name=name, daemon=True).start()

    def _carry(self, run: Run, execution: Execution) -> None:
        """To the next stand. Events are taken to their end: before it there is no dump."""
        stood = Stood(State.FAILED, error="the engine ended without a word")
        try:
            for event in execution.events():
                if isinstance(event, Stood):
                    stood = event
                else:
                    self._note(run, event)
        except Exception as error:  # noqa: BLE001 - as above
            if stood.state is not State.FAILED:
                _LOG.error("the engine failed", exc_info=error)
            stood = Stood(State.FAILED, stood.outputs, stood.error or str(error))
        try:
            if stood.state is State.PAUSED and run.abort_reason is None:
                self._stand(run, execution, stood)
            else:
                self._end(run, stood)
        except Problem as problem:
            _LOG.warning("%s stays paused: %s", run.id, problem.message)
        except Exception as error:  # noqa: BLE001 - as above
            _LOG.error("%s could not be put away", run.id, exc_info=error)
            self._end(run, Stood(State.FAILED, error=str(error)))

    def _note(self, run: Run, event: Progress) -> None:
        with self._lock:
            if isinstance(event, NodeBegan):
                run.in_flight[event.key] = event.node
            if isinstance(event, NodeEnded):
                run.in_flight.pop(event.key, None)
                run.nodes_done += 1
                if event.failed:
                    self._metrics.node_failures.labels(event.kind).inc()

    def _stand(self, run: Run, execution: Execution, stood: Stood) -> None:
        """It is paused: sealed, or gone on with at once where somebody asked for that meanwhile."""
        text, version, names = execution.dump()
        with self._lock:
            holder = run.holder or ENGINE
            envelope = _sealed(run, holder, text, version, names)
        if self._folder:
            self._folder.put(envelope)
        with self._lock:
            run.in_flight.clear()
            run.execution = None
            run.envelope, run.state, run.outputs = envelope, State.PAUSED, stood.outputs
            if run.pause_requested is not None:
                waited = (now() - run.pause_requested).total_seconds()
                self._metrics.pause_seconds.observe(waited)
            going_on, ended = run.go_on and not self.ending, run.abort_reason
            if going_on:
                self._claim(run, envelope, run.resumed_for or holder)
        if ended is not None:
            self._end(run, Stood(State.STOPPED, error=ended))
        elif going_on:
            assert run.revision is not None  # noqa: S101 - it was running on it
            self._revive(run, run.revision, envelope)

    def _end(self, run: Run, stood: Stood) -> None:
        with self._lock:
            state = State.STOPPED if run.abort_reason is not None else stood.state
            if run.state.is_over:
                return
            run.state, run.ended, run.outputs = state, now(), stood.outputs
            run.holder = run.envelope = run.execution = None
            run.in_flight.clear()
            said = run.abort_reason or stood.error
            run.error = redact(said, run.secrets) if said and state is not State.SUCCEEDED else None
            label = run.revision.label if run.revision else "unknown"
            self._metrics.runs.labels(label, run.state.value).inc()
            self._metrics.run_seconds.observe((run.ended - run.started).total_seconds())
        if self._folder:
            self._folder.unmark(run.id)
            self._folder.drop(run.id)
        run.settled.set_result(run)


def _held_by(run: Run, holder: str) -> None:
    if run.holder not in (holder, ENGINE):
        message = f"{run.holder} paused {run.id}"
        raise Problem(Code.HELD_BY_OTHER, message, {"holder": run.holder})


def _not_paused(run: Run) -> Problem:
    message = f"{run.id} is {run.state.value}"
    return Problem(Code.NOT_PAUSED, message, {"status": run.state.value})


def _from_envelope(envelope: Envelope, revision: Revision | None) -> Run:
    return Run(
        envelope.runId,
        envelope.contentDigest,
        revision,
        started=datetime.fromisoformat(envelope.startedAt),
        name=envelope.revision,
        nodes_done=envelope.nodesDone,
    )


def _sealed(run: Run, holder: str, text: str, version: str, names: list[str]) -> Envelope:
    return seal(
        {
            "schema": 1,
            "runId": run.id,
            "revision": run.revision.name if run.revision else run.name,
            "contentDigest": run.content_digest,
            "engine": engine.NAME,
            "engineVersion": engine.VERSION,
            "snapshotVersion": version,
            "startedAt": told(run.started),
            "pausedAt": told(now()),
            "holder": holder,
            "nodesDone": run.nodes_done,
            "redactedEnv": names,
            "state": text,
        }
    )
