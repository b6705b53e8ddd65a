"""The sample in its namespace: triage by the reference runner, its stub, and what it needs."""

import secrets
from pathlib import Path

import yaml
from tests.harness.cluster import Cluster
from tests.harness.demo.install import Installation
from tests.harness.demo.runs import Runs
from tests.harness.direct import direct
from tests.harness.setup import ROOT

from belay.shell.errors import ApiError

TRIAGE = ROOT / "deploy/samples/triage"
SAMPLE = ROOT / "deploy/samples/triage-engine"
_ROLES = ("check-credentials-role.yaml", "backup-role.yaml")
_ENGINE = "triage-engine"


def put_up(cluster: Cluster, operator: Installation, namespace: str) -> Runs:
    """Apply all but the Workflow; does not wait for pods, which need a revision to be ready."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    meta = {"name": namespace, "labels": labels}
    cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    files = [f"--filename={TRIAGE / name}.yaml" for name in ("classifier", "service")]
    cluster.kubectl("-n", namespace, "apply", *files)
    token = secrets.token_hex(32)
    engine = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _ENGINE},
        "type": "belay.dev/check-credentials",
        "stringData": {"token": token, "bearer": f"Bearer {token}"},
    }
    env = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "triage-env"},
        "data": {"CLASSIFIER": f"{_address(cluster, namespace, 'classifier')}:8080"},
    }
    cluster.apply(engine, env, *_granted(operator), namespace=namespace)
    cluster.kubectl("-n", namespace, "apply", "--filename", str(SAMPLE / "deployment.yaml"))
    host = _address(cluster, namespace, "triage")
    return Runs(host, token, lambda: _pods(cluster.kubeconfig, namespace))


def _granted(operator: Installation) -> list[dict[str, object]]:
    """The Roles that a tenant grants, as they are shipped."""
    found = []
    for name in _ROLES:
        for body in yaml.safe_load_all((ROOT / "deploy/samples" / name).read_text()):
            if body["kind"] == "RoleBinding":
                body["subjects"][0] |= {"name": operator.deployment, "namespace": operator.home}
            elif "resourceNames" in body["rules"][0]:
                body["rules"][0]["resourceNames"] = [_ENGINE]
            found.append(body)
    return found


def _address(cluster: Cluster, namespace: str, service: str) -> str:
    return str(cluster.get("-n", namespace, "service", service)["spec"]["clusterIP"])


def _pods(kubeconfig: Path, namespace: str) -> list[str]:
    path = f"/api/v1/namespaces/{namespace}/pods?labelSelector=app%3Dtriage"
    try:
        found = direct(kubeconfig).read(path)["items"]
    except ApiError:
        return []
    return [pod["status"]["podIP"] for pod in found if pod["status"].get("podIP")]
