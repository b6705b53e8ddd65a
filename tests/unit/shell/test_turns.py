"""Turns: who may send a request, and who waits for whom."""

import asyncio

from tests.unit.shell.virtual_time import clock, in_virtual_time

from belay.shell.checks.turns import Turns


class Traffic:
    """Requests through lanes: how many are in flight, and when each began."""

    def __init__(self) -> None:
        self.lanes: set[Turns] = set()
        self.now = 0
        self.most = 0
        self.began: list[tuple[str, float]] = []

    def lane(self) -> Turns:
        return Turns(self.lanes)

    async def request(self, lane: Turns, name: str, takes: float) -> None:
        async with lane.turn():
            self.began.append((name, clock() - 1000))
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                await asyncio.sleep(takes)
            finally:
                self.now -= 1


def test_one_workflow_has_sixteen_requests_in_flight_and_the_others_wait_in_order() -> None:
    async def story() -> None:
        traffic = Traffic()
        lane = traffic.lane()
        await asyncio.gather(*(traffic.request(lane, str(n), 1) for n in range(40)))
        assert traffic.most == 16
        assert [int(name) for name, _ in traffic.began] == list(range(40))
        assert [at for _, at in traffic.began] == [0.0] * 16 + [1.0] * 16 + [2.0] * 8

    in_virtual_time(story())


def test_all_workflows_together_share_256() -> None:
    async def story() -> None:
        traffic = Traffic()
        lanes = [traffic.lane() for _ in range(64)]
        await asyncio.gather(*(traffic.request(lane, "", 1) for lane in lanes for _ in range(20)))
        assert traffic.most == 256

    in_virtual_time(story())


def test_no_workflow_waits_for_the_hanging_pods_of_others() -> None:
    async def story() -> None:
        traffic = Traffic()
        lanes = [traffic.lane() for _ in range(1000)]
        hanging = [
            asyncio.create_task(traffic.request(lane, "hanging", 3600))
            for lane in lanes
            for _ in range(20)
        ]
        late = traffic.lane()
        await asyncio.sleep(1)
        await traffic.request(late, "mine", 1)
        assert traffic.began[-1] == ("mine", 1.0)
        assert traffic.most == 1001
        for task in hanging:
            task.cancel()
        await asyncio.gather(*hanging, return_exceptions=True)
        assert traffic.now == 0

    in_virtual_time(story())


def test_room_that_workflows_leave_goes_to_those_who_wait() -> None:
    async def story() -> None:
        traffic = Traffic()
        many = [traffic.lane() for _ in range(256)]
        one = traffic.lane()
        asked = asyncio.gather(*(traffic.request(one, str(n), 1) for n in range(5)))
        await asyncio.sleep(0.5)
        for lane in many:
            lane.close()
        await asked
        assert [at for _, at in traffic.began] == [0.0, 1.0, 1.0, 1.0, 1.0]

    in_virtual_time(story())


def test_requests_that_give_up_while_they_wait_are_passed_over() -> None:
    async def story() -> None:
        traffic = Traffic()
        lane = traffic.lane()
        holders = [asyncio.create_task(traffic.request(lane, "first", 1)) for _ in range(16)]
        waiting = [asyncio.create_task(traffic.request(lane, "second", 1)) for _ in range(16)]
        last = asyncio.create_task(traffic.request(lane, "last", 1))
        await asyncio.sleep(0.5)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*holders, last)
        assert traffic.began[-1] == ("last", 1.0)
        await asyncio.gather(*(traffic.request(lane, "after", 1) for _ in range(16)))
        assert [at for name, at in traffic.began if name == "after"] == [2.0] * 16

    in_virtual_time(story())


def test_a_request_that_gives_up_at_its_turn_leaves_it_to_the_next() -> None:
    async def story() -> None:
        traffic = Traffic()
        lane = traffic.lane()
        async with lane.turn():
            long = [asyncio.create_task(traffic.request(lane, "long", 10)) for _ in range(15)]
            given_up = asyncio.create_task(traffic.request(lane, "given up", 1))
            last = asyncio.create_task(traffic.request(lane, "last", 1))
            await asyncio.sleep(1)
        given_up.cancel()
        await last
        assert traffic.began[-1] == ("last", 1.0)
        await asyncio.gather(*long)

    in_virtual_time(story())
