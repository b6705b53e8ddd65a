"""The CRDs in the repository: they are what the models say, and they are described throughout."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from belay.api.crd.__main__ import main, rendered
from belay.api.crd.kinds import KINDS

REPOSITORY = Path(__file__).parents[3]
COMMITTED = REPOSITORY / "crds"
RULES = "x-kubernetes-validations"


def schemas(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from schemas(field, f"{path}.{name}")
    if "items" in schema:
        yield from schemas(schema["items"], f"{path}[]")


def everything() -> list[tuple[str, dict[str, Any]]]:
    return [
        found
        for kind in KINDS
        for version in kind.definition()["spec"]["versions"]
        for found in schemas(version["schema"]["openAPIV3Schema"], kind.name)
    ]


def test_the_committed_crds_are_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(COMMITTED)]) == 0, capsys.readouterr().err


def test_the_committed_files_hold_nothing_but_these_crds() -> None:
    assert {path.name for path in COMMITTED.glob("belay.dev_*")} == set(rendered())


def test_check_names_the_files_that_differ_and_the_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 0
    edited = tmp_path / "belay.dev_workflows.yaml"
    edited.write_text(edited.read_text() + "# by hand\n")
    (tmp_path / "belay.dev_workflowrevisions.yaml").unlink()

    assert main(["--check", str(tmp_path)]) == 1

    complaints = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in complaints] == [
        str(edited),
        str(tmp_path / "belay.dev_workflowrevisions.yaml"),
    ]
    assert all("make crds" in line for line in complaints)
    assert edited.read_text().endswith("# by hand\n")


def test_a_wrong_folder_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none")]) == 1
    assert "no such folder" in capsys.readouterr().err


def test_every_field_and_every_object_is_described_in_a_sentence() -> None:
    silent = [
        path
        for path, schema in everything()
        if not path.endswith(".metadata")
        and (schema.get("type") == "object" or not path.endswith("[]"))
        and not schema.get("description", "").endswith(".")
    ]
    assert not silent


def test_every_rule_says_how_to_fix_it() -> None:
    rules = [rule for _, schema in everything() for rule in schema.get(RULES, [])]
    assert len(rules) > 20
    assert all(len(rule["message"]) > 20 for rule in rules)


def test_kubectl_delete_all_spares_them() -> None:
    for name in rendered():
        names = yaml.safe_load((COMMITTED / name).read_text())["spec"]["names"]
        assert names["categories"] == ["belay"]


def test_files_repeat_what_is_equal_instead_of_yaml_anchors() -> None:
    for text in rendered().values():
        assert not any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text))


def test_a_status_has_no_defaults_that_the_api_server_would_store_with_it() -> None:
    parts = [name.partition(".")[2] for name, schema in everything() if "default" in schema]
    assert any(part.startswith("spec.") for part in parts)
    assert not [part for part in parts if part.startswith("status.")]
