"""Argo Rollouts as targets: what their status says, and what Belay makes of it."""

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.core import world
from tests.unit.core.json_patch import patched
from tests.unit.core.world import KEY, Raw, observed, pod, spec

from belay.api.words import Reason
from belay.api.workflow import TargetApiVersion, TargetKind, Workload
from belay.core.decision import PatchTemplate
from belay.core.delivery import Delivery
from belay.core.evidence.proof import Fault
from belay.core.gates import Ask, Refuse, gate
from belay.core.phases.own_update import given_up, late_update
from belay.core.pods import read_pod
from belay.core.template_write import deliver
from belay.core.workloads import Cause, WorkloadView
from belay.core.workloads.argo_rollout import HASH_LABEL, OPTION, completion, unsupported
from belay.core.workloads.reading import read_workload

HEALTHY: Raw = {
    "observedGeneration": "3",
    "phase": "Healthy",
    "currentPodHash": "new",
    "stableRS": "new",
    "replicas": 2,
    "updatedReplicas": 2,
    "availableReplicas": 2,
}
CANARY: Raw = {
    **HEALTHY,
    "phase": "Progressing",
    "stableRS": "old",
    "replicas": 3,
    "updatedReplicas": 1,
    "availableReplicas": 3,
}
PROMOTE = "kubectl argo rollouts -n shop promote triage"


def rollout(status: Raw | None = None, **spec_fields: Any) -> Raw:
    """A Rollout of generation 3 with two pods."""
    raw = world.deployment(**{"strategy": {"canary": {}}, **spec_fields})
    raw |= {"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout"}
    raw["metadata"] |= {"generation": 3, "resourceVersion": "7"}
    raw["status"] = HEALTHY if status is None else status
    return raw


def read(raw: Raw, *owned: Raw, pods: Any = (), container: str | None = None) -> WorkloadView:
    kind, version = TargetKind.ROLLOUT, TargetApiVersion.ARGO
    wanted = Workload(kind=kind, api_version=version, name="triage", container=container)
    return read_workload(wanted, raw, list(owned), pods)


def delivered() -> Raw:
    """A Rollout that carries v1."""
    write = deliver(read(rollout()), Delivery(KEY, world.ref(), "v1", "/etc/belay"))
    assert isinstance(write, PatchTemplate)
    return patched(rollout(), write.operations)


def with_pod(raw: Raw, **more: Any) -> WorkloadView:
    """The Rollout with one new pod."""
    return replace(read(raw), pods=(read_pod(pod("p", **more), "app"),))


# Completion


def test_a_healthy_rollout_is_complete() -> None:
    found = completion(rollout())
    assert (found.done, found.desired, found.updated, found.available) == (True, 2, 2, 2)


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": "2"},
        {"observedGeneration": ""},
        {"observedGeneration": "7f9c6d5"},
        {"phase": "Progressing"},
        {"phase": "Paused"},
        {"phase": "Degraded"},
        {"stableRS": "old"},
        {"stableRS": "", "currentPodHash": ""},
        {"updatedReplicas": 1},
        {"availableReplicas": 1},
    ],
    ids=str,
)
def test_anything_less_is_not_complete(status: Raw) -> None:
    assert not completion(rollout({**HEALTHY, **status})).done


def test_a_rollout_that_its_controller_never_saw_is_not_complete() -> None:
    found = completion(rollout({}))
    assert (found.done, found.gave_up, found.pause) == (False, None, "")


def test_new_pods_that_are_available_are_counted_beside_the_old() -> None:
    assert completion(rollout(CANARY)).told == "1 of 2 pods"


# Its own abort


def aborted(message: str) -> Raw:
    told = {"type": "Progressing", "status": "False", "reason": "RolloutAborted"}
    condition = {**told, "message": f"Rollout aborted update to revision 2{message}"}
    return rollout({**CANARY, "phase": "Degraded", "abort": True, "conditions": [condition]})


FAILED = (
    ': Step-based analysis phase error/failed: Metric "ok" assessed Failed due to failed (1) '
    "> failureLimit (0)"
)
NO_ANSWER = (
    ': Step-based analysis phase error/failed: Metric "ok" assessed Error due to '
    "consecutiveErrors (5) > consecutiveErrorLimit (4)"
)
LATE = ': ReplicaSet "triage-new" has timed out progressing.'


@pytest.mark.parametrize(
    ("message", "cause", "fault", "reason"),
    [
        ("", Cause.PERSON, Fault.PERSON, Reason.ABORTED),
        (FAILED, Cause.EVIDENCE, Fault.REVISION, Reason.CHECK_FAILED),
        (NO_ANSWER, Cause.NO_EVIDENCE, Fault.ENVIRONMENT, Reason.INCONCLUSIVE),
        (LATE, Cause.TIME, Fault.ENVIRONMENT, Reason.INCONCLUSIVE),
    ],
    ids=["a person", "its analysis", "no analysis", "no progress"],
)
def test_the_fault_of_an_abort_is_told_by_its_evidence(
    message: str, cause: Cause, fault: Fault, reason: Reason
) -> None:
    view = read(aborted(message))
    assert view.completion.gave_up is not None
    assert view.completion.gave_up.cause is cause
    why = given_up(observed(workloads=(view,)), [], 4.0)
    assert why is not None
    assert (why.fault, why.reason) == (fault, reason)
    assert why.message.startswith("Rollout triage: ")
    assert message.removeprefix(": ") in why.message


def test_no_progress_is_judged_by_the_pods_where_there_are_any() -> None:
    view = with_pod(aborted(LATE), ready=False)
    why = given_up(observed(workloads=(view,)), view.pods, 4.0)
    assert why is not None
    assert (why.fault, why.reason) == (Fault.REVISION, Reason.NOT_READY)


def test_an_abort_of_a_former_template_is_no_news() -> None:
    raw = aborted(FAILED)
    raw["metadata"]["generation"] = 4
    assert completion(raw).gave_up is None


# Its own pauses

STEPS: list[Raw] = [{"setWeight": 50}, {"pause": {}}, {"pause": {"duration": "1h"}}]


def paused(*reasons: str, at: int = 1, **strategy: Any) -> Raw:
    conditions = [{"reason": r, "startTime": "2026-05-04T12:00:00Z"} for r in reasons]
    status = {**CANARY, "phase": "Paused", "pauseConditions": conditions, "currentStepIndex": at}
    return rollout(status, strategy=strategy or {"canary": {"steps": STEPS}})


@pytest.mark.parametrize(
    ("raw", "waits"),
    [
        (paused("CanaryPauseStep"), True),
        (paused("CanaryPauseStep", at=2), False),
        (paused("InconclusiveAnalysisRun", at=2), True),
        (paused("CanaryPauseStep", "InconclusiveAnalysisRun", at=2), True),
        (paused("BlueGreenPause", blueGreen={}), True),
        (paused("BlueGreenPause", blueGreen={"autoPromotionSeconds": 5}), False),
        (paused("CanaryPauseStep", at=3), True),
        (rollout(CANARY), False),
    ],
    ids=["step", "timed", "analysis", "both", "blue-green", "auto", "beyond", "none"],
)
def test_only_a_pause_that_a_person_ends_is_waited_for(raw: Raw, waits: bool) -> None:
    found = completion(raw)
    assert bool(found.pause) is waits
    assert (PROMOTE in found.told) is waits
    assert not found.done


def test_a_pause_at_the_deadline_is_no_verdict_and_says_what_to_do() -> None:
    view = read(paused("CanaryPauseStep"))
    why = late_update(observed(workloads=(view,)), [], 300)
    assert (why.fault, why.reason) == (Fault.UNKNOWN, Reason.INCONCLUSIVE)
    pauses = f"pauses (CanaryPauseStep) until somebody runs: {PROMOTE}"
    assert why.message == f"after 5 min Rollout triage still {pauses}"


def test_pods_that_do_not_start_say_more_than_the_pause() -> None:
    view = with_pod(paused("CanaryPauseStep"), ready=False)
    why = late_update(observed(workloads=(view,)), view.pods, 300)
    assert why.reason is Reason.NOT_READY


# Trouble


@pytest.mark.parametrize(
    ("kind", "message", "reason"),
    [
        ("InvalidSpec", "service not found", Reason.ENVIRONMENT_CONFIGURATION),
        ("ReplicaFailure", "exceeded quota: q", Reason.ENVIRONMENT_QUOTA),
        ("ReplicaFailure", "forbidden", Reason.ENVIRONMENT_FORBIDDEN),
    ],
)
def test_trouble_of_its_controller_is_told(kind: str, message: str, reason: Reason) -> None:
    condition = {"type": kind, "status": "True", "message": message}
    trouble = completion(rollout({**CANARY, "conditions": [condition]})).trouble
    assert trouble is not None
    assert (trouble.reason, trouble.message, trouble.hopeless) == (reason, message, False)


# New pods


def replica_set(hashed: str, template: Raw) -> Raw:
    """As the API server returns it: with defaults that the Rollout's own template does not have."""
    template = {**template, "spec": {**template["spec"], "dnsPolicy": "ClusterFirst"}}
    labels = {HASH_LABEL: hashed}
    annotations = {"rollout.argoproj.io/revision": "2"}
    metadata = {"uid": f"uid-of-{hashed}", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "spec": {"template": template}}


def test_new_pods_are_those_of_the_replica_set_with_the_current_hash() -> None:
    raw = delivered()
    template = raw["spec"]["template"]
    new, old = replica_set("new", template), replica_set("old", world.template())
    pods = [pod("n", "uid-of-new", like=template), pod("o", "uid-of-old")]
    assert [p.name for p in read(raw, old, new, pods=pods).pods] == ["n"]


@pytest.mark.parametrize("status", [{"observedGeneration": "2"}, {"currentPodHash": "old"}])
def test_no_pod_is_new_before_its_controller_has_seen_the_template(status: Raw) -> None:
    raw = delivered()
    raw["status"] = {**HEALTHY, **status}
    template = raw["spec"]["template"]
    owned = [replica_set("new", template), replica_set("old", world.template())]
    pods = [pod("n", "uid-of-new", like=template), pod("o", "uid-of-old")]
    assert read(raw, *owned, pods=pods).pods == ()


# Gating


def wanted() -> Any:
    kind, version = TargetKind.ROLLOUT, TargetApiVersion.ARGO
    return spec(workloads=[Workload(kind=kind, api_version=version, name="triage")])


def gated(raw: Raw | None, *allowed: str) -> Any:
    view = read(raw) if raw else replace(read(rollout()), raw=None)
    kinds = frozenset(allowed)
    return gate(observed(spec=wanted(), workloads=(view,), allowed_kinds=kinds), released=False)


def test_an_allowed_rollout_is_asked_of_the_server() -> None:
    assert isinstance(gated(rollout(), OPTION), Ask)


@pytest.mark.parametrize("raw", [rollout(), None], ids=["there", "not read"])
def test_a_rollout_is_refused_where_the_administrator_does_not_allow_it(raw: Raw | None) -> None:
    answer = gated(raw)
    assert isinstance(answer, Refuse)
    assert answer.reason is Reason.TARGET_UNSUPPORTED
    assert "belay run --target-kind rollouts.argoproj.io" in answer.message


def invalid() -> Raw:
    condition = {"type": "InvalidSpec", "status": "True", "message": "no Service"}
    return rollout({**HEALTHY, "phase": "Degraded", "conditions": [condition]})


def referring() -> Raw:
    """A Rollout without a template of its own."""
    raw = rollout(workloadRef={"apiVersion": "apps/v1", "kind": "Deployment", "name": "other"})
    del raw["spec"]["template"]
    return raw


def with_volumes(volumes: Any) -> Raw:
    """The CRD takes anything there."""
    raw = rollout()
    raw["spec"]["template"]["spec"]["volumes"] = volumes
    return raw


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (referring(), "put the template into spec.template"),
        (rollout(paused=True), f"its owner runs: {PROMOTE}"),
        (invalid(), "is not valid, says its own controller: no Service"),
        (with_volumes({"name": "a"}), "no list of named volumes"),
        (with_volumes(["a"]), "no list of named volumes"),
        (with_volumes([{"emptyDir": {}}]), "no list of named volumes"),
    ],
    ids=["workloadRef", "paused", "invalid", "no list", "no mappings", "no names"],
)
def test_what_cannot_be_rolled_is_refused_with_the_remedy(raw: Raw, words: str) -> None:
    answer = gated(raw, OPTION)
    assert isinstance(answer, Refuse)
    assert answer.reason is Reason.TARGET_UNSUPPORTED
    assert words in answer.message


def test_a_pause_step_is_no_reason_to_refuse() -> None:
    assert unsupported(paused("CanaryPauseStep")) is None
