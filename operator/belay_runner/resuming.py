"""Going on with paused runs, each of them once: by a claim of run id and envelope."""

from belay_runner import engine
from belay_runner.carrying import Carrier
from belay_runner.envelopes import Envelope, opened
from belay_runner.problems import Code, Problem
from belay_runner.progress import State
from belay_runner.revisions import Revision, Revisions
from belay_runner.run import ENGINE, Run, from_envelope
from belay_runner.store import Runs


class Resuming:
    """Both ways back: a run of this pod by its id, a run of any pod by its envelope."""

    def __init__(self, runs: Runs, carrier: Carrier, revisions: Revisions) -> None:
        self._runs, self._carrier, self._revisions = runs, carrier, revisions

    def by_id(self, run: Run, holder: str) -> bool:
        """Go on with a run of this pod; whether that is new. Raises `notPaused`, `heldByOther`."""
        with self._runs.lock:
            if run.resumed_for == holder:
                return False
            if run.state not in (State.PAUSED, State.PAUSING):
                raise run.not_paused
            run.held_by(holder)
            if self._runs.ending:
                raise Problem(Code.DRAINING, "this process ends")
            if run.state is State.PAUSING:
                run.go_on, run.resumed_for = True, holder
                return True
            revision, envelope = run.revision or self._fitting(run.content_digest), run.envelope
            if revision is None or envelope is None:
                raise self._mismatch(run.content_digest)
            self._runs.add(run)
            self._carrier.claim(run, envelope, holder)
        self._carrier.revive(run, revision, envelope)
        return True

    def by_envelope(
        self, envelope: Envelope, holder: str, *, allow_migration: bool
    ) -> tuple[Run, bool]:
        """(run, whether that is new). Raises what the contract says."""
        opened(envelope)
        if envelope.engine != engine.NAME:
            raise Problem(Code.STATE_REJECTED, f"the envelope is of the engine {envelope.engine}")
        with self._runs.lock:
            known = self._runs.known.get(envelope.runId)
            if known is not None and envelope.sha256 in known.claims:
                return known, False
            is_here = known is not None and known.state is not State.LOST
            if not is_here:
                revision = self._welcome(envelope, holder, allow_migration=allow_migration)
                run = from_envelope(envelope, revision)
                self._runs.add(run)
                self._carrier.claim(run, envelope, holder)
        if known is not None and is_here:
            if known.envelope is None or known.envelope.sha256 != envelope.sha256:
                raise known.not_paused
            return known, self.by_id(known, holder)
        try:
            self._carrier.revive(run, revision, envelope)
        except Problem as problem:
            with self._runs.lock:
                del self._runs.known[run.id]
            if revision.content_digest != envelope.contentDigest:
                raise self._mismatch(envelope.contentDigest, problem.message) from problem
            raise
        return run, True

    def _welcome(self, envelope: Envelope, holder: str, *, allow_migration: bool) -> Revision:
        """What a run that comes from elsewhere runs on here, if it may come."""
        if self._runs.handed_over.get(envelope.runId) == envelope.sha256:
            message = f"{envelope.runId} was handed over with this envelope"
            raise Problem(Code.ALREADY_ELSEWHERE, message)
        if envelope.holder not in (holder, ENGINE):
            message = f"{envelope.holder} paused {envelope.runId}"
            raise Problem(Code.HELD_BY_OTHER, message, {"holder": envelope.holder})
        if self._runs.ending:
            raise Problem(Code.DRAINING, "this process ends")
        revision = self._fitting(envelope.contentDigest)
        if revision is None and allow_migration:
            revision = self._revisions.active
        if revision is None:
            raise self._mismatch(envelope.contentDigest)
        return revision

    def _fitting(self, content_digest: str) -> Revision | None:
        known = {r.content_digest: r for r in self._revisions.all() if r.definition}
        return known.get(content_digest)

    def _mismatch(self, content_digest: str, why: str = "") -> Problem:
        known = [r.content_digest for r in self._revisions.all() if r.definition]
        message = why or f"{content_digest} is not known here: validate it first"
        return Problem(Code.REVISION_MISMATCH, message, {"contentDigests": known})
