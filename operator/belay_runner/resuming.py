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

    def by_id(self, run: Run, holder: str, *, anew: bool = False) -> bool:
        """Go on with a run of this pod, or begin it anew; whether that is a new wish.

        Raises `notPaused`, `heldByOther`, `restartRejected`.
        """
        with self._runs.lock:
            if run.resumed_for == holder:
                return False
            if run.state not in (State.PAUSED, State.PAUSING):
                raise run.not_paused
            run.held_by(holder)
            if self._runs.ending:
                raise Problem(Code.DRAINING, "this process ends")
            fresh = self._fresh(run) if anew else None
            if run.state is State.PAUSING:
                run.go_on, run.resumed_for, run.anew = True, holder, fresh
                return True
            revision = fresh or run.revision or self._fitting(run.content_digest)
            envelope = run.envelope
            if revision is None or envelope is None:
                raise self._mismatch(run.content_digest)
            self._runs.add(run)
            self._carrier.claim(run, envelope, holder)
        (self._carrier.renew if anew else self._carrier.revive)(run, revision, envelope)
        return True

    def by_envelope(
        self, envelope: Envelope, holder: str, *, allow_migration: bool, anew: bool = False
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
                self._may_come(envelope, holder)
                run = from_envelope(envelope, None)
                revision = (
                    self._fresh(run) if anew else self._own(envelope, migrated=allow_migration)
                )
                run.revision = revision
                self._runs.add(run)
                self._carrier.claim(run, envelope, holder)
        if known is not None and is_here:
            if known.envelope is None or known.envelope.sha256 != envelope.sha256:
                raise known.not_paused
            return known, self.by_id(known, holder, anew=anew)
        try:
            (self._carrier.renew if anew else self._carrier.revive)(run, revision, envelope)
        except Problem as problem:
            with self._runs.lock:
                del self._runs.known[run.id]
            if not anew and revision.content_digest != envelope.contentDigest:
                raise self._mismatch(envelope.contentDigest, problem.message) from problem
            raise
        return run, True

    def _may_come(self, envelope: Envelope, holder: str) -> None:
        """Whether a run from elsewhere is welcome."""
        if self._runs.handed_over.get(envelope.runId) == envelope.sha256:
            message = f"{envelope.runId} was handed over with this envelope"
            raise Problem(Code.ALREADY_ELSEWHERE, message)
        if envelope.holder not in (holder, ENGINE):
            message = f"{envelope.holder} paused {envelope.runId}"
            raise Problem(Code.HELD_BY_OTHER, message, {"holder": envelope.holder})
        if self._runs.ending:
            raise Problem(Code.DRAINING, "this process ends")

    def _fresh(self, run: Run) -> Revision:
        """What a run begins anew on, if that takes its inputs."""
        active = self._revisions.active
        if active is None:
            raise Problem(Code.NO_ACTIVE_REVISION, "no revision is active in this pod")
        run.begun.fitting(active.ready)
        return active

    def _own(self, envelope: Envelope, *, migrated: bool) -> Revision:
        """What a run from elsewhere goes on with."""
        revision = self._fitting(envelope.contentDigest)
        if revision is None and migrated:
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
