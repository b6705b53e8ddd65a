"""Plain HTTP to the API server as the administrator: a process of kubectl costs far more."""

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes.client import ApiClient
from kubernetes.config import new_client_from_config
from tests.harness.merging import MERGE

from belay.shell.errors import translate
from belay.shell.resources import Resource

Object = dict[str, Any]

_APPLY = "application/apply-patch+yaml"


class Direct:
    """Verbs on raw objects. Every refusal is a `belay.shell.errors.ApiError`.

    As with kubectl, a field that the schema does not know is refused unless `validation` is
    another: `Ignore`.
    """

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def get(self, resource: Resource, namespace: str | None, name: str) -> Object:
        return self._call("GET", resource.path(namespace, name))

    def create(
        self,
        resource: Resource,
        namespace: str | None,
        body: Object,
        *,
        validation: str = "Strict",
        dry_run: bool = False,
    ) -> Object:
        query = _query(validation, dry_run)
        return self._call("POST", resource.path(namespace) + query, body)

    def replace(
        self,
        resource: Resource,
        namespace: str,
        body: Object,
        *,
        validation: str = "Strict",
    ) -> Object:
        """Put `body` in the place of what is there now, whatever its resourceVersion."""
        name = body["metadata"]["name"]
        version = self.get(resource, namespace, name)["metadata"]["resourceVersion"]
        body = {**body, "metadata": {**body["metadata"], "resourceVersion": version}}
        return self._call("PUT", resource.path(namespace, name) + _query(validation), body)

    def apply(
        self,
        resource: Resource,
        namespace: str,
        body: Object,
        *,
        manager: str = "kubectl",
        subresource: str | None = None,
    ) -> Object:
        """Server-side apply, not forced."""
        path = resource.path(namespace, body["metadata"]["name"], subresource)
        return self._call("PATCH", path + _query("Strict", manager=manager), body, kind=_APPLY)

    def patch_status(self, resource: Resource, namespace: str, name: str, status: Object) -> Object:
        path = resource.path(namespace, name, "status") + _query("Strict")
        return self._call("PATCH", path, {"status": status}, kind=MERGE)

    def delete(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Ask for the deletion; does not wait for it."""
        self._call("DELETE", resource.path(namespace, name))

    def read(self, path: str, agent: str = "belay-test") -> Object:
        """What is at a path of the API server, asked by this user agent."""
        return self._call("GET", path, agent=agent)

    def _call(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        kind: str = "application/json",
        agent: str = "belay-test",
    ) -> Object:
        headers = {"Content-Type": kind, "Accept": "application/json", "User-Agent": agent}
        self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
        answer = self._client.rest_client.pool_manager.request(
            method,
            self._client.configuration.host + path,
            body=None if body is None else json.dumps(body),
            headers=headers,
            timeout=30,
        )
        if answer.status >= 400:
            raise translate(answer.status, _told(answer.data), None)
        found: Object = json.loads(answer.data)
        return found


def _told(data: bytes) -> Object:
    """A refusal; a path that the server does not know at all is refused in plain text."""
    try:
        found: Object = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace")}
    return found


def direct(kubeconfig: Path) -> Direct:
    """One for each cluster of a process, which keeps its connections."""
    return _direct(kubeconfig, kubeconfig.stat().st_mtime_ns)


@cache
def _direct(kubeconfig: Path, written: int) -> Direct:
    """By the time of writing, too: a new cluster in the same place has other certificates."""
    del written
    return Direct(new_client_from_config(config_file=str(kubeconfig)))


def _query(validation: str, dry_run: bool = False, manager: str = "") -> str:
    query = {"fieldValidation": validation}
    if dry_run:
        query["dryRun"] = "All"
    if manager:
        query["fieldManager"] = manager
    return f"?{urlencode(query)}"
