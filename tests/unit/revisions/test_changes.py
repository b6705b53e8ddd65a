"""What the line about changes says."""

from itertools import pairwise
from typing import Any

import pytest
from tests.samples import TRIAGE, real_export
from tests.unit.revisions.graphs import DIFY, EDGE, NODE, Path, graph_copy, put

from belay.api.revision import Format
from belay.core.revisions.changes import changes_text, compare, size_text
from belay.core.revisions.read import detect


def story(after: Any, form: Format = Format.DIFY, before: Any = DIFY) -> str:
    return changes_text(compare(form, before, after), "v2")


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        (
            (*NODE, 2, "data", "prompt_template"),
            [],
            '1 node changed since v2 (llm "draft": prompt)',
        ),
        ((*NODE, 2, "position"), {"x": 0}, "1 moved (layout only) since v2"),
        ((*NODE, 2, "parentId"), "1", '1 node changed since v2 (llm "draft": parentId)'),
        ((*EDGE, 1, "sourceHandle"), "false", "2 edges added or removed since v2"),
        ((*EDGE, 1, "id"), "other", "nothing changed since v2"),
        (("workflow", "features"), {}, "features changed since v2"),
        (("app", "name"), "Renamed", "nothing changed since v2"),
        (
            (*NODE, 2, "id"),
            "9",
            '1 node added (llm "draft"), 1 node removed (llm "draft") since v2',
        ),
    ],
)
def test_one_change_is_told_in_one_line(path: Path, value: Any, text: str) -> None:
    assert story(put(graph_copy(), path, value)) == text


def test_only_the_first_nodes_are_named() -> None:
    after = graph_copy()
    for node in after["workflow"]["graph"]["nodes"]:
        node["data"]["desc"] = "new"
    assert story(after).startswith("4 nodes changed since v2 (")
    assert story(after).endswith("; and 1 more)")


def test_a_null_is_no_change() -> None:
    assert (
        story(put(graph_copy(), (*NODE, 2, "data", "memory"), None)) == "nothing changed since v2"
    )


def test_other_formats_are_compared_as_a_whole() -> None:
    assert story({"a": 2}, Format.YAML, {"a": 1}) == "content changed since v2"
    assert story({"a": 1, "b": None}, Format.YAML, {"a": 1}) == "nothing changed since v2"


def test_two_real_versions_of_one_app_differ_in_one_node_and_three_are_moved() -> None:
    old, new = (
        detect(real_export(name).read_bytes())[1].value for name in ("mcp.v1.yml", "mcp.v2.yml")
    )
    changes = compare(Format.DIFY, old, new)
    assert (len(changes.changed), changes.moved) == (1, 3)
    assert changes_text(changes, "v1") == (
        '1 node changed since v1 (agent "Agent": agent_parameters), 3 moved (layout only)'
    )


def test_the_size_counts_nodes_and_edges() -> None:
    assert size_text(Format.DIFY, DIFY) == "4 nodes, 2 edges"
    assert size_text(Format.YAML, DIFY) == ""


def test_the_sample_workflow_tells_its_story() -> None:
    values = [detect((TRIAGE / f"v{n}.yml").read_bytes())[1].value for n in (1, 2, 3, 4)]
    told = [
        changes_text(compare(Format.DIFY, before, after), f"v{number}")
        for number, (before, after) in enumerate(pairwise(values), 1)
    ]
    node = 'template-transform "Reply about billing"'
    assert told == [
        f"1 node changed since v1 ({node}: template)",
        f"1 node changed since v2 ({node}: template, variables)",
        f"1 node changed since v3 ({node}: template, variables), 9 moved (layout only)",
    ]
