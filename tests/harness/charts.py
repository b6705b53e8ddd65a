"""The chart as Helm sees it: what it renders, and releases of it on a cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from tests.harness import go_tools
from tests.harness.cluster import Cluster
from tests.harness.setup import ROOT, run

CHART = ROOT / "charts/belay"
_OF_HELM = (
    "helm.sh/chart",
    "helm.sh/resource-policy",
    "app.kubernetes.io/managed-by",
    "app.kubernetes.io/version",
)

Object = dict[str, Any]


def helm(*arguments: str | Path, stdin: str | None = None, home: Path | None = None) -> str:
    """Run Helm; it keeps its caches in `home`."""
    told = {} if home is None else {"HELM_CACHE_HOME": str(home), "HELM_CONFIG_HOME": str(home)}
    return run([go_tools.program(go_tools.HELM), *arguments], stdin=stdin, env=told)


def render(values: Object | None = None, *, namespace: str = "belay-system") -> list[Object]:
    """All objects of a release named belay; hooks too. Raises `SetupError` with Helm's words."""
    command = ["template", "belay", str(CHART), "--namespace", namespace, "--values", "-"]
    text = helm(*command, stdin=yaml.safe_dump(values or {}))
    return [each for each in yaml.load_all(text, yaml.CSafeLoader) if each]


def is_hook(obj: Object) -> bool:
    """Whether Helm makes it at its own time, and not as a part of the release."""
    return "helm.sh/hook" in (obj["metadata"].get("annotations") or {})


def plain(obj: Object) -> Object:
    """The object without what only Helm needs, and without an order where none counts."""
    found: Object = _plain(obj)
    if "rules" in found:
        found["rules"] = sorted(found["rules"], key=repr)
    return found


def _plain(value: Any) -> Any:
    match value:
        case dict():
            kept = {key: _plain(each) for key, each in value.items() if key not in _OF_HELM}
            return {key: each for key, each in kept.items() if each not in ({}, None)}
        case list():
            return [_plain(each) for each in value]
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Release:
    """A release of Helm in a cluster."""

    cluster: Cluster
    namespace: str
    name: str = "belay"

    def run(self, verb: str, *arguments: str | Path, values: Object | None = None) -> str:
        """A verb of Helm upon this release, such as `upgrade`; gives what it printed."""
        where = ["--kubeconfig", str(self.cluster.kubeconfig), "--namespace", self.namespace]
        given: Sequence[str] = () if values is None else ("--values", "-")
        text = None if values is None else yaml.safe_dump(values)
        return helm(verb, self.name, *arguments, *where, *given, stdin=text)
