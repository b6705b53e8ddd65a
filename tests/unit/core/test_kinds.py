"""StatefulSets and DaemonSets: completion, new pods, and pods that are waited for."""

from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.test_reading import delivered
from tests.unit.core.toy_cluster import applied
from tests.unit.core.world import KEY, Raw, pod

from belay.api.status import WorkflowStatus
from belay.api.words import Reason
from belay.api.workflow import TargetKind, Workload
from belay.core.decision import DeletePod
from belay.core.delivery import Delivery, preview_pod, template_patch
from belay.core.gates import Refuse, gate, preview_workload
from belay.core.phases.stuck import unstick, waited_for
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import read_workload

STATEFUL = TargetKind.STATEFUL_SET
DAEMON = TargetKind.DAEMON_SET


def raw_of(kind: TargetKind, status: Raw | None = None, **spec: Any) -> Raw:
    """A workload of a kind; without `status`, its controller has seen its spec."""
    body = world.deployment(**spec)
    return {**body, "kind": kind.value, "status": status or {"observedGeneration": 1}}


def read(raw: Raw, *owned: Raw, pods: Any = ()) -> WorkloadView:
    wanted = Workload(kind=TargetKind(raw["kind"]), name="triage")
    return read_workload(wanted, raw, list(owned), pods)


def carrying(name: str) -> Raw:
    """A pod template that a revision was delivered to."""
    one = Delivery(KEY, world.ref(name), name, "/etc/belay")
    return applied(world.template(), template_patch(world.view(), one)["spec"]["template"])


def revision(name: str, number: int, template: Raw, **labels: str) -> Raw:
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "labels": labels,
            "ownerReferences": [{"uid": "uid-of-triage", "controller": True}],
        },
        "revision": number,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
    }


def pod_of(name: str, hashed: str, like: Raw, owner: str = "uid-of-triage", **more: Any) -> Raw:
    made = pod(name, owner, like=like, **more)
    made["metadata"]["labels"] = {"app": "triage", "controller-revision-hash": hashed}
    return made


# Completion of a StatefulSet


def stateful(**changed: Any) -> Raw:
    """The status of a StatefulSet of two that is complete, with changes."""
    return {
        "observedGeneration": 1,
        "replicas": 2,
        "updatedReplicas": 2,
        "availableReplicas": 2,
        "currentRevision": "triage-b",
        "updateRevision": "triage-b",
        **changed,
    }


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (stateful(), "2 of 2 pods"),
        (stateful(observedGeneration=0), None),
        (stateful(currentRevision="triage-a", updatedReplicas=1), None),
        (stateful(currentRevision="triage-a"), None),
        (stateful(availableReplicas=1), None),
        (stateful(replicas=1, updatedReplicas=1, availableReplicas=1), None),
        # Back to the current revision while a pod of the other one is ready.
        (stateful(updatedReplicas=1), None),
        (stateful(replicas=3), None),
    ],
)
def test_a_stateful_set_is_complete_when_every_pod_is_of_the_one_revision(
    status: Raw, told: str | None
) -> None:
    found = read(raw_of(STATEFUL, status)).completion
    assert found.done is (told is not None)
    assert told in (None, found.told)


def test_pods_of_the_old_revision_do_not_count_as_available() -> None:
    status = stateful(updatedReplicas=1, availableReplicas=2, currentRevision="triage-a")
    assert read(raw_of(STATEFUL, status)).completion.told == "1 of 2 pods"


# Completion of a DaemonSet


def daemon(**changed: Any) -> Raw:
    return {
        "observedGeneration": 1,
        "desiredNumberScheduled": 3,
        "updatedNumberScheduled": 3,
        "numberAvailable": 3,
        **changed,
    }


@pytest.mark.parametrize(
    ("status", "done", "told"),
    [
        (daemon(), True, "3 of 3 pods"),
        (daemon(observedGeneration=0), False, "3 of 3 pods"),
        (daemon(updatedNumberScheduled=2), False, "2 of 3 pods"),
        (daemon(numberAvailable=2), False, "2 of 3 pods"),
        (daemon(updatedNumberScheduled=1, numberAvailable=2), False, "0 of 3 pods"),
    ],
)
def test_a_daemon_set_is_complete_when_every_node_has_an_available_new_pod(
    status: Raw, done: bool, told: str
) -> None:
    found = read(raw_of(DAEMON, status)).completion
    assert (found.done, found.told) == (done, told)


# What is refused


@pytest.mark.parametrize(
    ("kind", "spec", "words"),
    [
        (STATEFUL, {"updateStrategy": {"type": "OnDelete"}}, "set spec.updateStrategy.type"),
        (DAEMON, {"updateStrategy": {"type": "OnDelete"}}, "set spec.updateStrategy.type"),
        (STATEFUL, {"updateStrategy": {"rollingUpdate": {"partition": 2}}}, "below ordinal 2"),
        (STATEFUL, {"updateStrategy": {"rollingUpdate": {"partition": 0}}}, None),
        (STATEFUL, {}, None),
        (DAEMON, {"updateStrategy": {"type": "RollingUpdate"}}, None),
    ],
)
def test_a_strategy_that_does_not_roll_by_itself_is_unsupported(
    kind: TargetKind, spec: Raw, words: str | None
) -> None:
    raw = raw_of(kind, **spec)
    why = read(raw).kind.unsupported(raw)
    assert (why is None) if words is None else (why is not None and words in why)


@pytest.mark.parametrize(("mounted", "possible"), [("data", False), ("tmp", True)])
def test_a_stateful_set_whose_pods_mount_their_own_claims_has_no_preview(
    mounted: str, possible: bool
) -> None:
    raw = with_claims()
    container = raw["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": mounted, "mountPath": "/data"}]
    why = read(raw).kind.no_preview(raw)
    assert (why is None) is possible
    assert why is None or "volumeClaimTemplate data" in why


def with_claims() -> Raw:
    template = world.template()
    template["spec"]["containers"][0]["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    claims = [{"metadata": {"name": "data"}}]
    return raw_of(STATEFUL, template=template, volumeClaimTemplates=claims)


def test_a_preview_that_cannot_be_is_refused_before_anything_is_touched() -> None:
    answer = gate(world.observed(workloads=(read(with_claims()),)), released=False)
    assert isinstance(answer, Refuse)
    assert answer.reason is Reason.PREVIEW_IMPOSSIBLE
    assert "no preview pod of StatefulSet triage is possible" in answer.message
    assert "Set spec.verification.preview: None" in answer.message


def test_the_preview_copies_another_workload_that_can_have_one_more_pod() -> None:
    views = (read(with_claims()), world.view(world.deployment("api"), name="api"))
    seen = world.observed(workloads=views, spec=world.spec(workloads=("triage", "api")))
    assert preview_workload(seen).name == "api"


def test_the_owner_of_any_kind_is_told_the_command_of_consent() -> None:
    raw = raw_of(DAEMON)
    raw["metadata"]["annotations"] = {}
    answer = gate(world.observed(workloads=(read(raw),)), released=False)
    assert isinstance(answer, Refuse)
    assert "annotate daemonset triage belay.dev/workflow=wf-1" in answer.message


def test_a_preview_pod_has_no_name_that_a_headless_service_tells() -> None:
    template = world.template()
    template["spec"] |= {"hostname": "triage-0", "subdomain": "triage"}
    raw = raw_of(STATEFUL, template=template, serviceName="triage")
    made = preview_pod(read(raw), Delivery(KEY, world.ref(), "v1", "/etc/belay"), "uid", "1-1", 60)
    assert {"hostname", "subdomain"} & made["spec"].keys() == set()
    assert made["metadata"]["labels"] == {"belay.dev/preview": "1-1"}


# New pods


@pytest.mark.parametrize(
    ("kind", "hashed"), [(STATEFUL, "triage-b"), (DAEMON, "b")], ids=["StatefulSet", "DaemonSet"]
)
def test_new_pods_are_those_of_the_controller_revision_with_the_live_template(
    kind: TargetKind, hashed: str
) -> None:
    new, old = delivered(), world.template()
    held = [
        revision("triage-a", 3, old, **{"controller-revision-hash": "a"}),
        revision("triage-b", 2, new, **{"controller-revision-hash": "b"}),
    ]
    pods = [
        pod_of("triage-1", hashed, new),
        pod_of("triage-0", "a", old),
        pod_of("stranger", hashed, new, owner="uid-of-another"),
        pod("bare", "uid-of-triage", like=new),
    ]
    found = read(raw_of(kind, template=new), *held, pods=pods)
    assert [p.name for p in found.pods] == ["triage-1"]


def test_no_pod_is_new_before_the_controller_has_kept_the_template() -> None:
    pods = [pod_of("triage-0", "triage-a", world.template())]
    held = revision("triage-a", 1, world.template())
    found = read(raw_of(STATEFUL, template=delivered()), held, pods=pods)
    assert (found.pods, found.former) == ((), ())


# Pods that are waited for


def broken(
    *pods: Raw,
    live: str | None = "v1",
    stable: str | None = "v1",
    consent: bool = True,
    **spec: Any,
) -> list[DeletePod]:
    """What is deleted of a StatefulSet that carries `live` and has these pods."""
    templates = {"v1": carrying("v1"), "v2": carrying("v2"), "v3": carrying("v3")}
    template = templates[live] if live else world.template()
    raw = raw_of(STATEFUL, template=template, **spec)
    if not consent:
        raw["metadata"]["annotations"] = {}
    held = [revision(f"triage-{n}", i, t) for i, (n, t) in enumerate(templates.items())]
    view = read(raw, *held, pods=pods)
    status = WorkflowStatus(stable=world.ref(stable) if stable else None)
    return unstick(world.observed(workloads=(view,), status=status))


def of(name: str, number: int = 1, *, ready: bool = False, dying: bool = False) -> Raw:
    made = pod_of(f"triage-{number}", f"triage-{name}", carrying(name), ready=ready)
    if dying:
        made["metadata"]["deletionTimestamp"] = "2026-05-04T12:00:00Z"
    return made


@pytest.mark.parametrize("live", ["v1", "v3", None])
def test_a_broken_pod_of_a_former_attempt_goes(live: str | None) -> None:
    found = broken(of("v2"), live=live, stable="v1" if live else None)
    assert found == [DeletePod("triage-1", "uid-of-triage-1")]
    assert found[0].told == (
        "deleting pod triage-1: it is not ready, and its workload waits for it"
    )


@pytest.mark.parametrize(
    ("why", "pods", "more"),
    [
        ("it is ready", [of("v2", ready=True)], {}),
        ("it is of what is being delivered", [of("v2")], {"live": "v2"}),
        ("it is of the proven revision", [of("v1")], {"live": "v2"}),
        ("all pods heal at once", [of("v2")], {"podManagementPolicy": "Parallel"}),
        ("the owner took the consent back", [of("v2")], {"consent": False}),
        ("it goes already", [of("v2", dying=True)], {}),
        ("another one goes first", [of("v2"), of("v2", 0, dying=True)], {}),
        ("it never was ours", [pod_of("triage-1", "x", world.template(), ready=False)], {}),
        ("another made it", [pod_of("p", "x", carrying("v2"), "else", ready=False)], {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_other_pod_goes(why: str, pods: list[Raw], more: dict[str, Any]) -> None:
    assert broken(*pods, **more) == [], why


def own(*, ready: bool) -> Raw:
    return pod_of("triage-1", "x", world.template(), ready=ready)


@pytest.mark.parametrize(
    ("pods", "waits"),
    [
        ([own(ready=False)], True),
        ([own(ready=True)], False),
        ([of("v1"), own(ready=False)], False),
        ([of("v1", 0, ready=True), own(ready=False)], True),
    ],
    ids=["alone", "ready", "the new one is not ready too", "the new one is ready"],
)
def test_a_pod_that_is_not_ours_to_delete_is_named(pods: list[Raw], waits: bool) -> None:
    raw = raw_of(STATEFUL, template=carrying("v1"))
    view = read(raw, revision("triage-v1", 1, carrying("v1")), pods=pods)
    why = waited_for(world.observed(workloads=(view,)), 300)
    assert (why is not None) is waits
    assert why is None or "after 5 min: StatefulSet triage replaces no pod" in why.message
    assert why is None or "pod triage-1, which ran before, is not ready" in why.message


def test_broken_pods_go_one_at_a_time() -> None:
    assert [a.name for a in broken(of("v2", 1), of("v2", 0))] == ["triage-0"]


def test_nothing_goes_before_the_controller_has_seen_the_template() -> None:
    raw = raw_of(STATEFUL, {"observedGeneration": 0}, template=carrying("v1"))
    view = read(raw, revision("triage-v1", 1, carrying("v1")), pods=[of("v2")])
    assert view.former == ()
