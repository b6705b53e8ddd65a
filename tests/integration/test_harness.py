"""The harness keeps its promises: a real API server, real pods, a log of every call."""

import pytest
from tests.harness import images, kube
from tests.harness.cluster import Cluster


def test_the_api_server_answers(cluster: Cluster) -> None:
    assert cluster.kubectl("get", "--raw", "/readyz") == "ok"


def test_every_call_of_a_test_is_in_the_audit_log(cluster: Cluster, namespace: str) -> None:
    log = cluster.audit()
    if log is None:
        pytest.skip(f"the harness does not run the API server of {cluster.kind}")
    mark = log.mark()
    cluster.kubectl("create", "configmap", "seen", "--namespace", namespace)
    cluster.kubectl("create", "configmap", "tried", "-n", namespace, "--dry-run=server")
    calls = log.entries(since=mark, namespace=namespace, verb="create")
    assert [(call.resource, call.name, call.code, call.is_write) for call in calls] == [
        ("configmaps", "seen", 201, True),
        ("configmaps", "tried", 201, False),
    ]
    assert log.entries(since=log.mark(), namespace=namespace) == []


@pytest.mark.pods
def test_a_pod_under_restricted_security_becomes_ready(cluster: Cluster, namespace: str) -> None:
    cluster.apply(web_pod(), namespace=namespace)
    pod = kube.wait(cluster, namespace, "pod/web", kube.is_true("Ready"))
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0


def web_pod() -> kube.Object:
    """A small HTTP server that obeys the strictest PodSecurity level."""
    secure = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    container = {
        "name": "web",
        "image": images.base().name,
        "imagePullPolicy": "Never",
        "command": ["python3", "-m", "http.server", "8080", "--directory", "/etc"],
        "readinessProbe": {"httpGet": {"path": "/hostname", "port": 8080}, "periodSeconds": 1},
        "resources": {"limits": {"memory": "64Mi"}},
        "securityContext": secure,
    }
    spec = {
        "containers": [container],
        "terminationGracePeriodSeconds": 1,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": spec}
