"""The printed manifest keeps every byte of the definition."""

import re
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from belay.api.revision import Format, WorkflowRevisionSpec
from belay.cli.manifest import manifest, outgrows_client_side_apply, to_yaml

ZERO = "sha256:" + "0" * 64


def body(definition: str) -> dict[str, Any]:
    spec = WorkflowRevisionSpec(
        workflow_name="triage",
        revision="v1",
        definition=definition,
        format=Format.YAML,
        media_type="application/yaml",
        message="why: 'so'",
        digest=ZERO,
        content_digest=ZERO,
    )
    return manifest(spec, None)


_LINES = st.lists(st.text(" \tab:#-'\"é😀{}%|>", max_size=8), min_size=1, max_size=6)


@given(st.builds(str.join, st.sampled_from(["\n", "\r\n", "\n\n", "\x85", "\u2028"]), _LINES))
@example("\n")
@example("a\n\n\n")
@example("  a\nb")
@example("\ufeffa: 1\r\n")
@example("\n a")
@example("a\n \n  \n")
@example("---\n...\n# c")
def test_every_definition_reads_back(definition: str) -> None:
    if definition:
        text = to_yaml(body(definition))
        assert yaml.safe_load(text) == body(definition)


@pytest.mark.parametrize(
    "definition", ["a: 1\nb:\n  - c\n", "a: 1", "a: 1\n\n", "a: 'x' \n\n  b \n"]
)
def test_a_plain_definition_is_a_literal_block(definition: str) -> None:
    assert re.search(r"^  definition: \|", to_yaml(body(definition)), re.MULTILINE)


@pytest.mark.parametrize("definition", ["a: 1\r\n", "\ufeffa: 1\n", "a: 1\rb", "a: '\u2028'\n"])
def test_what_a_block_would_lose_is_quoted(definition: str) -> None:
    assert '  definition: "' in to_yaml(body(definition))


def test_the_size_for_kubectl_apply_counts_what_its_annotation_holds() -> None:
    assert not outgrows_client_side_apply(body("a" * 200_000))
    assert outgrows_client_side_apply(body("a" * 256_001))
    assert outgrows_client_side_apply(body('"' * 128_001))
    assert outgrows_client_side_apply(body("<" * 43_000))
    assert outgrows_client_side_apply(body("é" * 128_001))
