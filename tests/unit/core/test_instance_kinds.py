"""One kind of instances: which is meant, when one has ended, what is written and told of it."""

from dataclasses import replace

import pytest
from tests.unit.core import world
from tests.unit.core.world import NOW, observed

from belay.api.instance_kinds import SHIPPED, Finished, InstanceKind, Stands, Write
from belay.api.instances import (
    Afterwards,
    InstanceCounts,
    InstanceResource,
    Instances,
    LabelSelector,
)
from belay.api.status import HistoryEntry, WorkflowStatus
from belay.api.words import Outcome, RolloutKind
from belay.core.decision import InstanceWrite, PauseInstances, ResumeInstances
from belay.core.instances import account, kinds, record, telling, view, writes
from belay.core.instances.view import Instances as Found
from belay.core.instances.view import InstanceView, read_instance

JOB, CRON_JOB = SHIPPED
TRAINING = InstanceKind(
    group="train.example.com",
    version="v1",
    resource="jobs",
    kind="Job",
    path="spec.runPolicy.suspend",
    cancel=Write(path="spec.stop", value="Now"),
)
ALL = LabelSelector(match_labels={"app": "triage"})


def wanted(kind: str, **more: object) -> Instances:
    return Instances(resources=[InstanceResource(kind=kind, selector=ALL, **more)])


@pytest.mark.parametrize(
    ("known", "one", "words"),
    [
        (SHIPPED, wanted("Job"), None),
        ((JOB, TRAINING), wanted("Job", group="batch"), None),
        ((JOB, TRAINING), wanted("Job"), "Job is a kind of batch, train.example.com: set group"),
        (SHIPPED, wanted("TrainJob"), "the kind TrainJob are not known here (known: CronJob, Job)"),
        ((TRAINING,), wanted("Job", afterwards=Afterwards.CANCEL), None),
        (SHIPPED, wanted("Job", afterwards=Afterwards.CANCEL), "nothing is known that ends a Job"),
    ],
    ids=["known", "by its group", "of two groups", "unknown", "it can be ended", "it cannot"],
)
def test_what_is_wanted_of_instances_has_to_be_possible(
    known: tuple[InstanceKind, ...], one: Instances, words: str | None
) -> None:
    told = kinds.objection(known, one)
    assert (told is None) if words is None else (words in str(told))


PHASED = TRAINING.model_copy(
    update={"finished": Finished(conditions=["Done"], path="status.phase", values=["Failed"])}
)


@pytest.mark.parametrize(
    ("change", "finished"),
    [
        ({}, False),
        ({"metadata": {"deletionTimestamp": "2026-05-04T12:00:00Z"}}, True),
        ({"status": {"conditions": [{"type": "Done", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Done", "status": "False"}]}}, False),
        ({"status": {"phase": "Failed"}}, True),
        ({"status": {"phase": "Running"}}, False),
    ],
)
def test_an_instance_has_ended_as_its_kind_says(change: dict[str, object], finished: bool) -> None:
    assert view.is_finished(PHASED, {"metadata": {}, "status": {}, **change}) is finished


def test_a_path_that_leads_nowhere_has_no_value() -> None:
    assert view.at({"status": {"phase": "Failed"}}, "status.phase") == "Failed"
    assert view.at({"status": {"phase": "Failed"}}, "status.phase.deeper") is None
    assert view.at({}, "status.phase") is None


@pytest.mark.parametrize(
    ("rule", "stands"),
    [
        (Stands(), True),
        (Stands(conditions=["Suspended"]), True),
        (Stands(conditions=["Suspended", "Empty"]), False),
        (Stands(without=["Suspended"]), False),
        (Stands(without=["Running"]), True),
        (Stands(path="status.state", values=["Paused"]), True),
        (Stands(path="status.state", values=["Running"]), False),
        (Stands(conditions=["Suspended"], path="status.state", values=["Running"]), False),
    ],
)
def test_an_instance_stands_still_when_its_controller_says_so(rule: Stands, stands: bool) -> None:
    raw = world.instance("Job", "a", suspended=True)
    raw["status"]["state"] = "Paused"
    kind = JOB.model_copy(update={"stands": rule})
    assert read_instance(kind, raw, None, ()).stands is stands
    assert not read_instance(kind, raw, None, ("a",)).stands
    running = world.instance("Job", "a") | {"status": raw["status"]}
    assert not read_instance(kind, running, None, ()).stands


def held(kind: InstanceKind = JOB, **more: object) -> InstanceView:
    raw = world.instance("Job", "a", suspended=True)
    raw["metadata"]["resourceVersion"] = "7"
    found = replace(read_instance(kind, raw, None, ()), holder=world.UID, suspended=True)
    return replace(found, **more)


def test_letting_go_names_the_version_that_was_read_and_nothing_of_ours() -> None:
    (write,) = writes.letting_go((held(),), frozenset(), "shop")
    assert write.body == {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "a",
            "namespace": "shop",
            "uid": "uid-of-Job-a",
            "resourceVersion": "7",
        },
    }


def test_what_is_to_end_is_let_go_and_ended_by_one_write() -> None:
    (write,) = writes.letting_go((held(TRAINING),), frozenset({"uid-of-Job-a"}), "shop")
    assert write.body["spec"] == {"stop": "Now"}
    (other,) = writes.letting_go((held(TRAINING),), frozenset({"uid-of-another"}), "shop")
    assert "spec" not in other.body


@pytest.mark.parametrize(
    ("one", "cancelled", "word"),
    [
        (held(), True, "cancelled"),
        (held(suspended=False), True, "cancelled"),
        (held(suspended=False), False, "contested"),
        (held(), False, "restarted"),
        (held(CRON_JOB), False, "resumed"),
    ],
)
def test_what_letting_go_does_is_told_by_one_word(
    one: InstanceView, cancelled: bool, word: str
) -> None:
    assert record.fate(one, cancelled) == word


def test_the_account_of_each_instance_is_kept_as_long_as_its_rollout_is_remembered() -> None:
    earlier = HistoryEntry(
        id="1-1",
        kind=RolloutKind.ROLLOUT,
        revision="v1",
        digest=world.digest("v1")[:19],
        outcome=Outcome.PROMOTED,
        started_at=NOW,
        ended_at=NOW,
    )
    seen = observed(status=WorkflowStatus(history=[earlier]))
    told = record.at_resuming(seen, NOW, (held(), held(uid="b")), frozenset({"b"}))
    assert (told.stage, told.workflow, told.uid) == ("resuming", "wf-1", world.UID)
    assert [(line["uid"], line["result"]) for line in told.lines] == [
        ("uid-of-Job-a", "restarted"),
        ("b", "cancelled"),
    ]
    assert told.lines[0] == {
        "kind": "Job",
        "name": "a",
        "uid": "uid-of-Job-a",
        "result": "restarted",
        "at": "2026-05-04T12:00:00Z",
    }
    assert "wf-1-instances-1-1" in told.kept


COUNTS = InstanceCounts(found=4, paused=3, restarted=2, resumed=1)
UNTOLD = InstanceCounts(found=4, paused=3)


@pytest.mark.parametrize(
    ("one", "known", "hidden", "after"),
    [
        ((held(),), None, False, None),
        ((), COUNTS, True, COUNTS),
        ((), UNTOLD, True, UNTOLD.model_copy(update={"not_resumed": 3})),
        ((held(),) * 4, UNTOLD, True, UNTOLD.model_copy(update={"not_resumed": 4})),
        ((), COUNTS, False, COUNTS),
        (
            (held(), held(CRON_JOB)),
            COUNTS,
            False,
            COUNTS.model_copy(update={"not_resumed": 2, "restarted": 1, "resumed": 0}),
        ),
        ((held(suspended=False),), COUNTS, False, COUNTS),
    ],
    ids=[
        "nothing was counted",
        "hidden, and told already",
        "hidden",
        "hidden, and more were seen before",
        "none is left",
        "one of each",
        "somebody else resumed it",
    ],
)
def test_what_could_not_be_let_go_in_time_is_counted(
    one: tuple[InstanceView, ...],
    known: InstanceCounts | None,
    hidden: bool,
    after: InstanceCounts | None,
) -> None:
    assert account.left(one, known, hidden=hidden) == after


def test_what_becomes_of_instances_is_told_anew_when_a_resuming_begins() -> None:
    told = account.untold(COUNTS.model_copy(update={"not_resumed": 1, "contested": 1}))
    assert told == UNTOLD
    assert account.untold(None) is None
    assert account.is_told(COUNTS)
    assert not account.is_told(UNTOLD)
    assert not account.is_told(None)


def found(*names: str, suspended: bool = False) -> Found:
    views = [
        replace(
            read_instance(JOB, world.instance("Job", n, suspended=suspended), None, ()),
            holder=world.UID,
        )
        for n in names
    ]
    return Found(world.UID, "2-1", tuple(views))


def test_a_pause_counts_all_that_it_found() -> None:
    counts = account.paused(found("a", "b", suspended=True), None)
    assert (counts.found, counts.paused) == (2, 2)


def test_the_account_of_a_pause_says_of_each_how_far_it_came() -> None:
    told = record.at_pausing(observed(), NOW, found("a", "b", suspended=True))
    assert told.stage == "pausing"
    assert [(line["name"], line["result"]) for line in told.lines] == [
        ("a", "paused"),
        ("b", "paused"),
    ]


def test_of_no_instances_nothing_is_told() -> None:
    assert telling.running(None) == telling.became(None) == ""
    assert "1 resumed" in telling.became(InstanceCounts(found=1, resumed=1))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("ab", "Job a, Job b"),
        ("abc", "Job a, Job b, Job c"),
        ("abcde", "Job a, Job b, Job c and 2 more"),
    ],
)
def test_the_log_names_three_and_counts_the_rest(names: str, said: str) -> None:
    writes = tuple(InstanceWrite(JOB, world.instance("Job", name)) for name in names)
    assert PauseInstances(writes).told == f"pausing {said}"
    assert ResumeInstances(writes).told == f"letting go {said}"
