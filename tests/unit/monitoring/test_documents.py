"""What the documents say of alerts and metrics is what there is."""

import re
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.harness.setup import ROOT
from tests.unit.statuses import HISTORY, ROLLOUT, WHEN

from belay.api.status import WorkflowStatus
from belay.api.words import Outcome, Verdict
from belay.core.keys import Key
from belay.runtime.metrics import Metrics
from belay.shell.resources import WORKFLOWS

RULES = yaml.safe_load((ROOT / "deploy/monitoring/rules.yaml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}
MONITORING = (ROOT / "docs/monitoring.md").read_text()
MOVING = {**ROLLOUT, "deadline": WHEN, "instances": {"found": 2, "paused": 2}}
QUARANTINED = {
    "type": "Ready",
    "status": "False",
    "reason": "Quarantined",
    "lastTransitionTime": WHEN,
}


def anchors(path: str) -> set[str]:
    """Those that a viewer of Markdown makes of the headings."""
    heads = re.findall(r"^#+ (.+)$", (ROOT / path).read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 _-]", "", head.lower()).replace(" ", "-") for head in heads}


def exported() -> dict[str, set[str]]:
    """Labels of each metric, of a process that has something to say with each of them."""
    metrics = Metrics()
    metrics.leading(True)
    metrics.watch_queue(lambda: 0, lambda: 0)
    metrics.watch_source(lambda: 0)
    metrics.watch_contact(lambda: False)
    metrics.check("http", Verdict.PASS)
    metrics.api_request("get", WORKFLOWS, 200)
    metrics.rollout_part(Outcome.PROMOTED, "total", 1)
    for name, fields in {
        "moving": {"rollout": MOVING, "history": [HISTORY], "phase": "Verifying"},
        "refused": {"phase": "Refused", "conditions": [QUARANTINED]},
    }.items():
        metrics.state.put(Key("shop", name), "v3", WorkflowStatus.model_validate(fields))
    text = b"".join(metrics.exposition()).decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        found[name] = {label for sample in family.samples for label in sample.labels} - {"le"}
    return found


def documented() -> Iterator[tuple[str, set[str]]]:
    for name, labels in re.findall(r"^\| `(belay_\w+)` \|([^|]*)\|", MONITORING, re.MULTILINE):
        of_workflow = {"namespace", "workflow"} if name.startswith("belay_workflow_") else set()
        yield name, set(re.findall(r"`(\w+)`", labels)) | of_workflow


def test_the_table_of_metrics_is_what_is_exported() -> None:
    assert dict(documented()) == exported()


@pytest.mark.parametrize("name", ALERTS)
def test_the_runbook_of_an_alert_is_there(name: str) -> None:
    path, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert anchor in anchors(path)
    section = re.search(
        rf"^### {name}\n(.*?)(?=^##)", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL
    )
    assert section is not None
    for part in ("**Means.**", "**First look.**", "**What to do.**"):
        assert part in section[1]


def test_the_table_of_alerts_is_what_fires() -> None:
    rows = re.findall(r"^\| (Belay\w+) \| (\w+) \|", MONITORING, re.MULTILINE)
    assert dict(rows) == {name: rule["labels"]["severity"] for name, rule in ALERTS.items()}


def test_an_alert_reads_only_what_is_exported() -> None:
    read = {
        name
        for rule in ALERTS.values()
        for name in re.findall(r"\bbelay_\w+", rule["expr"] + rule["annotations"]["summary"])
    }
    assert read <= exported().keys()
