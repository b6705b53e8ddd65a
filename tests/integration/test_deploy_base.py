"""The manifests of deploy/: they build, the API server takes them, and they grant no more.

What is shared by the whole cluster is only tried (dry run): other tests run Belay beside this one.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT, SetupError

from belay.core.workloads.argo_rollout import OPTION

Objects = list[dict[str, Any]]
DRY = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "-f", "-")


@pytest.fixture(scope="module")
def base(cluster: Cluster) -> Objects:
    """What `kubectl kustomize deploy/base` makes."""
    built = cluster.kubectl("kustomize", str(ROOT / "deploy" / "base"))
    return list(yaml.safe_load_all(built))


def of_kind(objects: Objects, kind: str, name: str = "belay") -> dict[str, Any]:
    (found,) = [one for one in objects if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


def moved(obj: dict[str, Any], namespace: str) -> dict[str, Any]:
    """The same object in another namespace."""
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def in_namespaces(objects: Objects) -> Objects:
    return [one for one in objects if "namespace" in one["metadata"]]


def test_the_api_server_takes_what_is_of_the_whole_cluster(cluster: Cluster, base: Objects) -> None:
    shared = [one for one in base if "namespace" not in one["metadata"]]
    assert {one["kind"] for one in shared} == {
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
    }

    cluster.kubectl(*DRY, stdin=yaml.safe_dump_all(shared))


def test_the_api_server_takes_what_is_in_the_namespace(
    cluster: Cluster, base: Objects, namespace: str
) -> None:
    ours = in_namespaces(base)
    assert {one["metadata"]["namespace"] for one in ours} == {"belay-system"}

    cluster.apply(*(moved(one, namespace) for one in ours if one["kind"] != "Deployment"))
    cluster.kubectl(*DRY, stdin=yaml.safe_dump(moved(of_kind(base, "Deployment"), namespace)))


def test_the_pod_is_admitted_under_pod_security_restricted(
    cluster: Cluster, base: Objects, namespace: str
) -> None:
    """The test's namespace enforces what the base's own namespace enforces."""
    labels = of_kind(base, "Namespace", "belay-system")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    cluster.apply(moved(of_kind(base, "ServiceAccount"), namespace))
    template = of_kind(base, "Deployment")["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**template["metadata"], "name": "belay", "namespace": namespace}

    cluster.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


def test_the_service_and_the_deployment_select_the_operators_pods(base: Objects) -> None:
    deployment = of_kind(base, "Deployment")["spec"]
    labels = deployment["template"]["metadata"]["labels"].items()

    assert deployment["selector"]["matchLabels"].items() <= labels
    assert of_kind(base, "Service", "belay-metrics")["spec"]["selector"].items() <= labels


def test_the_image_is_named_in_one_place(base: Objects) -> None:
    (container,) = of_kind(base, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "localhost/belay:dev"


def roles(base: Objects) -> Objects:
    return [one for one in base if one["kind"] in {"Role", "ClusterRole"}]


def grants(base: Objects, granted: Callable[[dict[str, Any]], bool]) -> list[str]:
    """Names of the roles with a rule for which this holds."""
    return [
        role["metadata"]["name"]
        for role in roles(base)
        if any(map(granted, role.get("rules") or ()))
    ]


@pytest.mark.parametrize("part", ["apiGroups", "resources", "verbs"])
def test_no_role_has_a_wildcard(base: Objects, part: str) -> None:
    assert grants(base, lambda rule: any("*" in word for word in rule[part])) == []


def test_no_role_reaches_secrets_or_raises_its_own_rights(base: Objects) -> None:
    assert grants(base, lambda rule: "secrets" in rule["resources"]) == []
    raising = {"escalate", "bind", "impersonate"}
    assert grants(base, lambda rule: bool(raising & set(rule["verbs"]))) == []
    inside = {"pods/exec", "pods/attach", "pods/portforward", "pods/proxy", "serviceaccounts/token"}
    assert grants(base, lambda rule: bool(inside & set(rule["resources"]))) == []


def test_the_operator_never_writes_a_spec_of_its_users(base: Objects) -> None:
    writing = {"create", "update", "patch"}
    rules = of_kind(base, "ClusterRole")["rules"]
    ours = [rule for rule in rules if rule["apiGroups"] == ["belay.dev"]]

    written = {
        resource for rule in ours for resource in rule["resources"] if writing & set(rule["verbs"])
    }
    assert written == {"workflows/status"}


def test_viewers_see_our_resources_and_editors_have_to_be_chosen(base: Objects) -> None:
    view = of_kind(base, "ClusterRole", "belay-view")["metadata"]["labels"]
    edit = of_kind(base, "ClusterRole", "belay-edit")["metadata"]["labels"]

    assert view["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert not any("aggregate-to" in label for label in edit)


def test_a_tenant_can_grant_one_secret(cluster: Cluster, namespace: str) -> None:
    sample = ROOT / "deploy" / "samples" / "check-credentials-role.yaml"
    cluster.kubectl("apply", "-n", namespace, "-f", str(sample))

    def may(verb: str, what: str) -> bool:
        belay = "--as=system:serviceaccount:belay-system:belay"
        try:
            cluster.kubectl("auth", "can-i", verb, what, "-n", namespace, belay)
        except SetupError:
            return False
        return True

    assert may("get", "secrets/triage-check")
    assert not may("get", "secrets/another")
    assert not may("list", "secrets")


def test_a_component_allows_argo_rollouts_and_brings_the_rights(
    cluster: Cluster, base: Objects, tmp_path: Path
) -> None:
    def beside(folder: str) -> str:
        return os.path.relpath(ROOT / "deploy" / folder, tmp_path)

    overlay = {"resources": [beside("base")], "components": [beside("components/argo-rollouts")]}
    (tmp_path / "kustomization.yaml").write_text(json.dumps(overlay))
    built = list(yaml.safe_load_all(cluster.kubectl("kustomize", str(tmp_path))))

    (container,) = of_kind(built, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["run", f"--target-kind={OPTION}"]
    (selector,) = of_kind(base, "ClusterRole", "belay-targets")["aggregationRule"][
        "clusterRoleSelectors"
    ]
    rights = of_kind(built, "ClusterRole", "belay-target-argo-rollouts")
    assert selector["matchLabels"].items() <= rights["metadata"]["labels"].items()
    added = [one for one in built if one["kind"] != "Deployment" and one not in base]
    assert added == [rights]
    cluster.kubectl(*DRY, stdin=yaml.safe_dump(rights))
