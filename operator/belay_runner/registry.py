"""What may be asked of the runs of this process. Every method may be called from any thread."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from belay_runner.carrying import Carrier
from belay_runner.envelopes import Envelope, Folder
from belay_runner.feed import Feed
from belay_runner.inputs import checked
from belay_runner.origin import Origin
from belay_runner.problems import Code, Problem
from belay_runner.progress import State, Stood
from belay_runner.revisions import Revision, Revisions
from belay_runner.run import ENGINE, Run, from_envelope, new_id, now
from belay_runner.store import AT_WORK, Runs

_NO_DIGEST: Final = f"sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class Wish:
    """A new run, as it was asked for. A trial may come while intake is closed."""

    inputs: Mapping[str, Any]
    user: str = "belay"
    id: str | None = None
    content_digest: str | None = None
    trial: bool = False
    feed: Feed | None = None
    """Whoever reads along from the beginning."""


class Registry:
    """Taking runs in, looking at them, pausing them, letting them go."""

    def __init__(
        self,
        runs: Runs,
        carrier: Carrier,
        revisions: Revisions,
        folder: Folder | None,
        max_envelope: int,
    ) -> None:
        self._runs, self._carrier, self._revisions = runs, carrier, revisions
        self._folder, self._max_envelope = folder, max_envelope

    @property
    def ending(self) -> bool:
        return self._runs.ending

    @property
    def holders(self) -> list[str]:
        """Who closes intake; it is open where there is nobody."""
        with self._runs.lock:
            return sorted(self._runs.closed_by)

    def set_intake(self, holder: str, *, closed: bool) -> None:
        with self._runs.lock:
            (self._runs.closed_by.add if closed else self._runs.closed_by.discard)(holder)

    def start(self, wish: Wish) -> Run:
        """Take a new run in, or give the one that has this id already."""
        revision = self._wanted(wish)
        inputs = checked(revision.ready.inputs, wish.inputs)
        with self._runs.lock:
            if wish.id in self._runs.known or wish.id in self._runs.handed_over:
                return _read_along(self.get(str(wish.id)), wish)
            if self._runs.ending or (self._runs.closed_by and not wish.trial):
                raise Problem(Code.DRAINING, "intake is closed: runs are being paused or moved")
            run = Run(wish.id or new_id(), revision.content_digest, revision)
            run.origin = begun = Origin(wish.inputs, wish.user)
            self._runs.add(_read_along(run, wish))
        try:
            env = self._carrier.env(run, revision)
            system = begun.system(run.id, run.content_digest)
            execution = revision.ready.start(system, inputs, env)
        except Exception as error:  # noqa: BLE001 - what the engine raises is the run's end
            self._carrier.end(run, Stood(State.FAILED, error=str(error)))
            return run
        self._carrier.launch(run, execution)
        return run

    def get(self, run: str) -> Run:
        """Raises `runUnknown`, `alreadyElsewhere`."""
        return self._runs.get(run)

    def all(self) -> list[Run]:
        """In the order of their ids."""
        return self._runs.all()

    def envelope(self, run: Run) -> Envelope:
        """Raises `notPaused`, `envelopeTooLarge`."""
        with self._runs.lock:
            envelope = run.envelope
            if run.state is not State.PAUSED or envelope is None:
                raise run.not_paused
            size = len(envelope.state) + len(envelope.start)
            if size > self._max_envelope:
                message = f"{run.id} has {size} bytes of state, more than may leave"
                raise Problem(Code.ENVELOPE_TOO_LARGE, message, {"bytes": size})
            run.fetched = True
            return envelope

    def pause_all(
        self, holder: str, content_digest: str | None = None, *, close_intake: bool = False
    ) -> tuple[list[str], list[str]]:
        """(runs that pause for this holder, runs that pause for another one)."""
        with self._runs.lock:
            if close_intake:
                self._runs.closed_by.add(holder)
            concerned = [
                run
                for run in self._runs.all()
                if not run.state.is_over and content_digest in (None, run.content_digest)
            ]
            for run in concerned:
                _ask_to_pause(run, holder)
            ours = [run.id for run in concerned if run.holder == holder]
            return ours, [run.id for run in concerned if run.holder != holder]

    def pause(self, run: Run, holder: str) -> None:
        """Raises `alreadyFinished`, `heldByOther`."""
        with self._runs.lock:
            if run.state.is_over:
                details = {"status": run.state.value}
                raise Problem(Code.ALREADY_FINISHED, f"{run.id} is over", details)
            _ask_to_pause(run, holder)
            run.held_by(holder)

    def hand_over(self, run_id: str, holder: str, sha256: str) -> None:
        """Forget a paused run, whose envelope is safe elsewhere."""
        with self._runs.lock:
            if self._runs.handed_over.get(run_id) == sha256:
                return
            run = self.get(run_id)
            if run.state is not State.PAUSED or run.envelope is None:
                raise run.not_paused
            run.held_by(holder)
            if run.envelope.sha256 != sha256:
                message = f"the envelope of {run_id} is another one now"
                raise Problem(Code.ENVELOPE_DIFFERS, message, {"sha256": run.envelope.sha256})
            del self._runs.known[run_id]
            self._runs.handed_over[run_id] = sha256
        if self._folder:
            self._folder.drop(run_id)
        run.settled.set_result(run)

    def abort(self, run: Run, reason: str) -> None:
        """A paused run ends at once; one at work when its engine has stopped."""
        with self._runs.lock:
            if run.state.is_over:
                return
            run.abort_reason, run.go_on = reason, False
            if run.state is not State.PAUSED:
                if run.execution is not None:
                    run.execution.abort(reason)
                return
        self._carrier.end(run, Stood(State.STOPPED))

    def end(self) -> None:
        """Take nothing in any more, and pause what is there."""
        with self._runs.lock:
            self._runs.ending = True
            self.pause_all(ENGINE, close_intake=True)

    def left(self) -> tuple[list[str], list[str]]:
        """(runs still at work, paused runs whose envelope is nowhere but here)."""
        with self._runs.lock:
            at_work = [run.id for run in self.all() if run.state in AT_WORK]
            paused = [run for run in self.all() if run.state is State.PAUSED]
            unsafe = [] if self._folder else [run.id for run in paused if not run.fetched]
            return at_work, unsafe

    def settle(self) -> None:
        """Let go whoever waits for a run that will not end in this process."""
        for run in self.all():
            if run.state is State.PAUSED and not run.settled.done():
                run.settled.set_result(run)

    def take_up(self, envelopes: Iterable[Envelope], lost: Iterable[str]) -> None:
        """What the process before this one left: paused runs, and the names of lost ones."""
        for envelope in envelopes:
            run = from_envelope(envelope, None)
            run.state, run.envelope, run.holder = State.PAUSED, envelope, envelope.holder
            self._runs.known[run.id] = run
        for name in lost:
            run = Run(name, _NO_DIGEST, None, State.LOST, ended=now())
            run.error = "it was running when the process before this one ended"
            run.settled.set_result(run)
            self._runs.known[name] = run

    def _wanted(self, wish: Wish) -> Revision:
        if wish.content_digest is not None:
            return self._revisions.get(wish.content_digest)
        active = self._revisions.active
        if active is None:
            raise Problem(Code.NO_ACTIVE_REVISION, "no revision is active in this pod")
        return active


def _read_along(run: Run, wish: Wish) -> Run:
    """Under the lock."""
    if wish.feed is not None:
        run.feeds.append(wish.feed)
    return run


def _ask_to_pause(run: Run, holder: str) -> None:
    """Under the lock. A run that was to go on as soon as it stands stays where it stands."""
    if run.state is State.PAUSING and run.go_on:
        run.go_on, run.holder, run.resumed_for, run.anew = False, holder, None, None
    if run.state is not State.RUNNING:
        return
    run.state, run.holder, run.pause_requested = State.PAUSING, holder, now()
    run.resumed_for = None
    if run.execution is not None:
        run.execution.pause(holder)
