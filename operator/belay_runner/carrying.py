"""Runs at work: each in a thread of its own, from where it begins to where it stands."""

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace

from belay_runner.engine import Execution, Rejected, Variable
from belay_runner.envelopes import Envelope, Folder
from belay_runner.metrics import Metrics
from belay_runner.mounted import values
from belay_runner.problems import Code, Problem
from belay_runner.progress import NodeBegan, NodeEnded, Progress, State, Stood
from belay_runner.redaction import redact
from belay_runner.revisions import Revision
from belay_runner.run import ENGINE, Run, now
from belay_runner.settings import Settings
from belay_runner.store import Runs

_LOG = logging.getLogger(__name__)


class Carrier:
    """Carries runs to their next stand, and puts them away there."""

    def __init__(
        self, settings: Settings, metrics: Metrics, runs: Runs, folder: Folder | None
    ) -> None:
        self._settings, self._metrics, self._runs = settings, metrics, runs
        self._folder = folder

    def env(self, run: Run, revision: Revision) -> Mapping[str, Variable]:
        """Values of env for this run, as they are mounted now."""
        settings = self._settings
        mounted = values(settings.mount, revision.content_digest, settings.env_folder)
        env = revision.ready.env(mounted)
        run.secrets = tuple(str(v.value) for v in env.values() if v.secret)
        return env

    def launch(self, run: Run, execution: Execution) -> None:
        """Begin or go on. What was asked of the run meanwhile is asked of its engine now."""
        if self._folder:
            self._folder.mark(run.id)
            self._folder.drop(run.id)
        with self._runs.lock:
            run.execution = execution
            if run.state is State.PAUSING:
                execution.pause(run.holder or ENGINE)
            if run.abort_reason is not None:
                execution.abort(run.abort_reason)
        name = f"run {run.id}"
        threading.Thread(target=self._carry, args=(run, execution), name=name, daemon=True).start()

    def claim(self, run: Run, envelope: Envelope, holder: str) -> None:
        """From here on a second resume of this envelope is this run. Under the lock."""
        run.claims.add(envelope.sha256)
        run.state, run.resumed_for = State.RUNNING, holder
        run.holder = run.pause_requested = run.envelope = None
        run.fetched = run.go_on = False

    def renew(self, run: Run, revision: Revision, envelope: Envelope) -> None:
        """Begin a claimed run anew on this revision; where that fails it is paused as before."""
        try:
            execution = self._begun(run, revision)
        except Exception as error:
            self._as_before(run, envelope)
            why = error.message if isinstance(error, Problem) else str(error)
            message = f"{run.id} cannot begin anew: {redact(why, run.secrets)}"
            raise Problem(Code.RESTART_REJECTED, message) from error
        run.nodes_done = 0
        run.content_digest, run.revision = revision.content_digest, revision
        self.launch(run, execution)

    def _begun(self, run: Run, revision: Revision) -> Execution:
        env = self.env(run, revision)
        inputs = run.begun.fitting(revision.ready)
        system = run.begun.system(run.id, revision.content_digest)
        return revision.ready.start(system, inputs, env)

    def revive(self, run: Run, revision: Revision, envelope: Envelope) -> None:
        """Build a claimed run again from its envelope; where that fails it is paused as before."""
        try:
            env = self.env(run, revision)
            execution = revision.ready.resume(envelope.state, env, run.id)
        except (Rejected, Problem) as error:
            self._as_before(run, envelope)
            versions = {"engineVersion": envelope.engineVersion}
            versions["snapshotVersion"] = envelope.snapshotVersion
            message = f"{run.id} cannot be resumed: {redact(str(error), run.secrets)}"
            raise Problem(Code.STATE_REJECTED, message, versions) from error
        run.content_digest, run.revision = revision.content_digest, revision
        self.launch(run, execution)

    def _as_before(self, run: Run, envelope: Envelope) -> None:
        with self._runs.lock:
            run.claims.discard(envelope.sha256)
            run.state, run.envelope, run.holder = State.PAUSED, envelope, envelope.holder
            run.resumed_for = None

    def end(self, run: Run, stood: Stood) -> None:
        """It is over."""
        with self._runs.lock:
            if run.state.is_over:
                return
            run.state = State.STOPPED if run.abort_reason is not None else stood.state
            run.ended, run.outputs = now(), stood.outputs
            run.tokens = stood.tokens
            run.holder = run.envelope = run.execution = run.origin = None
            run.in_flight.clear()
            said = run.abort_reason or stood.error
            run.error = redact(said, run.secrets) if said else None
            label = run.revision.label if run.revision else "unknown"
            self._metrics.runs.labels(label, run.state.value).inc()
            self._metrics.run_seconds.observe((run.ended - run.started).total_seconds())
        if self._folder:
            self._folder.unmark(run.id)
            self._folder.drop(run.id)
        run.settled.set_result(run)

    def _carry(self, run: Run, execution: Execution) -> None:
        """Events are taken to their end, also after "paused": before it there is no dump."""
        stood = Stood(State.FAILED, error="the engine ended without a word")
        try:
            for event in execution.events():
                if isinstance(event, Stood):
                    stood = event
                else:
                    self._note(run, event)
        except Exception as error:  # noqa: BLE001 - whatever the engine raises ends this run alone
            stood = Stood(State.FAILED, stood.outputs, str(error))
        try:
            if stood.state is State.PAUSED and run.abort_reason is None:
                self._stand(run, execution, stood)
            else:
                self.end(run, stood)
        except Problem as problem:
            _LOG.warning("%s stays paused: %s", run.id, problem.message)
        except Exception as error:  # noqa: BLE001 - as above
            _LOG.error("%s could not be put away", run.id, exc_info=error)
            self.end(run, Stood(State.FAILED, error=str(error)))

    def _note(self, run: Run, event: Progress) -> None:
        with self._runs.lock:
            if isinstance(event, NodeBegan):
                run.in_flight[event.key] = event.node
            if isinstance(event, NodeEnded):
                run.in_flight.pop(event.key, None)
                run.nodes_done += 1
                if event.failed:
                    self._metrics.node_failures.labels(event.kind).inc()
                error = redact(event.error, run.secrets) if event.error else None
                event = replace(event, error=error)
            for feed in tuple(run.feeds):
                feed.put(event)

    def _stand(self, run: Run, execution: Execution, stood: Stood) -> None:
        """It is paused: sealed, or gone on with at once where somebody asked for that meanwhile."""
        envelope = self._kept(run, execution.dump())
        with self._runs.lock:
            run.in_flight.clear()
            run.execution = None
            run.envelope, run.state, run.outputs = envelope, State.PAUSED, stood.outputs
            if run.pause_requested is not None:
                waited = (now() - run.pause_requested).total_seconds()
                self._metrics.pause_seconds.observe(waited)
            goes_on, anew = run.go_on and not self._runs.ending, run.anew
            run.anew = None
            if goes_on:
                self.claim(run, envelope, run.resumed_for or envelope.holder)
        if run.abort_reason is not None:
            self.end(run, Stood(State.STOPPED))
        elif goes_on and anew is not None:
            self.renew(run, anew, envelope)
        elif goes_on and run.revision is not None:
            self.revive(run, run.revision, envelope)

    def _kept(self, run: Run, dump: tuple[str, str, list[str]]) -> Envelope:
        """The envelope, safe on the volume if there is one before anybody can see it."""
        while True:
            holder = run.holder or ENGINE
            envelope = run.sealed(holder, dump)
            if self._folder:
                self._folder.put(envelope)
            if (run.holder or ENGINE) == holder:
                return envelope
