"""The chart: what it renders, what it refuses, and that it says the same as deploy/base."""

import json
from typing import Any

import pytest
import yaml
from tests.harness import binaries, charts
from tests.harness.cluster import Cluster
from tests.harness.score import score
from tests.harness.setup import ROOT, SetupError, run

from belay.api.instance_kinds import Finished, InstanceKind, ManagedBy, Stands, Write
from belay.api.instances import Policy

Object = dict[str, Any]
KINDS = next(
    each
    for each in yaml.safe_load_all((ROOT / "deploy/samples/instance-kinds.yaml").read_text())
    if each["kind"] == "ConfigMap"
)


def by_name(objects: list[Object]) -> dict[tuple[str, str], Object]:
    return {(each["kind"], each["metadata"]["name"]): charts.plain(each) for each in objects}


def test_the_chart_and_the_base_say_the_same() -> None:
    kubectl = binaries.find(("kubectl",)) / "kubectl"
    built = yaml.load_all(run([kubectl, "kustomize", ROOT / "deploy/base"]), yaml.CSafeLoader)
    base = by_name([each for each in built if each["kind"] != "Namespace"])
    rendered = charts.render({"image": {"tag": "dev"}})
    chart = by_name([each for each in rendered if not charts.is_hook(each)])

    assert chart.keys() == base.keys()
    for name, obj in base.items():
        assert chart[name] == obj, name


MATRIX: dict[str, Object] = {
    "defaults": {},
    "some namespaces": {"watchNamespaces": ["a", "b"]},
    "some namespaces, no machinery": {"watchNamespaces": ["a"], "rbac": {"nodes": False}},
    "further kinds": {"targetKinds": ["rollouts.argoproj.io"]},
    "further kinds in some namespaces": {
        "targetKinds": ["rollouts.argoproj.io"],
        "watchNamespaces": ["a"],
    },
    "instance kinds": {
        "instanceKinds": [{"group": "g", "version": "v1", "resource": "runs", "kind": "Run"}],
        "rbac": {"extraRules": [{"apiGroups": ["g"], "resources": ["runs"], "verbs": ["get"]}]},
    },
    "all monitoring": {
        "serviceMonitor": {"enabled": True, "labels": {"release": "p"}},
        "prometheusRule": {"enabled": True, "runbooks": "https://git.example.com/belay/"},
        "dashboard": {"enabled": True},
    },
    "by digest": {"image": {"digest": f"sha256:{'a' * 64}"}},
    "everything of a pod": {
        "podNetworks": ["10.0.0.0/8"],
        "mountPaths": ["/opt"],
        "allowHostNetwork": True,
        "log": {"format": "json", "level": "debug"},
        "extraArgs": ["--workers=4"],
        "extraEnv": [{"name": "A", "value": "b"}],
        "imagePullSecrets": [{"name": "s"}],
        "nodeSelector": {"a": "b"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "p",
        "podAnnotations": {"a": "b"},
        "podLabels": {"a": "b"},
        "serviceAccount": {"annotations": {"a": "b"}},
        "networkPolicy": {"from": [{"podSelector": {}}]},
    },
    "the least": {
        "crds": {"install": False},
        "rbac": {"create": False, "userRoles": False},
        "serviceAccount": {"create": False, "name": "mine"},
        "podDisruptionBudget": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "releaseOnUninstall": {"enabled": False},
        "replicas": 1,
    },
}


@pytest.mark.parametrize("name", MATRIX)
def test_what_is_rendered_has_no_finding_and_is_taken(
    cluster: Cluster, namespace: str, name: str
) -> None:
    """Tried on the API server where that knows the kinds, pods under PodSecurity restricted."""
    values = MATRIX[name]
    rendered = charts.render(values)
    spaced = {each["metadata"].get("namespace", "") for each in rendered}
    assert spaced <= {"", "belay-system", "default", *values.get("watchNamespaces", ())}
    if name != "the least":  # that is without the policies which are looked for
        assert not score(rendered)

    foreign = {"ServiceMonitor", "PrometheusRule"}
    if name != "defaults":
        foreign.add("CustomResourceDefinition")
    known = [each for each in rendered if each["kind"] not in foreign]
    tried = [moved(each, namespace) for each in (*known, *pods(known))]
    dry = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    cluster.kubectl(*dry, stdin=yaml.dump_all(tried, Dumper=yaml.CSafeDumper))


def moved(obj: Object, namespace: str) -> Object:
    if "namespace" not in obj["metadata"]:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}


def pods(objects: list[Object]) -> list[Object]:
    """Those that controllers would make, in the name of the ServiceAccount that is there."""
    found = []
    for each in objects:
        if each["kind"] in {"Deployment", "Job"}:
            template = each["spec"]["template"]
            spec = {**template["spec"], "serviceAccountName": "default"}
            spec.pop("priorityClassName", None)
            metadata = {"name": each["metadata"]["name"], "namespace": "", **template["metadata"]}
            found.append({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    return found


def test_the_base_has_no_finding() -> None:
    kubectl = binaries.find(("kubectl",)) / "kubectl"
    built = run([kubectl, "kustomize", ROOT / "deploy/base"])
    assert not score(list(yaml.load_all(built, yaml.CSafeLoader)))


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"replicas": "two"}, "/replicas"),
        ({"replica": 3}, "replica"),
        ({"image": {"repository": "localhost/belay:dev"}}, "/image/repository"),
        ({"image": {"repository": "https://registry.example.com/belay"}}, "/image/repository"),
        ({"image": {"digest": "sha256:1"}}, "/image/digest"),
        ({"image": {"pullPolicy": "Sometimes"}}, "/image/pullPolicy"),
        ({"watchNamespaces": "a"}, "/watchNamespaces"),
        ({"watchNamespaces": ["A"]}, "/watchNamespaces/0"),
        ({"targetKinds": ["jobs.batch"]}, "/targetKinds/0"),
        ({"podNetworks": ["everywhere"]}, "/podNetworks/0"),
        ({"podNetworks": ["10.0.0.0/33"]}, "/podNetworks/0"),
        ({"fullnameOverride": "My Belay"}, "/fullnameOverride"),
        ({"instanceKinds": [{"kind": "Run"}]}, "/instanceKinds/0"),
        ({"extraArgs": ["workers=4"]}, "/extraArgs/0"),
        ({"log": {"level": "loud"}}, "/log/level"),
        ({"extraArgs": {"workers": 4}}, "/extraArgs"),
        ({"serviceMonitor": {"interval": "often"}}, "/serviceMonitor/interval"),
        ({"prometheusRule": {"runbooks": "docs"}}, "/prometheusRule/runbooks"),
        ({"serviceAccount": {"create": False}}, "serviceAccount.name"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(values: Object, named: str) -> None:
    with pytest.raises(SetupError, match=named):
        charts.render(values)


def test_the_schema_knows_the_fields_of_a_kind_of_instances() -> None:
    """Those that `belay run --instance-kinds` would refuse are refused before there is a pod."""
    schema = json.loads((charts.CHART / "values.schema.json").read_text())
    told = schema["properties"]["instanceKinds"]["items"]
    taken = InstanceKind.model_json_schema(by_alias=True)
    assert told["properties"].keys() == taken["properties"].keys()
    assert set(told["required"]) == set(taken["required"])
    parts = {"finished": Finished, "stands": Stands, "cancel": Write, "managedBy": ManagedBy}
    for part, model in parts.items():
        schema = model.model_json_schema(by_alias=True)
        assert told["properties"][part]["properties"].keys() == schema["properties"].keys()
        assert told["properties"][part].get("required", []) == schema.get("required", [])
    assert set(told["properties"]["default"]["enum"]) == set(Policy)


@pytest.mark.parametrize(
    "values",
    [
        {"image": {"repository": "registry.example.com:5000/team/belay"}},
        {"image": {"repository": "belay"}},
        {"podNetworks": ["10.244.0.0/16", "fd00:10:244::/56", "::/0"]},
        {"instanceKinds": yaml.safe_load(KINDS["data"]["kinds.yaml"])},
        {"fullnameOverride": "belay-2"},
    ],
)
def test_a_right_value_is_taken(values: Object) -> None:
    assert charts.render(values)


def test_with_some_namespaces_nothing_of_the_whole_cluster_is_granted_but_nodes() -> None:
    rendered = charts.render({"watchNamespaces": ["a", "b"], "rbac": {"userRoles": False}})
    roles = [each for each in rendered if each["kind"] == "ClusterRole"]
    assert [role["rules"][0]["resources"] for role in roles] == [["nodes"]]
    spaced = {each["metadata"]["namespace"] for each in rendered if each["kind"] == "Role"}
    assert spaced == {"a", "b", "belay-system", "default"}


def test_the_notes_name_three_commands() -> None:
    notes = (charts.CHART / "templates/NOTES.txt").read_text()
    assert [line[:2] for line in notes.splitlines() if line[:1].isdigit()] == ["1.", "2.", "3."]
    assert "belay snapshot" in notes
    assert "kubectl annotate" in notes


def test_the_chart_is_clean_to_helm() -> None:
    assert "0 chart(s) failed" in charts.helm("lint", "--strict", charts.CHART)
