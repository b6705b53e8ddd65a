"""Exports of real Dify apps, where they are on this machine, and the shipped ones."""

from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from tests import samples
from tests.harness.setup import ROOT
from tests.runner.process import Runner

LOADABLE: Final = frozenset(
    {"book-translation.yml", "jieba.yml", "json-repair.yml", "translation-workflow.yml"}
)
REASONS: Final = (
    "tool plugins are not supported",
    "Unsupported node types: agent",
    "Unsupported node types: document-extractor",
    "DSL kind is required",
)
SHIPPED: Final = sorted((ROOT / "deploy/samples").glob("*/v*.yml"))


@samples.EVERY_REAL_EXPORT
def test_each_export_is_built_or_says_what_is_not_supported(runner: Runner, export: Path) -> None:
    verdict = runner.validate(export.read_text()).json()
    if export.name in LOADABLE:
        assert verdict["valid"], verdict["reasons"]
    else:
        assert not verdict["valid"]
        assert any(reason in verdict["reasons"][0] for reason in REASONS), verdict["reasons"]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_each_shipped_definition_is_built(runner: Runner, path: Path) -> None:
    assert runner.validate(path.read_text()).json()["valid"]


def test_a_real_translation_goes_through_its_model_nodes(runner: Runner) -> None:
    runner.take(samples.real_export("translation-workflow.yml").read_text())
    data = runner.run(
        source_lang="English", target_lang="German", source_text="Good morning", country=""
    )
    assert data["status"] == "succeeded", data
    assert "Good morning" in str(data["outputs"])
    assert data["total_steps"] >= 5


def test_a_real_book_goes_through_its_iteration(runner: Runner) -> None:
    runner.take(samples.real_export("book-translation.yml").read_text())
    data = runner.run(input_text="One. " * 400)
    assert data["status"] == "succeeded", data
    assert data["total_steps"] > 8


def test_real_code_that_wants_a_package_fails_and_names_it(runner: Runner) -> None:
    runner.take(samples.real_export("jieba.yml").read_text())
    data = runner.run(query="hello")
    assert data["status"] == "failed"
    assert "No module named 'jieba'" in data["error"]


@pytest.mark.parametrize(
    ("revision", "plan", "outcome"),
    [
        ("v1", "team", "Welcome Ada. Your contact is the support desk."),
        ("v2", "free", "Hello Ada, good to have you here."),
        ("v3", "team", None),
    ],
)
def test_the_sample_writes_its_letters(
    runner: Runner, revision: str, plan: str, outcome: str | None
) -> None:
    runner.take((ROOT / f"deploy/samples/runner/{revision}.yml").read_text())
    data = runner.run(name="Ada", plan=plan)
    expected: tuple[str, Any] = ("succeeded", outcome) if outcome else ("failed", None)
    assert (data["status"], data["outputs"].get("letter")) == expected


def test_the_sample_is_what_dify_would_export() -> None:
    for path in SHIPPED:
        assert yaml.safe_load(path.read_text())["kind"] == "app"
