"""What charts/belay takes from elsewhere: CRDs, rights, alerts, and the table in its README.

python -m tests.harness.chart            write it
python -m tests.harness.chart --check    fail where what is there differs
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from tests.harness.setup import ROOT, say

CHART = ROOT / "charts/belay"
_FILES = CHART / "files"
_README = CHART / "README.md"
_BASE = ROOT / "deploy/base"
_COMPONENTS = ROOT / "deploy/components"
_MONITORING = ROOT / "deploy/monitoring"
_TABLE = re.compile(r"(?<=<!-- values -->\n).*(?=<!-- /values -->)", re.DOTALL)
_KEY = re.compile(r"^( *)([A-Za-z]+):")

Object = dict[str, Any]


def generated() -> dict[Path, str]:
    """Each generated file and what it has to hold."""
    files = {_FILES / "crds" / path.name: path.read_text() for path in _crds()}
    files |= {_FILES / "rules" / f"{name}.yaml": text for name, text in _rules().items()}
    files |= {_FILES / "targets" / f"{kind}.yaml": text for kind, text in _targets().items()}
    for name in ("rules.yaml", "dashboard.json"):
        if (_MONITORING / name).exists():
            files[_FILES / "monitoring" / name] = (_MONITORING / name).read_text()
    files[_README] = _TABLE.sub(lambda _: table(), _README.read_text())
    return files


def table() -> str:
    """The values with their defaults, as Markdown. Raises KeyError for one without a comment."""
    text = (CHART / "values.yaml").read_text()
    values = yaml.safe_load(text)
    comments = dict(_comments(text))
    rows = ["| value | default | what it does |", "|---|---|---|"]
    for path in _leaves(values, comments):
        default = json.dumps(_at(values, path))
        rows.append(f"| `{path}` | `{default}` | {comments[path]} |")
    return "\n".join(rows) + "\n"


def _crds() -> list[Path]:
    return sorted((ROOT / "crds").glob("belay.dev_*.yaml"))


def _rules() -> dict[str, str]:
    roles = {each["metadata"]["name"]: each for each in _roles(_BASE)}
    operator = roles["belay"]["rules"]
    parts: dict[str, list[Object]] = {"namespaces": [], "nodes": [], "cluster": []}
    apart = {"nodes": "nodes", "customresourcedefinitions": "cluster"}
    for rule in operator:
        (part,) = {apart.get(resource, "namespaces") for resource in rule["resources"]}
        parts[part].append(rule)
    for name in ("leader", "view", "edit"):
        parts[name] = roles[f"belay-{name}"]["rules"]
    return {name: yaml.safe_dump(rules, sort_keys=False) for name, rules in parts.items()}


def _targets() -> dict[str, str]:
    """The rules of each component for a further kind, by the option that it sets."""
    found = {}
    for folder in sorted(_COMPONENTS.iterdir()):
        text = (folder / "kustomization.yaml").read_text()
        option = re.search(r"--target-kind=(\S+)", text)
        if option:
            (role,) = _roles(folder)
            found[option[1]] = yaml.safe_dump(role["rules"], sort_keys=False)
    return found


def _roles(folder: Path) -> Iterator[Object]:
    for path in sorted(folder.glob("*.yaml")):
        for each in yaml.safe_load_all(path.read_text()):
            if each["kind"] in {"Role", "ClusterRole"}:
                yield each


def _comments(text: str) -> Iterator[tuple[str, str]]:
    """Each key with a comment right above it, by its path."""
    told: list[str] = []
    path: list[tuple[int, str]] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            told.append(line.lstrip().removeprefix("#").strip())
            continue
        if found := _KEY.match(line):
            indent = len(found[1])
            path = [*(each for each in path if each[0] < indent), (indent, found[2])]
            if told:
                yield ".".join(name for _, name in path), " ".join(told)
        told = []


def _leaves(values: Object, comments: dict[str, str], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        path = f"{above}{name}"
        if path not in comments and isinstance(value, dict) and value:
            yield from _leaves(value, comments, f"{path}.")
        else:
            yield path


def _at(values: Any, path: str) -> Any:
    for name in path.split("."):
        values = values[name]
    return values


def main(arguments: Sequence[str]) -> int:
    """Write, or with `--check` compare."""
    files = generated()
    folders = ("crds", "rules", "targets", "monitoring")
    there = {path for folder in folders for path in (_FILES / folder).glob("*")}
    stale = [path for path in there if path not in files]
    differing = [
        path for path, text in files.items() if not path.exists() or path.read_text() != text
    ]
    if "--check" in arguments:
        for path in sorted([*stale, *differing]):
            say(f"{path.relative_to(ROOT)} is not what its sources say: run `make chart`")
        return 1 if stale or differing else 0
    for path in stale:
        path.unlink()
    for path in differing:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
