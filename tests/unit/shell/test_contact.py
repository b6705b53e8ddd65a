"""The breaker in the prober: what counts as lost, and when contact is back."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import pytest
from tests.unit.shell.pods import check, probe
from tests.unit.shell.test_prober import Stage, plan, staged

from belay.api.words import Verdict
from belay.core.keys import Key

KEYS = [Key("shop", f"wf-{n}") for n in range(6)]
Story = Callable[[Stage], Awaitable[None]]


def begin(stage: Stage, keys: Sequence[Key] = KEYS, *, ready: bool = True) -> None:
    """Each Workflow has one pod that answers."""
    for key in keys:
        stage.prober.pursue(key, plan(probe(check(period="1s"), 80, pod=key.name, ready=ready)))


def fall(stage: Stage, names: Sequence[Key], script: str = "N") -> None:
    stage.scripts |= {key.name: script for key in names}


@pytest.mark.parametrize(
    ("probed", "lost", "suspended"), [(4, 4, False), (5, 2, False), (5, 3, True), (6, 3, True)]
)
def test_half_of_five_that_fall_silent_suspend_probing_for_all(
    probed: int, lost: int, suspended: bool
) -> None:
    async def story(stage: Stage) -> None:
        begin(stage, KEYS[:probed])
        await asyncio.sleep(5.5)
        stage.woken.clear()
        fall(stage, KEYS[:lost])
        await asyncio.sleep(2)
        found = stage.prober.lost_contact
        assert (found is not None) is suspended
        if found is not None:
            assert (found.lost, found.probed) == (lost, probed)
            assert {key for key, _ in stage.woken} == set(KEYS[:probed])

    staged(story)


@pytest.mark.parametrize(("apart", "suspended"), [(14, True), (16, False)])
def test_they_must_fall_silent_within_thirty_seconds(apart: float, suspended: bool) -> None:
    async def story(stage: Stage) -> None:
        begin(stage)
        for key in KEYS[:3]:
            await asyncio.sleep(apart)
            fall(stage, [key])
        await asyncio.sleep(2)
        assert (stage.prober.lost_contact is not None) is suspended

    staged(story)


@pytest.mark.parametrize(("script", "ready"), [("W", True), ("U", True), ("N", False)])
def test_what_has_another_cause_is_no_lost_contact(script: str, ready: bool) -> None:
    """Wrong answers, what could not be asked, and pods that kubelet calls not ready."""

    async def story(stage: Stage) -> None:
        begin(stage, ready=ready)
        await asyncio.sleep(5.5)
        fall(stage, KEYS, script)
        await asyncio.sleep(10)
        assert stage.prober.lost_contact is None

    staged(story)


def test_who_never_answered_says_nothing() -> None:
    async def story(stage: Stage) -> None:
        fall(stage, KEYS)
        begin(stage)
        await asyncio.sleep(60)
        assert stage.prober.lost_contact is None

    staged(story)


def test_a_new_process_believes_the_record_that_they_answered_before() -> None:
    async def story(stage: Stage) -> None:
        fall(stage, KEYS)
        for key in KEYS:
            probes = plan(probe(check(period="1s"), 80, pod=key.name))
            stage.prober.pursue(key, replace(probes, heard=True))
        await asyncio.sleep(2)
        assert stage.prober.lost_contact is not None

    staged(story)


def test_a_workflow_is_heard_as_long_as_one_of_its_pods_is() -> None:
    async def story(stage: Stage) -> None:
        for key in KEYS:
            pods = [probe(check(period="1s"), 80, pod=f"{key.name}-{n}") for n in range(2)]
            stage.prober.pursue(key, plan(*pods))
        await asyncio.sleep(5.5)
        stage.scripts |= {f"{key.name}-0": "N" for key in KEYS}
        await asyncio.sleep(10)
        assert stage.prober.lost_contact is None

    staged(story)


def test_meanwhile_no_answer_counts_and_afterwards_all_begins_anew() -> None:
    async def story(stage: Stage) -> None:
        begin(stage)
        await asyncio.sleep(5.5)
        fall(stage, KEYS[:4])
        fall(stage, KEYS[4:5], "W")
        await asyncio.sleep(1)
        assert stage.prober.lost_contact is not None
        stage.verdicts.clear()
        await asyncio.sleep(20)
        assert {verdict for _, verdict in stage.verdicts} == {Verdict.INCONCLUSIVE}
        stage.woken.clear()
        fall(stage, KEYS[:1], "R")
        await asyncio.sleep(1)
        assert stage.prober.lost_contact is not None
        fall(stage, KEYS[1:2], "R")
        await asyncio.sleep(1)
        assert stage.prober.lost_contact is None
        assert stage.prober.times_back == 1
        assert {key for key, _ in stage.woken} == set(KEYS)
        assert all(stage.tally(key).tries <= 1 for key in KEYS)
        await asyncio.sleep(5)
        assert stage.tally(KEYS[4]).fails >= 3
        assert stage.tally(KEYS[0]).passes >= 3

    staged(story)


def test_those_that_are_probed_no_more_are_not_waited_for() -> None:
    async def story(stage: Stage) -> None:
        begin(stage)
        await asyncio.sleep(5.5)
        fall(stage, KEYS[:3])
        await asyncio.sleep(2)
        assert stage.prober.lost_contact is not None
        stage.prober.forget(KEYS[0])
        assert stage.prober.lost_contact is None

    staged(story)
