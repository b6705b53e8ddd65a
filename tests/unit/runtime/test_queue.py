"""The work queue: order, one worker per key, wake-ups, back-off."""

import asyncio

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from belay.core.keys import Key
from belay.runtime.queue import LONGEST_RETRY, Priority, QueueShutDown, WorkQueue

A, B, C = (Key("default", name) for name in "abc")


class Clock:
    """A clock that moves when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> WorkQueue:
    return WorkQueue(clock, jitter=lambda: 1.0)


def drain(queue: WorkQueue) -> list[Key]:
    taken = []
    while (key := queue.take()) is not None:
        taken.append(key)
        queue.done(key)
    return taken


def test_keys_of_one_priority_come_in_the_order_of_their_arrival(queue: WorkQueue) -> None:
    for key in (B, A, C):
        queue.add(key)
    assert drain(queue) == [B, A, C]


def test_a_key_that_waits_is_there_once(queue: WorkQueue) -> None:
    queue.add(A)
    queue.add(A)
    assert queue.depth == 1
    assert drain(queue) == [A]


def test_it_is_pressed_while_a_key_waits_that_may_not_wait(queue: WorkQueue) -> None:
    assert not queue.pressed
    queue.add(A, Priority.RESYNC)
    assert not queue.pressed
    queue.add(B, Priority.NEW)
    queue.add(B, Priority.REVERT)
    assert queue.pressed
    assert queue.take() == B
    assert not queue.pressed
    assert queue.take() == A


def test_what_may_wait_comes_one_by_one_and_lets_others_go_first(
    queue: WorkQueue, clock: Clock
) -> None:
    for key in (A, B, C):
        queue.add_apart(key, 0.5)
    assert drain(queue) == [A]
    clock.now += 0.5
    queue.add(C, Priority.NEW)
    assert drain(queue) == [C, B]
    clock.now += 60.0
    assert drain(queue) == [C]
    queue.add_apart(A, 0.5)
    assert drain(queue) == [A]


def test_a_revert_overtakes_what_waits(queue: WorkQueue) -> None:
    queue.add(A, Priority.RESYNC)
    queue.add(B, Priority.NEW)
    queue.add(C, Priority.RESYNC)
    queue.add(C, Priority.REVERT)
    assert drain(queue) == [C, B, A]


def test_a_worse_priority_does_not_put_a_key_back(queue: WorkQueue) -> None:
    queue.add(A, Priority.REVERT)
    queue.add(B, Priority.MOVING)
    queue.add(A, Priority.RESYNC)
    assert drain(queue) == [A, B]


def test_a_key_is_not_handed_out_twice_at_once(queue: WorkQueue) -> None:
    queue.add(A)
    assert queue.take() == A
    queue.add(A)
    assert queue.take() is None
    queue.done(A)
    assert queue.take() == A


def test_an_add_in_mid_work_keeps_its_priority(queue: WorkQueue) -> None:
    queue.add(A)
    assert queue.take() == A
    queue.add(A, Priority.RESYNC)
    queue.add(A, Priority.REVERT)
    queue.add(B, Priority.MOVING)
    queue.done(A)
    assert drain(queue) == [A, B]


def test_of_two_wake_ups_the_earlier_counts(queue: WorkQueue, clock: Clock) -> None:
    queue.add_after(A, 10)
    queue.add_after(A, 2)
    queue.add_after(A, 5)
    clock.now += 1.9
    assert queue.take() is None
    clock.now += 0.2
    assert drain(queue) == [A]
    clock.now += 20
    assert drain(queue) == []


def test_a_wake_up_in_the_past_is_an_add(queue: WorkQueue) -> None:
    queue.add_after(A, -1)
    assert drain(queue) == [A]


def test_retries_come_later_each_time_up_to_a_limit_until_forgotten(
    queue: WorkQueue, clock: Clock
) -> None:
    waits = []
    for _ in range(20):
        waits.append(queue.retry(A))
        clock.now += 60
        assert drain(queue) == [A]
    assert waits[:4] == [0.005, 0.01, 0.02, 0.04]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_RETRY
    queue.forget(A)
    assert queue.retry(A) == 0.005


def test_a_retry_waits_as_long_as_the_server_asked_for(queue: WorkQueue) -> None:
    assert queue.retry(A, at_least=7) == 7


def test_jitter_halves_a_back_off_at_most(clock: Clock) -> None:
    assert WorkQueue(clock, jitter=lambda: 0.0).retry(A) == 0.0025


def test_age_is_that_of_the_longest_waiting_key(queue: WorkQueue, clock: Clock) -> None:
    assert queue.oldest_seconds == 0
    queue.add(A)
    clock.now += 3
    queue.add(B)
    queue.add(A, Priority.REVERT)
    clock.now += 1
    assert queue.oldest_seconds == 4


async def test_get_waits_for_an_add(queue: WorkQueue) -> None:
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add(A)
    assert await getter == A


async def test_get_wakes_up_by_the_clock() -> None:
    queue = WorkQueue()
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after(A, 60)
    queue.add_after(B, 0.01)
    assert await asyncio.wait_for(getter, 5) == B


async def test_a_cancelled_getter_passes_its_key_on(queue: WorkQueue) -> None:
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add(A)
    first.cancel()
    assert await asyncio.wait_for(second, 5) == A


async def test_shut_down_ends_all_waiting_and_takes_nothing_more(queue: WorkQueue) -> None:
    getters = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    queue.shut_down()
    for getter in getters:
        with pytest.raises(QueueShutDown):
            await getter
    queue.add(A)
    queue.add_after(B, 0)
    assert queue.take() is None


class QueueMachine(RuleBasedStateMachine):
    """Against a naive model: what was added and not yet handed out is not lost, nor doubled."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.queue = WorkQueue(self.clock)
        self.wanted: dict[Key, Priority] = {}
        self.alarms: dict[Key, tuple[float, Priority]] = {}
        self.working: set[Key] = set()

    keys = st.sampled_from([A, B, C])
    priorities = st.sampled_from(Priority)

    def want(self, key: Key, priority: Priority) -> None:
        self.wanted[key] = min(priority, self.wanted.get(key, priority))

    @rule(key=keys, priority=priorities)
    def add(self, key: Key, priority: Priority) -> None:
        self.queue.add(key, priority)
        self.want(key, priority)

    @rule(key=keys, seconds=st.integers(1, 20), priority=priorities)
    def add_after(self, key: Key, seconds: int, priority: Priority) -> None:
        self.queue.add_after(key, seconds, priority)
        at, before = self.alarms.get(key, (float("inf"), priority))
        self.alarms[key] = (min(at, self.clock.now + seconds), min(before, priority))

    @rule(seconds=st.integers(1, 10))
    def time_passes(self, seconds: int) -> None:
        self.clock.now += seconds
        for key, (at, priority) in list(self.alarms.items()):
            if at <= self.clock.now:
                del self.alarms[key]
                self.want(key, priority)

    @rule()
    def take(self) -> None:
        open_ = {key: p for key, p in self.wanted.items() if key not in self.working}
        key = self.queue.take()
        if key is None:
            assert not open_
            return
        assert open_[key] == min(open_.values())
        del self.wanted[key]
        self.working.add(key)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.working)))
        self.working.remove(key)
        self.queue.done(key)

    @invariant()
    def depth_is_what_is_wanted(self) -> None:
        assert self.queue.depth == len(self.wanted)


TestQueueMachine = QueueMachine.TestCase
