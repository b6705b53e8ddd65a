"""Builders of what `decide` sees: a Workflow, its revisions, a Deployment, pods, tallies."""

import hashlib
from collections.abc import Sequence
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

from belay.api.check import Check, HttpCheck
from belay.api.instances import InstanceResource, Instances, LabelSelector, Policy
from belay.api.revision import Format, WorkflowRevisionSpec
from belay.api.status import Condition, RevisionRef, WorkflowStatus
from belay.api.words import ConditionType, Reason, Stage, Verdict
from belay.api.workflow import Target, TargetKind, Verification, WorkflowSpec, Workload
from belay.core.evidence.probe import Answer, Sample, Tally
from belay.core.keys import Key
from belay.core.observed import Observed, Refusal, RevisionView
from belay.core.workloads import WorkloadView
from belay.core.workloads.reading import read_workload

Raw = dict[str, Any]

KEY = Key("shop", "wf-1")
UID = "00000000-0000-0000-0000-00000000wf01"
NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def stamp(when: datetime) -> str:
    """A time as the API server writes it into metadata."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def digest(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def check(name: str = "answers", **more: Any) -> Check:
    http = more.pop("http", {"port": 8080, "path": "/run"})
    return Check(name=name, http=HttpCheck.model_validate(http), **more)


def spec(
    active: str = "v1", *, workloads: Sequence[str | Workload] = ("triage",), **more: Any
) -> WorkflowSpec:
    """A wish; keywords are fields of the spec, or of its `verification`."""
    verification = {k: more.pop(k) for k in list(more) if k in Verification.model_fields}
    verification.setdefault("checks", [check()])
    verification.setdefault("window", "10s")
    mount_path = {"mount_path": more.pop("mount_path")} if "mount_path" in more else {}
    targets = [
        w if isinstance(w, Workload) else Workload(kind=TargetKind.DEPLOYMENT, name=w)
        for w in workloads
    ]
    return WorkflowSpec(
        active_revision=active,
        target=Target(workloads=targets, **mount_path),
        verification=Verification(**verification),
        **more,
    )


def revision(name: str = "v1", content: str | None = None, **more: Any) -> RevisionView:
    """A WorkflowRevision; equal `content` means equal digests."""
    text = f"behaviour: {content or name}\n"
    body = WorkflowRevisionSpec(
        workflow_name=KEY.name,
        revision=name,
        definition=text,
        format=Format.YAML,
        media_type=Format.YAML.media_type,
        digest=digest("behaves like " + text),
        content_digest=digest(text),
        **more,
    )
    return RevisionView(uid=f"uid-of-{name}", spec=body, content=text)


def ref(name: str = "v1", content: str | None = None) -> RevisionRef:
    return revision(name, content).ref


def template() -> Raw:
    """A pod template before Belay, as the API server returns it."""
    port = {"name": "http", "containerPort": 8080, "protocol": "TCP"}
    return {
        "metadata": {"labels": {"app": "triage"}, "creationTimestamp": None},
        "spec": {
            "containers": [{"name": "app", "image": "triage:1", "ports": [port]}],
            "restartPolicy": "Always",
        },
    }


def deployment(name: str = "triage", **spec_fields: Any) -> Raw:
    """A Deployment with two pods that consents and has completed its update."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": name,
            "namespace": KEY.namespace,
            "uid": f"uid-of-{name}",
            "resourceVersion": "7",
            "generation": 1,
            "annotations": {"belay.dev/workflow": KEY.name},
            "managedFields": [],
        },
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": name}},
            "template": template(),
            **spec_fields,
        },
        "status": {
            "observedGeneration": 1,
            "replicas": 2,
            "updatedReplicas": 2,
            "availableReplicas": 2,
        },
    }


def pod(
    name: str,
    owner: str = "",
    *,
    like: Raw | None = None,
    created: datetime = NOW,
    ready: bool = True,
    state: Raw | None = None,
    restarts: int = 0,
    **status: Any,
) -> Raw:
    """A pod whose one container runs, unless told otherwise."""
    shape = deepcopy(like or template())
    one = {
        "name": shape["spec"]["containers"][0]["name"],
        "restartCount": restarts,
        "state": state or {"running": {}},
    }
    if restarts:
        one["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
    return {
        "metadata": {
            "name": name,
            "uid": f"uid-of-{name}",
            "creationTimestamp": stamp(created),
            "annotations": dict(shape.get("metadata", {}).get("annotations") or {}),
            "ownerReferences": [{"uid": owner, "controller": True}] if owner else [],
        },
        "spec": shape["spec"],
        "status": {
            "podIP": "10.0.0.7",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [one],
            **status,
        },
    }


def refusal(reason: Reason, message: str) -> Refusal:
    return Refusal(reason, message)


def instance(kind: str, name: str, *, suspended: bool = False) -> Raw:
    """A Job or CronJob; a Job's controller has said that it stands still."""
    state = {"type": "Suspended", "status": "True"}
    return {
        "apiVersion": "batch/v1",
        "kind": kind,
        "metadata": {"name": name, "uid": f"uid-of-{kind}-{name}"},
        "spec": {"suspend": suspended},
        "status": {"conditions": [state]},
    }


def instances(policy: Policy | None = Policy.PAUSE, **more: Any) -> Instances:
    """All Jobs, with this policy, and all CronJobs."""
    every = LabelSelector(match_labels={"app": "triage"})
    of_kinds = [
        InstanceResource(kind="Job", selector=every, policy=policy),
        InstanceResource(kind="CronJob", selector=every),
    ]
    return Instances(resources=of_kinds, **more)


def view(raw: Raw | None = None, *, found: bool = True, **workload: Any) -> WorkloadView:
    """A target as it is read, without pods."""
    wanted = Workload(kind=TargetKind.DEPLOYMENT, **{"name": "triage", **workload})
    return read_workload(wanted, (raw or deployment()) if found else None, [], [])


def observed(**more: Any) -> Observed:
    """A Workflow that was just created, with its revision and its Deployment."""
    defaults: Raw = {
        "key": KEY,
        "uid": UID,
        "generation": 1,
        "spec": spec(),
        "status": WorkflowStatus(),
        "revision": revision(),
        "workloads": (view(),),
    }
    return Observed(**{**defaults, **more})


def tally(
    pod_name: str,
    *verdicts: Verdict,
    check_name: str = "answers",
    at: datetime = NOW,
    got: str = "",
) -> Tally:
    """What a probe of one pod saw, one second after another."""
    seen = Tally(
        check=check_name,
        stage=Stage.GATE,
        pod=pod_name,
        pod_uid=f"uid-of-{pod_name}",
        asked="GET :8080/run",
    )
    for number, verdict in enumerate(verdicts):
        answer = {
            Verdict.PASS: Answer.RIGHT,
            Verdict.FAIL: Answer.WRONG,
            Verdict.INCONCLUSIVE: Answer.NONE,
        }[verdict]
        said = got or {"Right": "200", "Wrong": "500 instead of 200"}.get(answer, "no answer")
        seen = seen.count(Sample(answer, said, at + seconds(number)), verdict)
    return seen


def condition(status: WorkflowStatus, kind: ConditionType) -> Condition | None:
    return next((c for c in status.conditions if c.type is kind), None)
