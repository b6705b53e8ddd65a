"""Health and actions for Argo CD, by the tables in the format of its own repository."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import lua
from tests.harness.setup import ROOT

from belay.api.status import WorkflowStatus
from belay.api.workflow import WorkflowSpec

Case = tuple[Path, dict[str, Any]]
ARGO_CD = ROOT / "deploy/argocd"


def cases(name: str, section: str) -> list[Any]:
    """The entries of a section in all files of this name, each with its folder."""
    found = [
        pytest.param(file.parent, entry, id=f"{entry.get('action', '')}{entry['inputPath']}")
        for file in sorted(lua.CUSTOMIZATIONS.rglob(name))
        for entry in yaml.safe_load(file.read_text())[section]
    ]
    assert found
    return found


def load(folder: Path, path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((folder / path).read_text()))


@pytest.mark.parametrize(("folder", "case"), cases("health_test.yaml", "tests"))
def test_health(folder: Path, case: dict[str, Any]) -> None:
    found = lua.run(folder / "health.lua", load(folder, case["inputPath"]))
    assert found == case["healthStatus"]


@pytest.mark.parametrize(("folder", "case"), cases("action_test.yaml", "discoveryTests"))
def test_only_actions_that_make_sense_are_offered(folder: Path, case: dict[str, Any]) -> None:
    found = lua.run(folder / "discovery.lua", load(folder, case["inputPath"]))
    shown = {name: action.get("disabled", False) for name, action in found.items()}
    assert shown == {action["name"]: action["disabled"] for action in case["result"]}


@pytest.mark.parametrize(("folder", "case"), cases("action_test.yaml", "actionTests"))
def test_an_action_changes_what_it_says(folder: Path, case: dict[str, Any]) -> None:
    script = folder / case["action"] / "action.lua"
    before, after = (load(folder, case[key]) for key in ("inputPath", "expectedOutputPath"))
    found = lua.run(script, before)
    annotations = found["metadata"].get("annotations") or {}
    for name, token in annotations.items():
        assert token.startswith("argocd-20")
        annotations[name] = "argocd-0001-01-01T00:00:00Z"
    assert without_empty(found) == without_empty(after)


def without_empty(value: Any) -> Any:
    """Lua cannot tell an empty list from an empty map; Argo CD restores what was there."""
    match value:
        case dict():
            kept = {key: without_empty(each) for key, each in value.items()}
            return {key: each for key, each in kept.items() if each not in ({}, [])}
        case list():
            return [without_empty(each) for each in value]
        case _:
            return value


def test_every_action_is_offered_somewhere_and_tried() -> None:
    scripts = {script.parent.name for script in lua.WORKFLOW.glob("actions/*/action.lua")}
    states = [load(file.parent, file.name) for file in lua.WORKFLOW.glob("testdata/*.yaml")]
    tried = {param.values[1]["action"] for param in cases("action_test.yaml", "actionTests")}
    assert set.union(*map(lua.offered, states)) == scripts == tried


@pytest.mark.parametrize("file", sorted(lua.WORKFLOW.glob("testdata/*.yaml")), ids=lambda f: f.stem)
def test_the_states_are_ones_that_belay_writes(file: Path) -> None:
    body = load(file.parent, file.name)
    WorkflowSpec.model_validate(body["spec"])
    WorkflowStatus.model_validate(body.get("status") or {})


def test_the_config_map_is_generated_from_the_lua() -> None:
    found = yaml.safe_load((ARGO_CD / "argocd-cm.yaml").read_text())["data"]
    health = found["resource.customizations.health.belay.dev_Workflow"]
    assert health == (lua.WORKFLOW / "health.lua").read_text()
    actions = yaml.safe_load(found["resource.customizations.actions.belay.dev_Workflow"])
    assert actions["discovery.lua"] == (lua.WORKFLOW / "actions/discovery.lua").read_text()
    for action in actions["definitions"]:
        script = lua.WORKFLOW / "actions" / action["name"] / "action.lua"
        assert action["action.lua"] == script.read_text()
    assert len(actions["definitions"]) == len(list(lua.WORKFLOW.glob("actions/*/action.lua")))
