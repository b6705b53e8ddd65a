"""deploy/monitoring: it builds, fits the base and the chart, and the API server takes it."""

import copy
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.conftest import Once
from tests.harness import binaries, charts
from tests.harness.cluster import Cluster, Kind
from tests.harness.monitoring import operator_crds
from tests.harness.setup import ROOT, SetupError, run

Object = dict[str, Any]

OURS = ("ServiceMonitor", "PrometheusRule", "ConfigMap")
RULES = yaml.safe_load((ROOT / "deploy/monitoring/rules.yaml").read_text())
DOCS = (ROOT / "docs/monitoring.md").read_text()
DASHBOARD = json.loads((ROOT / "deploy/monitoring/dashboard.json").read_text())


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Object]:
    """An overlay of the base with the component, as docs/monitoring.md shows it."""
    folder = tmp_path_factory.mktemp("overlay").resolve()
    overlay = {
        "resources": [os.path.relpath(ROOT / "deploy/base", folder)],
        "components": [os.path.relpath(ROOT / "deploy/monitoring", folder)],
        "labels": [{"pairs": {"release": "kube-prometheus-stack"}}],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    kubectl: Path = binaries.find(("kubectl",)) / "kubectl"
    return list(yaml.load_all(run([kubectl, "kustomize", folder]), yaml.CSafeLoader))


def of_kind(objects: list[Object], kind: str, name: str | None = None) -> Object:
    (found,) = [
        each
        for each in objects
        if each["kind"] == kind and name in (None, each["metadata"]["name"])
    ]
    return found


def test_the_component_brings_the_rules_and_the_dashboard(built: list[Object]) -> None:
    rule, dashboard = of_kind(built, "PrometheusRule"), of_kind(built, "ConfigMap")
    assert rule["spec"] == RULES
    assert json.loads(dashboard["data"]["belay.json"]) == DASHBOARD
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"
    for kind in OURS:
        metadata = of_kind(built, kind)["metadata"]
        assert metadata["namespace"] == "belay-system"
        assert metadata["labels"]["release"] == "kube-prometheus-stack"


def test_the_monitor_selects_the_service_of_the_base(built: list[Object]) -> None:
    monitor, service = of_kind(built, "ServiceMonitor"), of_kind(built, "Service")
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    wanted = monitor["spec"]["selector"]["matchLabels"]
    assert wanted.items() <= service["metadata"]["labels"].items()
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
    assert endpoint["honorLabels"]


def test_the_chart_brings_the_same(built: list[Object]) -> None:
    parts = ("serviceMonitor", "prometheusRule", "dashboard")
    rendered = charts.render({part: {"enabled": True} for part in parts})
    for kind in ("ServiceMonitor", "PrometheusRule"):
        assert of_kind(rendered, kind)["spec"] == of_kind(built, kind)["spec"]
    assert json.loads(of_kind(rendered, "ConfigMap")["data"]["belay.json"]) == DASHBOARD


def test_commands_in_alerts_name_the_namespace_of_the_release() -> None:
    rendered = charts.render({"prometheusRule": {"enabled": True}}, namespace="ops")
    rule = json.dumps(of_kind(rendered, "PrometheusRule"))
    assert "kubectl -n ops get pods" in rule
    assert "belay-system" not in rule


@pytest.mark.parametrize("name", ["rules.yaml", "prometheusrule.yaml"])
def test_runbooks_become_links_by_a_value_of_the_chart_and_by_the_line_in_the_docs(
    name: str, tmp_path: Path
) -> None:
    (line,) = re.findall(r"^ +(sed -i .*runbook_url.*)$", DOCS, re.MULTILINE)
    where = "https://git.example.com/belay/blob/main/"
    folder = tmp_path / "deploy/monitoring"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "deploy/monitoring" / name, folder)
    run(["sh", "-c", line], cwd=tmp_path)
    plain = yaml.safe_load((folder / name).read_text())

    rendered = charts.render({"prometheusRule": {"enabled": True, "runbooks": where}})
    linked = of_kind(rendered, "PrometheusRule")["spec"]
    assert plain.get("spec", plain) == linked
    for group, shipped in zip(linked["groups"], copy.deepcopy(RULES["groups"]), strict=True):
        for rule, was in zip(group["rules"], shipped["rules"], strict=True):
            was_path = was["annotations"].pop("runbook_url")
            assert rule["annotations"].pop("runbook_url") == where + was_path
            assert rule == was


def test_the_api_server_takes_them_with_the_crds_of_the_prometheus_operator(
    cluster: Cluster, once: Once, namespace: str, built: list[Object]
) -> None:
    if cluster.kind is Kind.EXISTING:
        pytest.skip("would put the Prometheus operator's CRDs onto a cluster that is somebody's")
    try:
        once("monitoring-crds", lambda _: operator_crds.install(cluster))
    except SetupError as error:
        pytest.skip(f"needs the CRDs of the Prometheus operator: {error}")
    for kind in OURS:
        found = of_kind(built, kind)
        found = {**found, "metadata": {**found["metadata"], "namespace": namespace}}
        cluster.kubectl(
            "apply", "--server-side", "--dry-run=server", "-f", "-", stdin=json.dumps(found)
        )
