"""The chart: what it renders, what it refuses, and that it says the same as deploy/base."""

from typing import Any

import yaml
from tests.harness import binaries, charts
from tests.harness.setup import ROOT, run

Object = dict[str, Any]


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
