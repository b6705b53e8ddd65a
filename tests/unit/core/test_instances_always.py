"""Whatever people and the cluster do in whatever order, nothing stays paused."""

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode

from belay.api.instances import AfterRevert, OnPauseTimeout
from belay.api.words import Outcome, Reason
from belay.api.workflow import Preview
from belay.core.decision import PauseInstances, ResumeInstances

NO = world.refusal(Reason.ENVIRONMENT_FORBIDDEN, "no")
OWNERS = ["theirs", "theirs too"]


def _abort(toy: Toy) -> None:
    toy.abort = f"{toy.now}"


def _pass_time(toy: Toy) -> None:
    toy.kubelet().probe().advance(1)


def _pass_deadline(toy: Toy) -> None:
    toy.advance(70)


def _one_step(toy: Toy) -> None:
    toy.dry_run = toy.failure = None
    toy.step()


def _toggle(action: type) -> Callable[[Toy], object]:
    def toggle(toy: Toy) -> None:
        if toy.refusals.pop(action, None) is None:
            toy.refusals[action] = NO

    return toggle


STEPS: dict[str, Callable[[Toy], object]] = {
    "turn": Toy.turn,
    "one step, then another process": lambda t: (_one_step(t), t.restart()),
    "time": _pass_time,
    "a deadline": _pass_deadline,
    "abort": _abort,
    "suspend": lambda t: t.wish(suspend=True),
    "go on": lambda t: t.wish(suspend=False),
    "v1": lambda t: t.wish("v1"),
    "v2": lambda t: t.wish("v2"),
    "v3": lambda t: t.wish("v3"),
    "v9": lambda t: t.wish("v9"),
    "no instances": lambda t: t.wish(instances=None),
    "instances": lambda t: t.wish(instances=world.instances()),
    "v2 fails": lambda t: t.behaves("v2", Mode.WRONG),
    "v3 crashes": lambda t: t.behaves("v3", Mode.CRASHING),
    "v2 is silent": lambda t: t.behaves("v2", Mode.SILENT),
    "a is resumed": lambda t: t.resumes("a"),
    "b does not end": lambda t: t.stubborn.add("b"),
    "pauses are refused": _toggle(PauseInstances),
    "resumes are refused": _toggle(ResumeInstances),
    "another starts": lambda t: t.starts(f"c{len(t.instances)}"),
}
USUAL = ["turn", "time", "turn", "time", "one step, then another process"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*STEPS, *USUAL * 4]), max_size=60),
    st.sampled_from(OnPauseTimeout),
    st.sampled_from(AfterRevert),
    st.sampled_from(Preview),
    st.booleans(),
)
def test_nothing_that_was_paused_stays_paused(
    steps: list[str],
    timeout: OnPauseTimeout,
    after: AfterRevert,
    preview: Preview,
    taken_over: bool,
) -> None:
    wanted = world.instances(on_pause_timeout=timeout, after_revert=after)
    toy = promoted("v1", instances=wanted, preview=preview, window="5s")
    toy.starts("a", "b").starts("nightly", kind="CronJob").starts(*OWNERS, suspended=True)
    for name in ("v2", *steps):
        STEPS[name](toy)
        rollout = toy.status.rollout
        told = rollout is not None and (rollout.paused or toy.refusals)
        lost = rollout is not None and rollout.instances and rollout.instances.not_resumed
        assert not toy.held or told or lost, f"{toy.held} held, and the record says nothing"
    toy.refusals.clear()
    toy.stubborn.clear()
    if taken_over:
        toy.wish(suspend=True)
        for _ in range(3):
            toy.turn().advance(5)
        assert toy.at_rest or not toy.held, f"{toy.held} held while a person has taken over"
    toy.wish(suspend=False)
    _settle(toy)
    rollout = toy.status.rollout
    if rollout is not None and rollout.instances and rollout.instances.not_resumed:
        return  # what was refused for a minute is the sweeper's
    assert (toy.held, toy.suspended) == ([], OWNERS)


def _settle(toy: Toy) -> None:
    ends = {*Outcome, "Pending"}
    for _ in range(400):
        toy.turn()
        if toy.at_rest and toy.status.phase in ends:
            return
        _pass_time(toy)
    raise AssertionError(f"no rest at {toy.status.phase}")
