"""Alerts, asked of promtool: when each fires, when it is silent, what it says, where it leads."""

import re
import shutil
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.harness import packages
from tests.harness.setup import ROOT, SetupError
from tests.unit.monitoring.cases import FIRES, SHOP, SILENT, Fires, Silent

Object = dict[str, Any]

RULES = ROOT / "deploy/monitoring/rules.yaml"
LOADED: Object = yaml.safe_load(RULES.read_text())
ALERTS: dict[str, Object] = {
    rule["alert"]: rule for group in LOADED["groups"] for rule in group["rules"]
}
LIST = "kubectl get workflows.belay.dev -A -o wide"


@pytest.fixture(scope="session")
def promtool() -> Path:
    try:
        return packages.program("prometheus", "promtool")
    except SetupError as error:
        pytest.skip(f"needs promtool: {error}")


def run(promtool: Path, *args: str | Path) -> None:
    done = subprocess.run([promtool, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def expect(case: Fires) -> Object:
    """The alert as it is to be, with what is the same whatever happened."""
    rule = ALERTS[case.alert]
    about = f"kubectl -n shop describe workflows.belay.dev {SHOP['workflow']}"
    plain = str(rule["annotations"]["description"])
    return {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {
            "summary": case.summary,
            "description": about if "workflow" in case.labels else plain,
            "runbook_url": rule["annotations"]["runbook_url"],
        },
    }


def check(
    promtool: Path, folder: Path, case: Fires | Silent, when: dict[int, list[Object]]
) -> None:
    times = [
        {"eval_time": f"{minute}m", "alertname": case.alert, "exp_alerts": alerts}
        for minute, alerts in when.items()
    ]
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    group = {"interval": "1m", "input_series": series, "alert_rule_test": times}
    test = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [group]}
    file = folder / "test.yaml"
    file.write_text(yaml.safe_dump(test))
    run(promtool, "test", "rules", file)


def test_the_rules_are_valid(promtool: Path) -> None:
    run(promtool, "check", "rules", RULES)


def test_the_job_in_the_docs_is_one_that_prometheus_takes(promtool: Path, tmp_path: Path) -> None:
    """But for where it finds pods, which Debian's Prometheus was built without."""
    text = (ROOT / "docs/monitoring.md").read_text()
    (job,) = re.findall(r"^    scrape_configs:\n(?:    .+\n)+", text, re.MULTILINE)
    (scraped,) = yaml.safe_load(textwrap.dedent(job))["scrape_configs"]
    assert scraped.pop("kubernetes_sd_configs")[0]["role"] == "pod"
    assert scraped["honor_labels"]
    config = {"rule_files": ["rules.yaml"], "scrape_configs": [scraped]}
    shutil.copy(RULES, tmp_path)
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    run(promtool, "check", "config", file)


@pytest.mark.parametrize("case", FIRES, ids=lambda case: case.alert)
def test_an_alert_fires_in_its_time_and_ends_with_its_cause(
    promtool: Path, tmp_path: Path, case: Fires
) -> None:
    expected = {minute: [expect(case)] for minute in case.fires_at}
    check(promtool, tmp_path, case, {case.silent_before: [], **expected, case.silent_after: []})


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.why)
def test_an_alert_is_silent_where(promtool: Path, tmp_path: Path, case: Silent) -> None:
    check(promtool, tmp_path, case, {case.at: []})


def test_every_alert_is_tried() -> None:
    assert {case.alert for case in FIRES} == ALERTS.keys()


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_grave_it_is_and_what_to_do(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/operations.md#{name.lower()}"
