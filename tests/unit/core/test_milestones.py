"""What is told of a status by a process that knows nothing else."""

from datetime import timedelta

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.world import NOW, seconds

from belay.api.words import Outcome, Phase, Reason
from belay.core import milestones


def names(toy: Toy, since: timedelta = timedelta(days=1)) -> set[tuple[str, str]]:
    told = milestones.known(toy.status, toy.now - since)
    return {(m.occasion, str(m.reason)) for m in told}


@pytest.mark.parametrize("phase", [Phase.PREVIEWING, Phase.OBSERVING])
def test_that_a_rollout_gave_way_is_known_from_the_history(phase: Phase) -> None:
    toy = promoted("v1").wish("v2").run(phase).wish("v3").run(Phase.PREVIEWING)
    assert ("2-1", Outcome.SUPERSEDED) in names(toy)
    told = {(m.occasion, m.reason) for d in toy.decisions for m in d.milestones}
    assert ("2-1", Outcome.SUPERSEDED) in told


def test_that_a_name_was_adopted_is_known_from_the_history() -> None:
    toy = promoted("v1")
    toy.revisions["v1.again"] = world.revision("v1.again", "v1")
    toy.wish("v1.again").run()
    told = [m for d in toy.decisions for m in d.milestones]
    adopted = {(m.occasion, str(m.reason)) for m in told if m.action == "Adopt"}
    assert adopted
    assert adopted <= names(toy)


def test_what_is_long_over_is_no_news() -> None:
    toy = promoted("v1").wish("v2").run(Phase.OBSERVING).wish("v3").run().advance(60.0)
    assert names(toy, timedelta(seconds=50)) == set()


def test_milestones_are_told_from_the_very_second_on() -> None:
    toy = promoted("v1").wish("v2").run(Phase.OBSERVING).wish("v3").run(Phase.PREVIEWING)
    (gone,) = [h for h in toy.status.history if h.outcome is Outcome.SUPERSEDED]
    told = [m for m in milestones.known(toy.status, gone.ended_at) if m.reason == gone.outcome]
    assert [m.note.partition(" after ")[0] for m in told] == ["v2 gave way to a newer wish"]
    late = milestones.known(toy.status, gone.ended_at + seconds(1))
    assert not [m for m in late if m.reason == gone.outcome]


def test_a_refusal_is_told_with_its_reason_and_its_generation() -> None:
    told = milestones.refused(3, Reason.QUARANTINED, "no", NOW)
    assert (told.occasion, told.reason, told.note) == ("g3", Reason.QUARANTINED, "no")
    assert (told.warning, told.action) == (True, "Gate")
