"""At rest: checks that go on tell what they find, and touch nothing."""

from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import check

from belay.api.words import ConditionType, Outcome, Reason, Stage
from belay.api.workflow import Steady
from belay.core import reading
from belay.core.attempt import attempt_digest


def steady(**more: object) -> Toy:
    return promoted("v1", steady=Steady(), **more)


def passes(toy: Toy, turns: int) -> Toy:
    for _ in range(turns):
        toy.turn().kubelet()
        toy.probe().advance(10)
    return toy


def serving(toy: Toy) -> tuple[str, str]:
    return toy.says(ConditionType.SERVING)


def test_each_change_of_the_verdict_is_one_write_and_nothing_else_happens() -> None:
    toy = passes(steady(), 5)
    ready, quarantine = toy.says(ConditionType.READY), toy.status.quarantine
    assert serving(toy) == ("True", Reason.CHECK_PASSED)
    writes, generation = toy.writes, toy.workloads["triage"]["metadata"]["generation"]
    for mode, told in (
        (Mode.GOOD, ("True", Reason.CHECK_PASSED)),
        (Mode.WRONG, ("False", Reason.CHECK_FAILED)),
        (Mode.GOOD, ("True", Reason.CHECK_PASSED)),
    ):
        passes(toy.behaves("v1", mode), 20)
        assert serving(toy) == told
    assert toy.writes == writes + 2
    assert toy.says(ConditionType.READY) == ready
    assert (toy.status.phase, toy.status.quarantine) == (Outcome.PROMOTED, quarantine)
    assert toy.workloads["triage"]["metadata"]["generation"] == generation


def test_the_message_holds_the_evidence_and_what_to_do() -> None:
    toy = passes(steady().behaves("v1", Mode.WRONG), 10)
    said = toy.message(ConditionType.SERVING)
    assert said.startswith('v1 runs and is active, but check "answers" got 500 instead of 200 from')
    assert said.endswith(
        "Nothing is done about it: to go to another revision, patch spec.activeRevision"
    )


def test_no_verdict_changes_nothing() -> None:
    toy = passes(steady(), 3)
    writes = toy.writes
    passes(toy.behaves("v1", Mode.SILENT), 20)
    assert (serving(toy), toy.writes) == (("True", Reason.CHECK_PASSED), writes)


def test_while_contact_is_lost_the_verdict_stays() -> None:
    toy = passes(steady(), 3).lose_contact().behaves("v1", Mode.WRONG)
    writes = toy.writes
    passes(toy, 20)
    assert (serving(toy), toy.writes) == (("True", Reason.CHECK_PASSED), writes)


def test_a_restart_goes_on_by_itself() -> None:
    toy = passes(steady().behaves("v1", Mode.WRONG), 10).restart()
    writes = toy.writes
    passes(toy, 10)
    assert (serving(toy), toy.writes) == (("False", Reason.CHECK_FAILED), writes)
    assert serving(passes(toy.behaves("v1", Mode.GOOD), 3)) == ("True", Reason.CHECK_PASSED)


def test_only_who_wishes_for_it_reads_pods_at_rest() -> None:
    for toy, reads in (
        (promoted("v1"), False),
        (steady(), True),
        (steady(checks=[check(at=[Stage.GATE])]), False),
        (steady().behaves("v2", Mode.WRONG).wish("v2").run(), False),
    ):
        assert reading.needs(toy.observe()).pods is reads
        plan = toy.turn().plan
        assert (plan is not None) is reads
        assert all(p.check.period == "10s" for p in (plan.probes if plan else ()))


def test_who_wishes_for_it_no_more_is_told_so_once() -> None:
    toy = passes(steady().behaves("v1", Mode.WRONG), 10)
    toy.wish(steady=None).turn()
    assert toy.plan is None
    assert serving(toy) == ("True", Reason.CHECK_PASSED)
    assert toy.message(ConditionType.SERVING) == "v1 was proven, and is not checked any more"
    writes = toy.writes
    assert passes(toy, 3).writes == writes


def test_it_bears_on_no_proof() -> None:
    toy = promoted("v1")
    before = attempt_digest(toy.spec, "d")
    toy.wish("v2").run("Observing")
    rollout = toy.status.rollout
    assert rollout is not None
    toy.wish(steady=Steady()).turn()
    assert toy.status.rollout is not None
    assert toy.status.rollout.id == rollout.id
    assert attempt_digest(promoted("v1", steady=Steady()).spec, "d") == before


def test_a_new_rollout_ends_it_and_its_promotion_begins_it_anew() -> None:
    toy = passes(steady().behaves("v1", Mode.WRONG), 10)
    toy.wish("v2").run("Observing")
    assert toy.plan is not None
    assert not toy.plan.session.startswith("steady/")
    passes(toy.run(), 3)
    assert serving(toy) == ("True", Reason.CHECK_PASSED)
    assert toy.plan is not None
    assert toy.plan.session.startswith("steady/")
