"""Adoption: the status was lost, and the targets carry what it does not know."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.toy import Toy, promoted
from tests.unit.core.toy_cluster import Mode
from tests.unit.core.world import Raw

from belay.api.revision import Binding, KeyRef
from belay.api.status import WorkflowStatus
from belay.api.words import ConditionType, Outcome, Phase, Reason, Trigger
from belay.api.workflow import Preview
from belay.core.decision import ApplyTemplate, CreatePreview


def lost(toy: Toy) -> Toy:
    """The status is gone, and a new process looks."""
    toy.status = WorkflowStatus()
    toy.decisions.clear()
    return toy.restart()


def touched(toy: Toy) -> list[str]:
    return [
        a.told
        for d in toy.decisions
        for a in d.actions
        if isinstance(a, ApplyTemplate | CreatePreview)
    ]


def pair() -> Toy:
    return promoted("v1", workloads=("triage", "intake"))


@pytest.mark.parametrize("preview", Preview)
def test_what_runs_and_is_wished_for_is_proven_where_it_runs(preview: Preview) -> None:
    toy = lost(promoted("v1", preview=preview)).run()
    assert toy.status.phase == Outcome.PROMOTED
    assert toy.says(ConditionType.READY) == ("True", Reason.ADOPTED)
    assert (toy.status.active, toy.status.stable) == (world.ref("v1"), world.ref("v1"))
    assert touched(toy) == []
    assert toy.status.history[0].trigger is Trigger.ADOPTION


def test_its_proof_takes_the_gate_and_the_window() -> None:
    toy = lost(promoted("v1")).run(Phase.OBSERVING)
    began = toy.now
    assert toy.says(ConditionType.READY)[0] == "Unknown"
    assert (toy.run().now - began).total_seconds() >= 10


def test_what_runs_under_another_name_is_adopted_under_the_wanted_one() -> None:
    toy = promoted("v1")
    toy.revisions["v2"] = world.revision("v2", "v1")
    toy.wish("v2").run()
    lost(toy).run()
    assert toy.says(ConditionType.READY) == ("True", Reason.ADOPTED)
    assert (toy.status.active_revision, toy.carries(), touched(toy)) == ("v2", "v1", [])


@pytest.mark.parametrize("mode", [Mode.WRONG, Mode.UNREADY, Mode.CRASHING, Mode.SILENT])
def test_what_fails_its_proof_is_held_and_left_as_it_is(mode: Mode) -> None:
    toy = lost(promoted("v1")).behaves("v1", mode).kubelet().run()
    assert toy.status.phase == Outcome.HELD
    assert (toy.carries(), toy.status.active_revision, toy.status.stable) == ("v1", "v1", None)
    assert touched(toy) == []
    assert "v1 runs unproven" in toy.message()


def test_an_abort_leaves_it_as_it_is() -> None:
    toy = lost(promoted("v1")).run(Phase.OBSERVING)
    toy.abort = "stop"
    toy.run()
    assert (toy.status.phase, toy.carries(), touched(toy)) == (Outcome.ABORTED, "v1", [])


# A newer wish


def test_a_newer_wish_has_what_runs_as_its_way_back() -> None:
    toy = lost(promoted("v1")).wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v2")
    assert [h.revision for h in toy.status.history] == ["v2", "v1"]
    lost(toy).behaves("v3", Mode.WRONG).wish("v3", preview=Preview.NONE).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v2")
    assert toy.says(ConditionType.SERVING) == ("True", Reason.CHECK_PASSED)


@pytest.mark.parametrize("wished", ["v9", "v1"])
def test_what_runs_is_adopted_before_a_wish_that_cannot_start(wished: str) -> None:
    toy = lost(promoted("v1"))
    toy.revisions["v1"] = world.revision("v1", "other content of that name")
    toy.wish(wished).run(Phase.PENDING if wished == "v9" else Outcome.REFUSED)
    toy.turn()
    assert toy.status.stable == world.ref("v1").model_copy(update={"uid": ""})
    assert toy.says(ConditionType.SERVING)[0] == "True"
    assert touched(toy) == []
    if wished == "v1":
        assert toy.says(ConditionType.READY) == ("False", Reason.REVISION_REPLACED)


def test_a_newer_wish_goes_on_without_a_way_back_from_what_is_not_healthy() -> None:
    toy = lost(promoted("v1")).behaves("v1", Mode.WRONG).wish("v2").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v2")


@pytest.mark.parametrize("preview", Preview)
def test_where_neither_is_healthy_nothing_is_taken_away(preview: Preview) -> None:
    toy = lost(promoted("v1")).behaves("v1", Mode.WRONG).behaves("v2", Mode.WRONG)
    toy.wish("v2", preview=preview).run()
    assert toy.status.phase == Outcome.HELD
    assert toy.carries() == ("v1" if preview is Preview.POD else "v2")
    toy.behaves("v3", Mode.CRASHING).wish("v3").run()
    assert toy.status.phase == Outcome.HELD
    assert toy.carries() is not None


def test_a_change_of_mind_while_it_is_adopted_waits_for_the_gate_only() -> None:
    toy = lost(promoted("v1")).run(Phase.VERIFYING)
    toy.wish("v2").behaves("v2", Mode.WRONG).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.REVERTED, "v1")
    lost(toy).wish("v1").run(Phase.OBSERVING)
    toy.wish("v3").run()
    assert (toy.status.phase, toy.carries()) == (Outcome.PROMOTED, "v3")
    assert [(h.revision, h.outcome) for h in toy.status.history] == [
        ("v3", Outcome.PROMOTED),
        ("v1", Outcome.PROMOTED),
    ]


# What is carried is not whole


def test_its_content_is_restored_from_its_revision() -> None:
    toy = promoted("v1")
    toy.config_maps.clear()
    lost(toy).wish("v2").run(Phase.PREVIEWING)
    assert toy.status.stable_revision == "v1"
    assert len(toy.config_maps) == 2


def renamed_file(shape: Raw) -> None:
    source = shape["spec"]["volumes"][0]["projected"]["sources"][1]["configMap"]
    source["items"][0]["key"] = "definition.txt"


def renamed_revision(shape: Raw) -> None:
    shape["metadata"]["annotations"]["belay.dev/revision"] = "no name of a revision"


@pytest.mark.parametrize("spoil", [renamed_file, renamed_revision])
def test_what_nobody_could_have_delivered_is_not_taken_for_a_revision(
    spoil: Callable[[Raw], None],
) -> None:
    toy = promoted("v1")
    spoil(toy.workloads["triage"]["spec"]["template"])
    lost(toy).behaves("v2", Mode.WRONG).wish("v2", preview=Preview.NONE).run()
    assert toy.status.stable is None
    assert all(h.trigger is not Trigger.ADOPTION for h in toy.status.history)


def test_content_that_cannot_be_brought_back_is_no_way_back() -> None:
    toy = promoted("v1")
    toy.config_maps.clear()
    toy.revisions["v1"] = world.revision("v1", "other content of that name")
    lost(toy).behaves("v2", Mode.WRONG).wish("v2", preview=Preview.NONE).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.HELD, "v2")
    assert toy.status.stable is None


def test_targets_that_carry_different_contents_are_brought_to_the_wanted_one() -> None:
    toy = pair()
    before = toy.workloads["intake"]["spec"]["template"]
    toy.wish("v2").run()
    toy.workloads["intake"]["spec"]["template"] = before
    toy.touched(toy.workloads["intake"], "restore")
    lost(toy).run()
    assert toy.status.phase == Outcome.PROMOTED
    assert {toy.carries("triage"), toy.carries("intake")} == {"v2"}
    assert [t for t in touched(toy) if "delivering" in t] == ["delivering to Deployment intake"]


def test_targets_that_carry_different_contents_keep_the_wanted_one_when_it_fails() -> None:
    toy = pair()
    lost(toy).undo("intake").behaves("v2", Mode.WRONG).wish("v2", preview=Preview.NONE).run()
    assert toy.status.phase == Outcome.HELD
    assert {toy.carries("triage"), toy.carries("intake")} == {"v2"}


def test_a_target_that_was_never_ours_keeps_its_way_back() -> None:
    toy = Toy(world.spec("v1", preview=Preview.NONE)).behaves("v1", Mode.WRONG).run()
    assert (toy.status.phase, toy.carries()) == (Outcome.FAILED, None)


def test_bindings_are_read_from_what_is_carried() -> None:
    toy = Toy()
    view = toy.revisions["v1"]
    secret = Binding(name="key", secret_key_ref=KeyRef(name="keys", key="openai"))
    plain = Binding(name="url", config_map_key_ref=KeyRef(name="urls", key="model"))
    spec = view.spec.model_copy(update={"bindings": [secret, plain]})
    toy.revisions["v1"] = replace(view, spec=spec)
    toy.run()
    lost(toy).wish("v2").run(Phase.PREVIEWING)
    assert toy.status.stable is not None
    assert sorted(b.name for b in toy.status.stable.bindings) == ["key", "url"]
    assert all(b in toy.status.stable.bindings for b in (secret, plain))
