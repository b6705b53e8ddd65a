"""What a test does with a cluster: a namespace of its own, waiting by watching, tokens."""

import json
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.harness.certificates import kubeconfig
from tests.harness.cluster import Cluster
from tests.harness.direct import direct

from belay.shell.errors import AlreadyExists
from belay.shell.resources import Resource

Object = dict[str, Any]

_NAMESPACES = Resource("", "v1", "namespaces", "Namespace")
_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


@contextmanager
def namespace(
    cluster: Cluster, prefix: str = "t", *, security: str = "restricted"
) -> Iterator[str]:
    """A namespace of the test's own, gone afterwards; pods in it must obey `security`."""
    name = f"{prefix}-{uuid.uuid4().hex[:8]}"
    labels = {"pod-security.kubernetes.io/enforce": security, "belay.dev/test": "true"}
    api = direct(cluster.kubeconfig)
    api.create(_NAMESPACES, None, {"metadata": {"name": name, "labels": labels}})
    try:
        with suppress(AlreadyExists):  # pods need it, and its controller may not have come to it
            api.create(_ACCOUNTS, name, {"metadata": {"name": "default"}})
        yield name
    finally:
        api.delete(_NAMESPACES, None, name)


def wait(
    cluster: Cluster,
    namespace: str,
    what: str,
    good: Callable[[Object], object],
    seconds: float = 60,
) -> Object:
    """Watch one object (`pod/web`) until it is `good`, and give it; it need not exist yet.

    Raises TimeoutError, with the object as it was last seen.
    """
    kind, _, name = what.partition("/")
    seen: Object = {}
    with _watch(cluster, namespace, kind, name, seconds) as objects:
        for seen in objects:
            if good(seen):
                return seen
    shown = json.dumps(seen.get("status", seen), indent=1)[:3000]
    raise TimeoutError(f"{what} in {namespace} within {seconds} s; last seen: {shown}")


def is_true(condition: str) -> Callable[[Object], bool]:
    """For `wait`: whether the object has this condition with status True."""

    def good(found: Object) -> bool:
        conditions = found.get("status", {}).get("conditions", [])
        return any(each["type"] == condition and each["status"] == "True" for each in conditions)

    return good


def service_account_kubeconfig(
    cluster: Cluster, namespace: str, account: str, path: Path, *, duration: str = "1h"
) -> Path:
    """Write a kubeconfig that acts as a ServiceAccount, by a token of the API server."""
    view = cluster.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json")
    target = json.loads(view)["clusters"][0]["cluster"]
    where = ["--namespace", namespace, "--duration", duration]
    token = cluster.kubectl("create", "token", account, *where).strip()
    path.touch(mode=0o600)
    path.write_text(json.dumps(kubeconfig(target, {"token": token}), indent=1))
    return path


@contextmanager
def _watch(
    cluster: Cluster, namespace: str, kind: str, name: str, seconds: float
) -> Iterator[Iterator[Object]]:
    """The states of an object as they come; the iteration ends with the time."""
    command = [cluster.kubectl_path, "--kubeconfig", str(cluster.kubeconfig), "get", kind]
    chosen = [f"--field-selector=metadata.name={name}", "--namespace", namespace]
    with subprocess.Popen(
        [*command, *chosen, "--watch", "--output", "json"], stdout=subprocess.PIPE, text=True
    ) as process:
        timer = threading.Timer(seconds, process.kill)
        timer.start()
        try:
            assert process.stdout is not None
            yield _objects(process.stdout)
        finally:
            timer.cancel()
            process.kill()


def _objects(lines: Iterator[str]) -> Iterator[Object]:
    """Each object is printed over many lines; the outermost brace ends it."""
    text = ""
    for line in lines:
        text += line
        if line.rstrip() == "}":
            yield json.loads(text)
            text = ""
