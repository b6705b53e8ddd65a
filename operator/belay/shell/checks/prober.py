"""The prober: asks what is planned, again and again, and keeps the tallies.

Everything here is lost with the process, and may be: fresh evidence is gathered anew.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from belay.api.words import Verdict
from belay.core.evidence.contact import LostContact
from belay.core.evidence.probe import Answer, Probe, ProbePlan, Sample, Tally, judge
from belay.core.keys import Key
from belay.shell.checks.contact import Contact
from belay.shell.checks.turns import Turns

ANSWERED_LATELY: Final = 10.0
"""Seconds for which a right answer of one probe makes the silence of another count."""
EAGER_PAUSE: Final = 0.005
"""Seconds after the first wrong answer of an eager probe; each further pause is twice as long."""
WAKE_AFTER: Final = 0.001
"""Seconds in which changes of one Workflow become one wake-up."""

Asker = Callable[[Probe], Awaitable[Sample]]
OnSample = Callable[[str, Verdict], None]

_log = logging.getLogger(__name__)
_Identity = tuple[str, str]
"""Name of the check and UID of the pod."""


@dataclass(slots=True)
class _Asking:
    """A probe that is being asked."""

    probe: Probe
    tally: Tally
    silent_since: float | None = None
    """When the first request was sent of those in a row that found no answer."""
    task: asyncio.Task[None] | None = None
    """None while it waits for the report of its pod."""

    @property
    def decided(self) -> Verdict | None:
        """Pass or Fail once the answers in a row are enough for it."""
        if self.tally.passes >= self.probe.check.success_threshold:
            return Verdict.PASS
        if self.tally.fails >= self.probe.check.failure_threshold:
            return Verdict.FAIL
        return None

    @property
    def right(self) -> bool:
        """Whether the latest answer that counts was right."""
        return self.tally.passes > 0

    def hear(self, sample: Sample, asked_at: float) -> None:
        """Note since when there is silence.

        An answer that another probe got before that says nothing about our network since.
        """
        if sample.answer is not Answer.NONE:
            self.silent_since = None
        elif self.silent_since is None:
            self.silent_since = asked_at

    def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()


@dataclass(slots=True)
class _Session:
    """What is asked for one Workflow in one phase."""

    name: str
    started_at: datetime
    turns: Turns
    slow: Turns
    """For what takes minutes, so that the others need not wait for it."""
    asking: dict[_Identity, _Asking] = field(default_factory=dict)
    waking: asyncio.TimerHandle | None = None

    def is_news(self, before: Verdict | None, verdict: Verdict | None) -> bool:
        """Whether a verdict that changed may decide: a Pass does not while others have none."""
        if (before, verdict) != (None, Verdict.PASS):
            return before is not verdict
        return all(asking.decided is not None for asking in self.asking.values())

    def stop(self) -> None:
        self.turns.close()
        self.slow.close()
        if self.waking is not None:
            self.waking.cancel()
        for asking in self.asking.values():
            asking.stop()


class _LastRight:
    """When right answers came last: of the latest probe, and of the latest other than that."""

    def __init__(self) -> None:
        self._latest: tuple[_Identity, float] | None = None
        self._before: tuple[_Identity, float] | None = None

    def note(self, probe: Probe, at: float) -> None:
        if self._latest is not None and self._latest[0] != _identity(probe):
            self._before = self._latest
        self._latest = (_identity(probe), at)

    def of_another(self, probe: Probe, since: float) -> bool:
        """Whether a probe other than this one got a right answer since then."""
        newest = self._latest
        if newest is not None and newest[0] == _identity(probe):
            newest = self._before
        return newest is not None and newest[1] >= since


class Prober:
    """Keeps the probes of all Workflows going. Bound to one event loop.

    `wake` is called when something decisive changed for a Workflow, never for every sample.
    `on_sample` hears the type of the check and the verdict on every sample.
    """

    def __init__(
        self,
        asker: Asker,
        wake: Callable[[Key], None],
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
        on_sample: OnSample | None = None,
    ) -> None:
        self._asker = asker
        self._wake = wake
        self._now = now
        self._clock = clock
        self._on_sample = on_sample
        self._contact = Contact()
        self._sessions: dict[Key, _Session] = {}
        self._lanes: set[Turns] = set()
        self._slow_lanes: set[Turns] = set()
        self._right = {by_network: _LastRight() for by_network in (True, False)}
        self._tasks: set[asyncio.Task[None]] = set()

    def pursue(self, key: Key, plan: ProbePlan | None) -> None:
        """Make the running probes of a Workflow those of the plan; None stops them.

        In the same session, probes that stay keep their tallies.
        """
        if plan is None:
            self.forget(key)
            return
        session = self._sessions.get(key)
        if session is None or session.name != plan.session:
            self.forget(key)
            session = _Session(
                plan.session, self._now(), Turns(self._lanes), Turns(self._slow_lanes)
            )
            self._sessions[key] = session
            if plan.heard:
                self._contact.count(key)
        before, session.asking = session.asking, {}
        for probe in plan.probes:
            if _identity(probe) not in session.asking:
                known = before.pop(_identity(probe), None)
                session.asking[_identity(probe)] = self._going_on(known, probe)
        for gone in before.values():
            gone.stop()
        self._follow_reports(key, session)

    def forget(self, key: Key) -> None:
        """Stop the probes of a Workflow and drop its tallies."""
        session = self._sessions.pop(key, None)
        if session is not None:
            session.stop()
            self._contact.forget(key)
            self._turn_contact()

    @property
    def lost_contact(self) -> LostContact | None:
        """Why probing is suspended for all Workflows, where it is."""
        return self._contact.suspended

    @property
    def times_back(self) -> int:
        """How often contact came back; each time, evidence is gathered anew."""
        return self._contact.times_back

    def tallies(self, key: Key) -> tuple[Tally, ...]:
        """What the running probes of a Workflow saw so far, in the order of the plan."""
        session = self._sessions.get(key)
        found = session.asking.values() if session else ()
        return tuple(asking.tally for asking in found if asking.task is not None)

    def session(self, key: Key) -> str | None:
        """The session that the tallies belong to."""
        session = self._sessions.get(key)
        return session.name if session else None

    def started_at(self, key: Key) -> datetime | None:
        """When the session began in this process."""
        session = self._sessions.get(key)
        return session.started_at if session else None

    async def ask_once(self, plan: ProbePlan) -> tuple[tuple[Probe, Sample], ...]:
        """Ask each probe of the plan once, at the same time; no tally is kept."""
        turns = Turns(self._lanes)

        async def one(probe: Probe) -> tuple[Probe, Sample]:
            async with turns.turn():
                return probe, await self._asked(probe)

        try:
            return tuple(await asyncio.gather(*map(one, plan.probes)))
        finally:
            turns.close()

    async def close(self) -> None:
        """Stop all probes and wait for their tasks to end."""
        self._contact = Contact()
        for key in tuple(self._sessions):
            self.forget(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _going_on(self, known: _Asking | None, probe: Probe) -> _Asking:
        """The probe with the tally that it has; not asked yet where it is new or has moved."""
        if known is not None and _same(known.probe, probe):
            moved = (known.probe.address, known.probe.port) != (probe.address, probe.port)
            if not moved:
                known.probe = probe
                return known
            tally = replace(known.tally, asked=probe.asked)
        else:
            tally = Tally(probe.check.name, probe.stage, probe.pod, probe.pod_uid, probe.asked)
        if known is not None:
            known.stop()
        return _Asking(probe, tally)

    def _follow_reports(self, key: Key, session: _Session) -> bool:
        """Ask what is to be asked by the reports of now; whether that started a check.

        What a pod answered that has reported other content since, counts no more.
        """
        right = {a.probe.pod_uid for a in session.asking.values() if a.probe.report and a.right}
        started = False
        for identity, asking in session.asking.items():
            if asking.probe.reported and asking.probe.pod_uid not in right:
                if asking.task is not None:
                    asking.stop()
                    session.asking[identity] = _Asking(asking.probe, asking.tally.anew())
            elif asking.task is None:
                self._start(key, session, asking)
                started = started or asking.probe.reported
        return started

    def _start(self, key: Key, session: _Session, asking: _Asking) -> None:
        asking.task = asyncio.create_task(self._ask(key, session, asking), name=f"probe {key}")
        self._tasks.add(asking.task)
        asking.task.add_done_callback(self._tasks.discard)

    async def _ask(self, key: Key, session: _Session, asking: _Asking) -> None:
        """Ask at once and then every period; after a late answer, at once."""
        period = asking.probe.check.every
        pause = EAGER_PAUSE if asking.probe.eager else period
        turns = session.slow if asking.probe.check.job is not None else session.turns
        due = self._clock()
        while True:
            async with turns.turn():
                asked_at = self._clock()
                sample = await self._asked(asking.probe)
            asking.hear(sample, asked_at)
            self._take(key, session, asking, sample)
            eager = asking.probe.eager and sample.answer is Answer.WRONG
            due = max(due + (min(pause, period) if eager else period), self._clock())
            pause *= 2
            await asyncio.sleep(due - self._clock())

    async def _asked(self, probe: Probe) -> Sample:
        try:
            sample = await self._asker(probe)
        except Exception as error:  # noqa: BLE001 - one broken check must not end the probing
            _log.exception("check %s could not be asked", probe.check.name)
            got = f"could not be asked: internal error {type(error).__name__}"
            return Sample(Answer.UNASKED, got, self._now())
        if sample.answer is Answer.RIGHT:
            self._right[probe.dialled].note(probe, self._clock())
        return sample

    def _take(self, key: Key, session: _Session, asking: _Asking, sample: Sample) -> None:
        probe = asking.probe
        if probe.dialled:
            self._note_contact(key, session, sample)
        lately = self._clock() - ANSWERED_LATELY
        another = self._right[probe.dialled].of_another(
            probe, max(lately, asking.silent_since or lately)
        )
        verdict = judge(sample, ready=probe.ready, another_answered=another)
        if self.lost_contact is not None:
            verdict = Verdict.INCONCLUSIVE
        before, was_right = asking.decided, asking.right
        asking.tally = asking.tally.count(sample, verdict)
        if self._on_sample is not None:
            self._on_sample(probe.type, verdict)
        if probe.report and asking.right is not was_right and self._follow_reports(key, session):
            return  # What the checks find that this started is the news.
        if session.waking is None and session.is_news(before, asking.decided):
            loop = asyncio.get_running_loop()
            session.waking = loop.call_later(WAKE_AFTER, self._wake_up, key, session)

    def _note_contact(self, key: Key, session: _Session, sample: Sample) -> None:
        asked = [one for one in session.asking.values() if one.probe.dialled and one.task]
        if sample.answer in (Answer.RIGHT, Answer.WRONG):
            self._contact.hear(key)
        elif all(one.silent_since is not None and one.probe.ready for one in asked):
            self._contact.lose(key, self._clock())
        self._turn_contact()

    def _turn_contact(self) -> None:
        """Where probing is suspended or goes on, that is news to everyone."""
        if not self._contact.turned(self._clock(), self._now()):
            return
        if self.lost_contact is not None:
            _log.warning("probing is suspended: %s", self.lost_contact.told)
        else:
            _log.warning("probing goes on: contact is back")
            for session in self._sessions.values():
                for one in session.asking.values():
                    one.tally = one.tally.anew()
        for key in self._sessions:
            self._wake(key)

    def _wake_up(self, key: Key, session: _Session) -> None:
        session.waking = None
        self._wake(key)


def _same(one: Probe, other: Probe) -> bool:
    """Whether what came of the one counts for the other."""
    return (one.check, one.report, one.since) == (other.check, other.report, other.since)


def _identity(probe: Probe) -> _Identity:
    return probe.check.name, probe.pod_uid
