"""Leader election against a lease in memory and a clock that moves when told to."""

import asyncio
import copy
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from belay.runtime.elector import Elector, LeaseLost, LeaseTerms
from belay.shell.errors import AlreadyExists, Conflict, NotFound, Unavailable
from belay.shell.resources import Object, Resource

TERMS = LeaseTerms(duration=4, renew_deadline=3.0, retry=0.5, call=1.0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Store:
    """One Lease that obeys resourceVersions. `fault` spoils calls: `before` or `after` commit."""

    def __init__(self) -> None:
        self.lease: Object | None = None
        self.version = 0
        self.fault = ""

    async def get(self, _: Resource, __: str | None, name: str) -> Object:
        self._spoil("before")
        if self.lease is None:
            raise NotFound(404, "NotFound", name)
        return copy.deepcopy(self.lease)

    async def create(self, _: Resource, __: str | None, body: Object) -> Object:
        if self.lease is not None:
            raise AlreadyExists(409, "AlreadyExists", "lease")
        return self._store(body)

    async def replace(self, _: Resource, __: str | None, body: Object) -> Object:
        if self.lease is None:
            raise NotFound(404, "NotFound", "lease")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict(409, "Conflict", "the object has been modified")
        return self._store(body)

    def _store(self, body: Object) -> Object:
        self._spoil("before")
        self.version += 1
        self.lease = copy.deepcopy(body)
        self.lease["metadata"]["resourceVersion"] = str(self.version)
        self._spoil("after")
        return copy.deepcopy(self.lease)

    def _spoil(self, when: str) -> None:
        if self.fault == when:
            raise Unavailable(0, "NoAnswer", "connection reset")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Store:
    return Store()


def candidate(store: Store, clock: Clock, identity: str) -> Elector:
    return Elector(store, "belay-system", "belay", identity, TERMS, clock)


async def attempt(elector: Elector) -> bool:
    return await elector._attempt()


async def test_the_first_candidate_leads_and_the_second_waits(store: Store, clock: Clock) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    assert await attempt(first)
    assert not await attempt(second)
    assert (first.may_write(), second.may_write()) == (True, False)
    assert second.trouble == ""


async def test_a_standby_leads_when_the_lease_did_not_change_for_its_duration(
    store: Store, clock: Clock
) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    clock.now += 3.9
    assert not await attempt(second)
    clock.now += 0.2
    assert await attempt(second)
    assert store.lease is not None
    assert store.lease["spec"]["leaseTransitions"] == 2


async def test_a_renewal_keeps_a_standby_waiting_however_its_clock_is_set(
    store: Store, clock: Clock
) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    for _ in range(20):
        clock.now += 1
        assert await attempt(first)
        assert store.lease is not None
        store.lease["spec"]["renewTime"] = "1999-01-01T00:00:00.000000Z"
        assert not await attempt(second)


async def test_the_next_look_is_when_the_lease_runs_out(store: Store, clock: Clock) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    assert second._seconds_to_wait() == TERMS.look
    clock.now += 3.9
    assert second._seconds_to_wait() == pytest.approx(0.1)


async def test_a_leader_that_cannot_renew_stops_writing_before_another_may_lead(
    store: Store, clock: Clock
) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    clock.now += 2.9
    assert first.may_write()
    clock.now += 0.2
    assert not first.may_write()
    assert not await attempt(second)


async def test_a_released_lease_is_taken_at_once(store: Store, clock: Clock) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    await first.release()
    assert not first.may_write()
    assert await attempt(second)


async def test_release_leaves_somebody_elses_lease_alone(store: Store, clock: Clock) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    clock.now += 5
    assert await attempt(second)
    await first.release()
    assert store.lease is not None
    assert store.lease["spec"]["holderIdentity"] == "two"


async def test_a_renewal_that_was_committed_without_an_answer_loses_nothing(
    store: Store, clock: Clock
) -> None:
    leader = candidate(store, clock, "one")
    await attempt(leader)
    store.fault = "after"
    assert not await attempt(leader)
    store.fault = ""
    clock.now += 0.5
    assert not await attempt(leader)
    assert await attempt(leader)


async def test_a_lease_deleted_under_its_leader_is_not_taken_while_it_may_write(
    store: Store, clock: Clock
) -> None:
    first, second = candidate(store, clock, "one"), candidate(store, clock, "two")
    await attempt(first)
    await attempt(second)
    store.lease = None
    assert not await attempt(second)
    clock.now += 4.1
    assert await attempt(second)


async def test_hold_ends_when_somebody_else_leads() -> None:
    store, terms = Store(), LeaseTerms(duration=4, renew_deadline=3, retry=0.001)
    leader = Elector(store, "belay-system", "belay", "one", terms)
    await leader.acquire()
    assert store.lease is not None
    store.lease["metadata"]["resourceVersion"] = "99"
    store.lease["spec"]["holderIdentity"] = "two"
    with pytest.raises(LeaseLost, match="two leads"):
        await asyncio.wait_for(leader.hold(), 5)
    assert not leader.may_write()


async def test_hold_ends_when_the_lease_cannot_be_renewed_in_time() -> None:
    store, terms = Store(), LeaseTerms(duration=1, renew_deadline=0.05, retry=0.01)
    leader = Elector(store, "belay-system", "belay", "one", terms)
    await leader.acquire()
    store.fault = "before"
    with pytest.raises(LeaseLost, match="connection reset"):
        await asyncio.wait_for(leader.hold(), 5)


async def test_a_leader_whose_renewals_are_slow_but_accepted_goes_on(clock: Clock) -> None:
    class Slow(Store):
        def _store(self, body: Object) -> Object:
            clock.now += TERMS.renew_deadline + 0.5
            return super()._store(body)

    store = Slow()
    leader = Elector(store, "belay-system", "belay", "one", TERMS, clock)
    await leader.acquire()
    assert not leader.may_write()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(leader.hold(), 0.05)
    assert store.version > 2


@dataclass(frozen=True)
class Step:
    """One thing that happens to one of two candidates."""

    who: str
    what: str


STEPS = st.builds(
    Step,
    who=st.sampled_from(["one", "two"]),
    what=st.sampled_from(
        6 * ["try"] + ["wait 0.5", "wait 1", "wait 2.5", "before", "after", "release", "restart"]
    ),
)


@given(st.lists(STEPS, max_size=40))
@settings(max_examples=300, deadline=None)
def test_there_is_one_writer_at_most_however_calls_faults_crashes_and_time_interleave(
    steps: list[Step],
) -> None:
    store, clock = Store(), Clock()
    candidates = {name: candidate(store, clock, name) for name in ("one", "two")}
    with asyncio.Runner() as runner:
        for number, step in enumerate(steps):
            match step.what.split():
                case ["wait", seconds]:
                    clock.now += float(seconds)
                case ["release"]:
                    runner.run(candidates[step.who].release())
                case ["restart"]:
                    candidates[step.who] = candidate(store, clock, f"{step.who}-{number}")
                case [fault]:
                    store.fault = fault
                    runner.run(attempt(candidates[step.who]))
                    store.fault = ""
            assert sum(c.may_write() for c in candidates.values()) <= 1
