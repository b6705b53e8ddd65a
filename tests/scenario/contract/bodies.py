"""Small objects for the contract tests; a Deployment has no replicas, so that nothing stirs."""

from typing import Any

Object = dict[str, Any]
_NOW = "2026-03-01T12:00:00Z"
_ZEROS = f"sha256:{'0' * 64}"


def config_map(name: str, labels: dict[str, str] | None = None, **data: str) -> Object:
    metadata: Object = {"name": name} | ({"labels": labels} if labels else {})
    return {"metadata": metadata} | ({"data": data} if data else {})


def owner(name: str, uid: str) -> Object:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "uid": uid}


def pod(name: str, node: str) -> Object:
    return {"metadata": {"name": name}, "spec": {**_pod_spec(), "nodeName": node}}


def deployment(name: str) -> Object:
    spec = _pod_spec()
    spec["volumes"] = [{"name": "tmp", "emptyDir": {}}]
    spec["containers"][0]["volumeMounts"] = [{"name": "tmp", "mountPath": "/tmp"}]
    template = {"metadata": {"labels": {"app": name}, "annotations": {"own": "1"}}, "spec": spec}
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": name}},
            "template": template,
        },
    }


def delivery(name: str, uid: str, content: str) -> Object:
    """What a delivery applies, in small."""
    field = {"path": "current.json", "fieldRef": {"fieldPath": "metadata.annotations['content']"}}
    files = {"name": content, "items": [{"key": "a", "path": "a"}]}
    sources = [{"downwardAPI": {"items": [field]}}, {"configMap": files}]
    mount = {"name": "belay", "mountPath": "/etc/belay", "readOnly": True}
    template = {
        "metadata": {"annotations": {"content": content}},
        "spec": {
            "volumes": [{"name": "belay", "projected": {"sources": sources}}],
            "containers": [{"name": "app", "volumeMounts": [mount]}],
        },
    }
    return {"metadata": {"name": name, "uid": uid}, "spec": {"template": template}}


def workflow(name: str, revision: str = "v1") -> Object:
    target = {"workloads": [{"kind": "Deployment", "name": "d"}]}
    return {"metadata": {"name": name}, "spec": {"activeRevision": revision, "target": target}}


def condition(kind: str, status: str) -> Object:
    return {
        "type": kind,
        "status": status,
        "reason": "Progressing",
        "message": "m",
        "lastTransitionTime": _NOW,
    }


def ref() -> Object:
    return {
        "revision": "v1",
        "digest": _ZEROS,
        "contentDigest": _ZEROS,
        "uid": "1",
        "format": "JSON",
    }


def quarantine() -> Object:
    return {
        "attemptDigest": _ZEROS,
        "revision": "v1",
        "reason": "CheckFailed",
        "at": _NOW,
        "rollout": "1-1",
    }


def history() -> Object:
    return {
        "id": "1-1",
        "kind": "Rollout",
        "revision": "v1",
        "digest": _ZEROS[:19],
        "outcome": "Failed",
        "reason": "CheckFailed",
        "startedAt": _NOW,
        "endedAt": _NOW,
    }


def _pod_spec() -> Object:
    return {
        "terminationGracePeriodSeconds": 30,
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "app",
                "image": "localhost/pause:1",
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
            }
        ],
    }
