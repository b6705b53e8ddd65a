"""Pods and workloads as they are read from raw objects."""

from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.toy_cluster import applied
from tests.unit.core.world import KEY, NOW, pod, view

from belay.api.words import Reason
from belay.api.workflow import TargetKind, Workload
from belay.core.delivery import Delivery, template_patch
from belay.core.pods import Pod, declared_ports, read_pod
from belay.core.workloads.deployment import DEPLOYMENT
from belay.core.workloads.history import replica_sets
from belay.core.workloads.raw import is_paused_by_us
from belay.core.workloads.reading import (
    choose_container,
    mounted_container,
    read_carried,
    read_workload,
)

DELIVERY = Delivery(KEY, world.ref(), "v1", "/etc/belay")


def delivered(template: dict[str, Any] | None = None) -> dict[str, Any]:
    patch = template_patch(view(), DELIVERY)["spec"]["template"]
    return applied(template or world.template(), patch)


def replica_set(number: int, template: dict[str, Any]) -> dict[str, Any]:
    return {
        "metadata": {
            "uid": f"rs-{number}",
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
        },
        "spec": {"template": template},
    }


def read(raw: dict[str, Any] | None, *owned: dict[str, Any], pods: Any = ()) -> Any:
    wanted = Workload(kind=TargetKind.DEPLOYMENT, name="triage")
    return read_workload(wanted, raw, list(owned), pods)


# Pods


def test_a_running_pod_is_read() -> None:
    found = read_pod(pod("p", ready=True), "app")
    assert (found.ready, found.running, found.terminating, found.trouble) == (
        True,
        True,
        False,
        None,
    )
    assert (found.address, found.created) == ("10.0.0.7", NOW)
    assert (found.port(8080), found.port("http"), found.port("admin")) == (8080, 8080, None)
    assert (found.total_restarts, found.crash_looping(), found.last_exit) == (0, None, "")


def test_a_pod_without_status_has_not_run() -> None:
    raw = pod("p")
    del raw["status"]
    found = read_pod(raw, "app")
    assert (found.ready, found.running, found.address, found.last_exit) == (False, False, "", "")


@pytest.mark.parametrize(("restarts", "looping"), [(2, None), (3, "app")])
def test_three_restarts_are_a_crash_loop(restarts: int, looping: str | None) -> None:
    found = read_pod(pod("p", restarts=restarts), "app")
    assert found.crash_looping() == looping
    assert found.last_exit == "exit code 1"


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        ({"exitCode": 137, "reason": "OOMKilled"}, "exit code 137 (OOMKilled)"),
        ({"exitCode": 0, "reason": "Completed"}, "exit code 0"),
        ({"exitCode": 2}, "exit code 2"),
    ],
)
def test_the_end_of_a_container_is_told_for_people(ended: dict[str, Any], words: str) -> None:
    assert read_pod(pod("p", state={"terminated": ended}), "app").last_exit == words


@pytest.mark.parametrize(
    ("state", "ran"),
    [
        ({"state": {"waiting": {"reason": "ContainerCreating"}}}, False),
        ({"state": {"terminated": {"exitCode": 1}}}, True),
        (
            {
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": {"exitCode": 1}},
            },
            True,
        ),
        ({}, False),
    ],
)
def test_a_container_that_ran_before_did_its_part(state: dict[str, Any], ran: bool) -> None:
    raw = pod("p", ready=False, containerStatuses=[{"name": "app", **state}])
    assert read_pod(raw, "app").running is ran


@pytest.mark.parametrize(
    ("word", "reason", "hopeless"),
    [
        ("CreateContainerConfigError", Reason.ENVIRONMENT_CONFIGURATION, True),
        ("RunContainerError", Reason.ENVIRONMENT_CONFIGURATION, True),
        ("CreateContainerError", Reason.ENVIRONMENT_CONFIGURATION, False),
        ("InvalidImageName", Reason.ENVIRONMENT_IMAGE, True),
        ("ErrImageNeverPull", Reason.ENVIRONMENT_IMAGE, True),
        ("ErrImagePull", Reason.ENVIRONMENT_IMAGE, False),
        ("ImagePullBackOff", Reason.ENVIRONMENT_IMAGE, False),
        ("ContainerCreating", Reason.ENVIRONMENT_MOUNT, False),
        ("PodInitializing", Reason.ENVIRONMENT_MOUNT, False),
    ],
)
def test_what_keeps_a_pod_from_running_is_named(word: str, reason: Reason, hopeless: bool) -> None:
    waiting = {"waiting": {"reason": word, "message": " details "}}
    trouble = read_pod(pod("p", state=waiting), "app").trouble
    assert trouble is not None
    assert (trouble.reason, trouble.hopeless) == (reason, hopeless)
    assert trouble.message == f"{word}: details"
    bare = read_pod(pod("p", state={"waiting": {"reason": word}}), "app").trouble
    assert bare is not None
    assert bare.message == word


def test_a_crash_loop_is_no_trouble_of_the_environment() -> None:
    raw = pod("p", state={"waiting": {"reason": "CrashLoopBackOff"}})
    assert read_pod(raw, "app").trouble is None


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"reason": "Evicted"}, "the pod was evicted"),
        ({"reason": "Evicted", "message": "low on memory"}, "low on memory"),
        ({"conditions": [{"type": "PodScheduled", "status": "False"}]}, "no node has room"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes"}]},
            "0/1 nodes",
        ),
    ],
)
def test_a_pod_without_a_node_is_trouble_of_the_environment(
    status: dict[str, Any], words: str
) -> None:
    trouble = read_pod(pod("p", **status), "app").trouble
    assert trouble is not None
    assert (trouble.reason, trouble.message) == (Reason.ENVIRONMENT_SCHEDULING, words)
    assert not trouble.hopeless


def test_init_containers_restart_and_wait_too() -> None:
    init = {
        "name": "migrate",
        "restartCount": 4,
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
        "state": {"waiting": {"reason": "ErrImagePull"}},
    }
    found: Pod = read_pod(pod("p", initContainerStatuses=[init]), "app")
    assert (found.crash_looping(), found.last_exit) == ("migrate", "exit code 3")
    assert found.trouble is not None


def test_ports_are_those_of_one_container_and_of_tcp() -> None:
    spec = {
        "containers": [
            {
                "name": "app",
                "ports": [{"containerPort": 80}, {"containerPort": 53, "protocol": "UDP"}],
            },
            {"name": "proxy", "ports": [{"containerPort": 9090, "name": "admin"}]},
        ]
    }
    assert declared_ports(spec, "app") == {"80": 80}
    assert declared_ports(spec, "proxy") == {"9090": 9090, "admin": 9090}
    assert declared_ports(spec, None) == {"80": 80, "9090": 9090, "admin": 9090}


# Workloads


def test_new_pods_are_those_of_the_newest_replica_set_that_has_this_template() -> None:
    new, old = delivered(), world.template()
    raw = world.deployment(template=new)
    pods = [
        pod("b", "rs-2", like=new),
        pod("a", "rs-2", like=new),
        pod("old", "rs-1", like=old),
        pod("stray", like=new),
    ]
    pods[1]["metadata"]["deletionTimestamp"] = "2026-05-04T12:00:00Z"
    found = read(raw, replica_set(1, old), replica_set(2, new), replica_set(0, new), pods=pods)
    assert [p.name for p in found.pods] == ["b"]


def test_a_controller_that_lags_behind_the_template_has_no_new_pods() -> None:
    old = world.template()
    pods = [pod("old", "rs-1", like=old)]
    raw = world.deployment(template=delivered())
    assert read(raw, replica_set(1, old), pods=pods).pods == ()
    assert read(world.deployment(), replica_set(1, old), pods=pods).pods == ()


def test_the_labels_of_controllers_do_not_make_another_template() -> None:
    new = delivered()
    labelled = delivered()
    labelled["metadata"]["labels"] = {**labelled["metadata"]["labels"], "pod-template-hash": "x"}
    found = read(
        world.deployment(template=new), replica_set(1, labelled), pods=[pod("p", "rs-1", like=new)]
    )
    assert [p.name for p in found.pods] == ["p"]


def test_a_missing_workload_is_read_as_such() -> None:
    found = read(None)
    assert (found.found, found.uid, found.consent, found.told) == (
        False,
        "",
        None,
        "Deployment triage",
    )
    assert not found.completion.done


@pytest.mark.parametrize(
    ("named", "containers", "default", "chosen"),
    [
        (None, ["app"], None, "app"),
        ("app", ["proxy", "app"], None, "app"),
        (None, ["proxy", "app"], "app", "app"),
        (None, ["proxy", "app"], None, None),
        ("other", ["app"], None, None),
    ],
)
def test_the_container_is_named_or_default_or_the_only_one(
    named: str | None, containers: list[str], default: str | None, chosen: str | None
) -> None:
    annotations = {"kubectl.kubernetes.io/default-container": default} if default else {}
    template = {
        "metadata": {"annotations": annotations},
        "spec": {"containers": [{"name": c} for c in containers]},
    }
    assert choose_container(named, template) == chosen


def test_the_container_with_our_volume_is_found() -> None:
    assert mounted_container(delivered()["spec"]) == "app"
    assert mounted_container(world.template()["spec"]) is None


@pytest.mark.parametrize("damage", ["no pointer", "no JSON", "other digest", "no volume", "bare"])
def test_what_carries_only_half_of_our_fields_carries_nothing(damage: str) -> None:
    template = delivered()
    annotations = template["metadata"]["annotations"]
    if damage == "no pointer":
        del annotations["belay.dev/current"]
    elif damage == "no JSON":
        annotations["belay.dev/current"] = "v1"
    elif damage == "other digest":
        annotations["belay.dev/content-digest"] = world.digest("other")
    elif damage == "no volume":
        template["spec"]["volumes"] = []
    else:
        annotations["belay.dev/current"] = "[]"
    assert read_carried(template) is None


def test_the_last_hand_on_the_template_that_is_not_ours_is_named() -> None:
    raw = world.deployment()
    fields = {"fieldsV1": {"f:spec": {"f:template": {}}}}
    raw["metadata"]["managedFields"] = [
        {"manager": "kubectl-create", "time": "2026-05-04T10:00:00Z", **fields},
        {"manager": "argocd", "time": "2026-05-04T11:00:00Z", **fields},
        {"manager": "belay-delivery", "time": "2026-05-04T12:00:00Z", **fields},
        {"manager": "hpa", "time": "2026-05-04T13:00:00Z", "fieldsV1": {"f:spec": {}}},
    ]
    assert read(raw).changed_by == "argocd"
    raw["metadata"]["managedFields"] = []
    assert read(raw).changed_by == ""


# Deployment: completion as `kubectl rollout status` tells it


@pytest.mark.parametrize(
    ("status", "done", "told"),
    [
        ({}, True, "2 of 2 pods"),
        ({"observedGeneration": 0}, False, "2 of 2 pods"),
        ({"updatedReplicas": 1}, False, "1 of 2 pods"),
        ({"replicas": 3}, False, "1 of 2 pods"),
        ({"availableReplicas": 1}, False, "1 of 2 pods"),
        ({"replicas": 4, "availableReplicas": 2}, False, "0 of 2 pods"),
    ],
)
def test_a_deployment_is_complete_when_kubectl_says_so(
    status: dict[str, Any], done: bool, told: str
) -> None:
    raw = world.deployment()
    raw["status"] |= status
    found = DEPLOYMENT.completion(raw)
    assert (found.done, found.told) == (done, told)


def test_a_deployment_without_a_number_wants_one_pod() -> None:
    raw = world.deployment()
    del raw["spec"]["replicas"], raw["status"]
    found = DEPLOYMENT.completion(raw)
    assert (found.done, found.desired) == (False, 1)


@pytest.mark.parametrize(
    ("condition", "reason", "words"),
    [
        ({"message": "exceeded quota: pods=2"}, Reason.ENVIRONMENT_QUOTA, "exceeded quota: pods=2"),
        ({"reason": "FailedCreate"}, Reason.ENVIRONMENT_FORBIDDEN, "FailedCreate"),
        ({}, Reason.ENVIRONMENT_FORBIDDEN, "no pods are made"),
    ],
)
def test_a_deployment_that_may_make_no_pods_says_why(
    condition: dict[str, Any], reason: Reason, words: str
) -> None:
    raw = world.deployment()
    failing = {"type": "ReplicaFailure", "status": "True", **condition}
    raw["status"]["conditions"] = [{"type": "Available", "status": "True"}, failing]
    trouble = DEPLOYMENT.completion(raw).trouble
    assert trouble is not None
    assert (trouble.reason, trouble.message) == (reason, words)
    raw["status"]["observedGeneration"] = 0
    assert DEPLOYMENT.completion(raw).trouble is None


@pytest.mark.parametrize(
    ("managers", "ours"),
    [((), False), (("kubectl",), False), (("kubectl", "belay-pause"), True), (("belay",), False)],
)
def test_a_label_of_a_pause_is_ours_where_we_wrote_it(
    managers: tuple[str, ...], ours: bool
) -> None:
    raw = {"metadata": {"managedFields": [{"manager": m} for m in managers]}}
    assert is_paused_by_us(raw) is ours
    assert not is_paused_by_us({"metadata": {}})


@pytest.mark.parametrize(
    ("annotations", "number"), [({"n": "3"}, 3), ({"n": ""}, 0), ({}, 0), (None, 0)]
)
def test_an_annotation_numbers_replica_sets(annotations: Any, number: int) -> None:
    assert replica_sets("n").number({"metadata": {"annotations": annotations}}) == number


@pytest.mark.parametrize(
    ("status", "hosts"),
    [
        ({}, ()),
        ({"hostIP": "192.0.2.1"}, ("192.0.2.1",)),
        ({"hostIPs": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}]}, ("192.0.2.1", "2001:db8::1")),
        ({"hostIP": "192.0.2.1", "hostIPs": [{"ip": "192.0.2.1"}]}, ("192.0.2.1",)),
    ],
)
def test_addresses_of_the_node_are_those_that_any_field_tells(
    status: dict[str, Any], hosts: tuple[str, ...]
) -> None:
    assert read_pod(pod("a", **status), "app").hosts == hosts
