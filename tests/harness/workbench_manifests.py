"""What the users of a workbench apply: Workflows, revisions and the application's own objects."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tests.harness import images

from belay.api.names import API_VERSION
from belay.api.revision import Binding, Format
from belay.core.revisions.read import parse
from belay.core.revisions.revision import Draft, build

Object = dict[str, Any]

ANSWERS: Object = {
    "name": "answers",
    "http": {"port": "http", "path": "/run"},
    "period": "200ms",
    "timeout": "10s",
}
"""The usual check: three wrong answers within half a second."""

_APP = Path(__file__).parent / "workbench_app.py"


def workflow(
    name: str = "wf",
    revision: str = "v1",
    *,
    targets: Iterable[str] = ("app",),
    checks: Sequence[Object] = (ANSWERS,),
    window: str = "1s",
    preview: str = "Pod",
    **spec: Any,
) -> Object:
    """The manifest of a Workflow; `spec` holds further members of it, of verification too.

    Targets are names of Deployments, or `kind/name`.
    """
    verification = {"checks": list(checks), "window": window, "preview": preview}
    for member in ("onInconclusive", "steady"):
        if member in spec:
            verification[member] = spec.pop(member)
    workloads = [dict(zip(("kind", "name"), kind_name(target), strict=True)) for target in targets]
    return {
        "metadata": {"name": name},
        "spec": {
            "activeRevision": revision,
            "target": {"workloads": workloads},
            "verification": verification,
            **spec,
        },
    }


def revision_body(
    flow: str, revision: str, definition: Object, bindings: Sequence[Object] = ()
) -> Object:
    """A WorkflowRevision with a JSON definition, made by the product's own code."""
    document = parse(json.dumps(definition).encode(), Format.JSON)
    draft = Draft(
        workflow=flow,
        revision=revision,
        form=Format.JSON,
        document=document,
        bindings=[Binding.model_validate(one) for one in bindings],
    )
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkflowRevision",
        "metadata": {"name": f"{flow}-{revision}"},
        "spec": build(draft).to_api(),
    }


def deployment(
    name: str,
    *,
    flow: str | None = "wf",
    replicas: int = 1,
    linger: float = 0,
    switch: bool = False,
    tls: bool = False,
    **pod: Any,
) -> Object:
    """A Deployment of the application. `pod` holds further members of the pod's spec.

    `linger`: seconds that an ending pod serves on; `switch`: it reads the ConfigMap `switch`;
    `tls`: it has the certificate of the Secret `tls`.
    """
    container: Object = {
        "name": "app",
        "image": images.base().name,
        "imagePullPolicy": "Never",
        "command": ["python3", "-IS", "-u", "-c", _APP.read_text()],
        "env": [{"name": "LINGER", "value": str(linger)}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": "http"},
            "periodSeconds": 1,
            "timeoutSeconds": 5,
        },
        "resources": {"requests": {"cpu": "1m", "memory": "16Mi"}, "limits": {"memory": "96Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    volumes: list[Object] = []
    if switch:
        container["volumeMounts"] = [{"name": "switch", "mountPath": "/switch"}]
        volumes = [{"name": "switch", "configMap": {"name": "switch", "optional": True}}]
    if tls:
        container["volumeMounts"] = [{"name": "tls", "mountPath": "/tls"}]
        container["ports"] += [{"containerPort": 8443}, {"containerPort": 9090}]
        volumes = [{"name": "tls", "secret": {"secretName": "tls"}}]
    spec = {
        "terminationGracePeriodSeconds": int(linger) + 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
        **pod,
    }
    return {
        "metadata": {
            "name": name,
            "annotations": {"belay.dev/workflow": flow} if flow else {},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": spec},
        },
    }


def workload(target: str, *, replicas: int = 1, **options: Any) -> Object:
    """The application as a workload of any kind; for `options` see the Deployment's."""
    kind, name = kind_name(target)
    body = deployment(name, replicas=replicas, **options)
    if kind != "Deployment":
        del body["spec"]["strategy"]
    if kind == "StatefulSet":
        body["spec"]["serviceName"] = name
    if kind == "DaemonSet":
        del body["spec"]["replicas"]
    return body


def kind_name(target: str) -> tuple[str, str]:
    """Kind and name of a target."""
    kind, _, name = target.rpartition("/")
    return kind or "Deployment", name


def service(name: str = "app") -> Object:
    """A Service of the application's pods."""
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}


def cron_job(
    program: str,
    name: str = "probe",
    flow: str = "wf",
    *,
    labels: Object | None = None,
    suspend: bool = True,
) -> Object:
    """A CronJob that consents: the template of checks by Job. `program` is Python."""
    metadata = {"name": name, "annotations": {"belay.dev/workflow": flow}, "labels": labels or {}}
    spec: Object = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": _job_spec(program)}}
    return {"metadata": metadata, "spec": {**spec, **({"suspend": True} if suspend else {})}}


def job(
    name: str, *, labels: Object | None = None, suspend: bool | None = None, seconds: float = 3600
) -> Object:
    """A Job whose pod works for so long."""
    program = f"import signal, time; signal.signal(15, lambda *_: exit(0)); time.sleep({seconds})"
    spec = _job_spec(program) | ({} if suspend is None else {"suspend": suspend})
    return {"metadata": {"name": name, "labels": labels or {}}, "spec": spec}


def _job_spec(program: str) -> Object:
    container: Object = {
        "name": "ask",
        "image": images.base().name,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", program],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    user: Object = {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    pod = {"restartPolicy": "Never", "securityContext": user, "containers": [container]}
    return {"template": {"spec": pod}}
