"""Before an uninstall: the operator's Deployment has no pods any more when this ends."""

import json
import os
import ssl
import time
import urllib.request
from pathlib import Path
from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST, PORT = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
SERVER = f"https://[{HOST}]:{PORT}" if ":" in HOST else f"https://{HOST}:{PORT}"
NAMESPACE = (ACCOUNT / "namespace").read_text()
DEPLOYMENT = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{os.environ['DEPLOYMENT']}"
TLS = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))


def call(path: str, patch: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
    headers["Content-Type"] = "application/merge-patch+json"
    body = None if patch is None else json.dumps(patch).encode()
    method = "GET" if patch is None else "PATCH"
    request = urllib.request.Request(SERVER + path, body, headers, method=method)
    with urllib.request.urlopen(request, context=TLS, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def stopped() -> bool:
    found = call(DEPLOYMENT)
    seen = found["status"].get("observedGeneration", 0) >= found["metadata"]["generation"]
    return seen and not found["status"].get("replicas")


call(f"{DEPLOYMENT}/scale", {"spec": {"replicas": 0}})
while not stopped():
    time.sleep(0.2)
print("the operator is stopped")
