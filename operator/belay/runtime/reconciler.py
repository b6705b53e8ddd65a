"""One turn over one Workflow: observe, decide, act, write, until there is nothing left to do."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import ValidationError

from belay.api.names import API_VERSION, MANAGER_STATUS
from belay.api.status import Rollout, WorkflowStatus
from belay.api.words import Outcome, Phase
from belay.api.workflow import WorkflowSpec
from belay.core import milestones
from belay.core.decide import decide, under_way
from belay.core.decision import Decision
from belay.core.evidence.reports import REPORT
from belay.core.keys import Key
from belay.core.observed import KnownRevision, Observed
from belay.runtime.leader import Parts
from belay.runtime.queue import Priority
from belay.runtime.refusals import Cause, Refusals
from belay.shell.act import Senses, act
from belay.shell.errors import Conflict
from belay.shell.garbage import Garbage
from belay.shell.observe import Allowed, Observer, Watched
from belay.shell.recorder import Recorder
from belay.shell.resources import WORKFLOWS, WORKLOADS, Object
from belay.shell.revisions import RevisionCache
from belay.shell.turn import Turn, wish_of

log = logging.getLogger(__name__)

MOST_STEPS: Final = 24
"""Steps in one turn; a rollout takes fewer, so more are a mistake of ours and wait a moment."""
PAUSE: Final = 1.0
STILL_NEWS: Final = timedelta(minutes=10)
"""How old an outcome may be to be told again after a restart."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The phase that this process looks at, and since when."""

    at: str
    phase: Phase
    since: datetime


def _now() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """The machine's one moving part: `reconcile` is called by the workers, key by key."""

    def __init__(
        self,
        parts: Parts,
        senses: Senses,
        recorder: Recorder,
        *,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._now = now
        self._parts = parts
        self._senses = senses
        self._recorder = recorder
        self._looks: dict[Key, _Look] = {}
        self._versions: dict[Key, str] = {}
        self._heard: dict[Key, str] = {}
        """Of Workflows whose status is being written, the version of the latest event since."""
        self._refusals = Refusals(now)
        self._garbage = Garbage(now, lambda: parts.queue.pressed)
        self._observer = Observer(
            RevisionCache(),
            self._garbage,
            self._watched,
            Allowed(
                mounts=parts.config.mount_paths,
                host_network=parts.config.allow_host_network,
                kinds=frozenset(parts.config.target_kinds),
                instance_kinds=parts.config.instance_kinds,
            ),
            senses.engines,
        )

    async def reconcile(self, key: Key) -> float | None:
        """One turn; seconds until the next look, or None where an event will call for it."""
        turn = Turn(self._parts.cluster, key)
        if key in self._refusals:
            left = self._refusals.wait(key, await self._cause(turn))
            if left is not None:
                self._versions[key] = await turn.version()
                return left
        for _ in range(MOST_STEPS):
            seen = await self._observe(turn)
            if seen is None:
                self.forget(key)
                return None
            decision = decide(seen, self._now())
            turn.failure = None
            if not await self._carry_out(turn, seen, decision):
                continue
            if not decision.again:
                self._versions[key] = await turn.version()
                await self._note_refusal(turn)
                if self._garbage.put_off(key):
                    self._parts.queue.add(key, Priority.RESYNC)
                return self._wait(key, seen, decision)
        log.warning("a turn took more than %d steps", MOST_STEPS, extra={"workflow": str(key)})
        return PAUSE

    def knows(self, key: Key, resource_version: str) -> bool:
        """Whether a turn goes on from this very version, or ended on it: its event is no news."""
        if key in self._heard:
            self._heard[key] = resource_version
            return True
        return self._versions.get(key) == resource_version

    def urgency(self, key: Key) -> Priority:
        """Reverts, and what is about to become one, go before rollouts."""
        tallies = self._senses.prober.tallies(key)
        failing = any(tally.fails for tally in tallies if tally.check != REPORT)
        look = self._looks.get(key)
        reverting = look is not None and look.phase is Phase.REVERTING
        return Priority.REVERT if failing or reverting else Priority.MOVING

    def forget(self, key: Key) -> None:
        """The Workflow is gone: nothing of it stays in this process."""
        self._senses.prober.forget(key)
        self._parts.targets.unfollow(key)
        self._parts.metrics.state.drop(key)
        self._looks.pop(key, None)
        self._versions.pop(key, None)
        self._refusals.forget(key)
        self._garbage.forget(key)

    async def close(self) -> None:
        await self._senses.close()
        await self._recorder.close()

    async def _note_refusal(self, turn: Turn) -> None:
        raw = await turn.get(WORKFLOWS, turn.key.name)
        status = (raw or {}).get("status") or {}
        restored = "endedAt" in status.get("restore", {"endedAt": None})
        if status.get("phase") == Outcome.REFUSED and restored:
            self._refusals.note(turn.key, await self._cause(turn))
        else:
            self._refusals.forget(turn.key)

    async def _cause(self, turn: Turn) -> Cause:
        """All of a refused Workflow that the refusal rests on, as far as it is told by events."""
        raw = await turn.get(WORKFLOWS, turn.key.name)
        if raw is None:
            return ()
        wanted = self._parts.revisions.known(turn.key).get(raw["spec"]["activeRevision"])
        versions = []
        for one in WorkflowSpec.model_validate(raw["spec"]).target.workloads:
            found = await turn.get(WORKLOADS[one.api_version, one.kind], one.name)
            versions.append(found and found["metadata"]["resourceVersion"])
        return (*wish_of(raw), wanted and wanted.uid, *versions)

    async def _observe(self, turn: Turn) -> Observed | None:
        try:
            seen = await self._observer.observe(turn)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            log.error(  # noqa: TRY400
                "no valid Workflow: %s: %s", place, first["msg"], extra={"workflow": str(turn.key)}
            )
            return None
        if seen is not None:
            self._note(seen)
        return seen

    def _note(self, seen: Observed) -> None:
        """What the metrics and the events of this process do not know yet."""
        self._parts.metrics.state.put(seen.key, seen.spec.active_revision, seen.status)
        if seen.spec.instances is not None:
            self._parts.names_instances()
        told = milestones.known(seen.status, self._now() - STILL_NEWS)
        self._recorder.tell(seen.key, seen.uid, told)

    async def _carry_out(self, turn: Turn, seen: Observed, decision: Decision) -> bool:
        """False where an action was refused, so that nothing was written and `decide` goes on."""
        self._senses.prober.pursue(seen.key, decision.probes)
        for action in decision.actions:
            log.info("%s", action.told, extra=_fields(seen.key, under_way(seen)))
        turn.failure = await act(turn, decision.actions, self._senses)
        if turn.failure is not None:
            log.warning(
                "refused: %s", turn.failure.message, extra=_fields(seen.key, under_way(seen))
            )
            return False
        if decision.status is not None:
            await self._write(turn, seen, decision.status)
        self._recorder.tell(seen.key, seen.uid, decision.milestones)
        return True

    async def _write(self, turn: Turn, seen: Observed, status: WorkflowStatus) -> None:
        """The whole status, on the very object that was read: a newer wish makes it a Conflict.

        What bears on no decision, such as a foreign annotation, does not hold it up.
        """
        raw = await turn.get(WORKFLOWS, seen.key.name)
        while raw is not None:
            try:
                answer = await self._apply(turn, raw, status)
            except Conflict:
                turn.forget(WORKFLOWS, seen.key.name)
                newer = await turn.get(WORKFLOWS, seen.key.name)
                if newer is None or wish_of(newer) != wish_of(raw):
                    raise
                raw = newer
            else:
                turn.put(WORKFLOWS, answer)
                break
        self._parts.metrics.state.put(seen.key, seen.spec.active_revision, status)
        self._tell(seen, status)
        before = under_way(seen)
        ended = status.rollout
        if before is not None and ended is not None and ended.outcome is not None:
            self._measure(ended, ended.outcome)

    async def _apply(self, turn: Turn, raw: Object, status: WorkflowStatus) -> Object:
        """Write; the event of this very write may come before its answer, and is no news."""
        written = "0"
        self._heard[turn.key] = "0"
        try:
            answer = await turn.cluster.apply(
                WORKFLOWS,
                _status_body(turn.key, raw, status),
                manager=MANAGER_STATUS,
                subresource="status",
                force=True,
            )
            written = self._versions[turn.key] = answer["metadata"]["resourceVersion"]
        finally:
            if int(self._heard.pop(turn.key, "0")) > int(written):
                self._parts.queue.add(turn.key, Priority.NEW)
        return answer

    def _tell(self, seen: Observed, status: WorkflowStatus) -> None:
        if status.phase == seen.status.phase:
            return
        ready = next((c for c in status.conditions if c.type == "Ready"), None)
        extra = _fields(seen.key, status.rollout) | {
            "phase": status.phase,
            "reason": ready.reason if ready else "",
        }
        log.info("%s: %s", status.phase, ready.message if ready else "", extra=extra)

    def _measure(self, rollout: Rollout, outcome: Outcome) -> None:
        ended = rollout.ended_at or rollout.phase_started_at
        parts = {"total": ended - rollout.started_at}
        if rollout.activated_at is not None:
            parts["activation"] = rollout.activated_at - rollout.started_at
        for part, took in parts.items():
            self._parts.metrics.rollout_part(outcome, part, took.total_seconds())

    def _wait(self, key: Key, seen: Observed, decision: Decision) -> float | None:
        if decision.follow:
            wanted = seen.spec.target.workloads
            workloads = frozenset((WORKLOADS[w.api_version, w.kind], w.name) for w in wanted)
            self._parts.targets.follow(key, key.namespace, workloads)
        else:
            self._parts.targets.unfollow(key)
        return decision.requeue.total_seconds() if decision.requeue is not None else None

    def _watched(self, key: Key, status: WorkflowStatus) -> Watched:
        prober = self._senses.prober
        known = tuple(
            KnownRevision(name, meta.uid, meta.managed, meta.created)
            for name, meta in sorted(self._parts.revisions.known(key).items())
        )
        return Watched(
            known=known,
            known_complete=self._parts.revisions.listed.is_set(),
            tallies=prober.tallies(key),
            session=prober.session(key) or "",
            lost_contact=prober.lost_contact,
            looking_since=self._look(key, status),
        )

    def _look(self, key: Key, status: WorkflowStatus) -> datetime | None:
        rollout = status.rollout
        if rollout is None or rollout.outcome is not None:
            self._looks.pop(key, None)
            return None
        back = self._senses.prober.times_back
        at = f"{rollout.id}/{rollout.phase}/{rollout.suspended_at}/{back}"
        look = self._looks.get(key)
        if look is None or look.at != at:
            look = self._looks[key] = _Look(at, rollout.phase, self._now())
        return look.since


def _status_body(key: Key, raw: Object, status: WorkflowStatus) -> Object:
    metadata = raw["metadata"]
    return {
        "apiVersion": API_VERSION,
        "kind": "Workflow",
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "status": status.to_api(defaults=False),
    }


def _fields(key: Key, rollout: Rollout | None) -> dict[str, str]:
    return {"workflow": str(key), "rollout": rollout.id if rollout else ""}
