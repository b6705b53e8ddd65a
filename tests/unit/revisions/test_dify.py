"""What is wrong with a Dify export, and where."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import EVERY_REAL_EXPORT, TRIAGE
from tests.unit.revisions.graphs import DIFY, EDGE, NODE, Path, graph_copy, put

from belay.api.revision import Format
from belay.core.revisions.dify import check
from belay.core.revisions.read import detect, parse


def problems(document: Any) -> list[str]:
    """The problems of a document without their lines and columns."""
    text = json.dumps(document).encode()
    found = [str(problem) for problem in check(parse(text, Format.DIFY))]
    return [line.split(", ", 2)[-1] if ", " in line else line for line in found]


def test_a_good_export_has_no_problems() -> None:
    assert problems(DIFY) == []


@pytest.mark.parametrize("key", ["version", "kind", "dependencies"])
def test_early_exports_lack_members(key: str) -> None:
    document = graph_copy()
    del document[key]
    assert problems(document) == []


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (("version",), 0.6, "version: the number 0.6 stands where text belongs; put it in quotes"),
        (("version",), "1", 'version: "1" is no version such as 0.5.0'),
        (("version",), "0.7.0", "version: 0.7.0 is newer than 0.6.0, the newest DSL that is known"),
        (("kind",), "plugin", 'kind: "plugin" is not known; app is meant'),
        (("app",), [], "app: no app: app.mode says what this is"),
        (("app", "mode"), "dance", 'app.mode: unknown mode "dance"'),
        (("app", "mode"), 3, "app.mode: the number 3 stands where text belongs"),
        (("app", "mode"), None, "app.mode: mode is missing"),
        (("app", "mode"), "chat", 'app.mode: no graph: a "chat" app has none'),
        (("app", "mode"), "agent-chat", 'app.mode: no graph: a "agent-chat" app has none'),
        (("app", "mode"), "completion", 'app.mode: no graph: a "completion" app has none'),
        (("workflow", "graph"), None, "workflow: no graph: workflow.graph must be a mapping"),
        (NODE, [], "workflow.graph.nodes: no graph: nodes must be a list"),
        (NODE, {}, "workflow.graph.nodes: no graph: nodes must be a list"),
        ((*NODE, 0), "x", "workflow.graph.nodes[0]: a node is a mapping"),
        ((*NODE, 2, "id"), 3, "workflow.graph.nodes[2].id: the number 3 stands where text belongs"),
        ((*NODE, 3, "id"), "2", 'workflow.graph.nodes[3].id: duplicate node id "2"'),
        ((*NODE, 3, "id"), "", "workflow.graph.nodes[3].id: id is missing"),
        ((*NODE, 2, "parentId"), "7", 'workflow.graph.nodes[2].parentId: no node has the id "7"'),
        ((*NODE, 2, "data"), None, "workflow.graph.nodes[2]: a node needs data"),
        ((*NODE, 2, "data", "type"), "", "workflow.graph.nodes[2].data.type: type is missing"),
        ((*NODE, 2, "data", "type"), 1, "workflow.graph.nodes[2].data.type: the number 1 stands"),
        ((*NODE, 2, "data", "title"), 42, "workflow.graph.nodes[2].data.title: the number 42"),
        ((*NODE, 2, "data", "type"), "trigger-webhook", "trigger-webhook and start cannot stand"),
        (EDGE, {}, "workflow.graph.edges: must be a list"),
        ((*EDGE, 0), 1, "workflow.graph.edges[0]: an edge is a mapping"),
        ((*EDGE, 1, "target"), "9", 'edges[1].target: dangling edge: no node has the id "9"'),
        ((*EDGE, 1, "source"), "9", 'edges[1].source: dangling edge: no node has the id "9"'),
        ((*EDGE, 1, "source"), 2, "workflow.graph.edges[1].source: the number 2 stands where text"),
        ((*EDGE, 1, "target"), None, "workflow.graph.edges[1].target: target is missing"),
        ((*EDGE, 1, "sourceHandle"), "b", 'edges[1].sourceHandle: no branch "b" (it has a, false'),
        ((*EDGE, 1, "targetHandle"), True, "targetHandle: the value true stands where text"),
        (("workflow", "environment_variables"), {}, "environment_variables: must be a list"),
        (("workflow", "environment_variables", 0), 1, "environment_variables[0]: a variable is a"),
        (
            ("workflow", "environment_variables", 0, "name"),
            7,
            "environment_variables[0].name: the number 7 stands where text belongs",
        ),
        (
            (*NODE, 1, "data"),
            {"type": "question-classifier", "title": "Which", "classes": [{"id": "b"}]},
            'edges[1].sourceHandle: no branch "a" (it has b, fail-branch)',
        ),
        (
            ("workflow", "environment_variables", 1, "name"),
            "CRM_KEY",
            'environment_variables[1].name: the variable "CRM_KEY" stands here twice',
        ),
    ],
)
def test_each_fault_is_named_with_its_place(path: Path, value: Any, expected: str) -> None:
    found = problems(put(graph_copy(), path, value))
    assert any(expected in problem for problem in found), found


def test_an_export_is_a_mapping() -> None:
    assert problems([]) == ["column 1: a Dify DSL export is a mapping"]


def test_a_sticky_note_needs_no_type() -> None:
    document = graph_copy()
    del document["workflow"]["graph"]["nodes"][3]["data"]["type"]
    assert problems(document) == []


def test_all_problems_come_at_once_in_reading_order() -> None:
    text = """\
app: {mode: workflow}
workflow:
  graph:
    nodes:
    - {id: 1, data: {type: start}}
    - {id: 'a', data: {type: end, title: 7}}
    edges:
    - {source: 'a', target: 'b'}
"""
    found = [str(problem) for problem in check(parse(text.encode(), Format.DIFY))]
    assert [line.partition(":")[0] for line in found] == [
        "line 5, column 12, workflow.graph.nodes[0].id",
        "line 6, column 42, workflow.graph.nodes[1].data.title",
        "line 8, column 29, workflow.graph.edges[0].target",
    ]


_PATHS = st.sampled_from(
    [
        ("app",),
        ("app", "mode"),
        ("kind",),
        ("workflow",),
        ("workflow", "environment_variables"),
        ("workflow", "graph"),
        NODE,
        (*NODE, 0, "id"),
        (*NODE, 1),
        (*NODE, 1, "data"),
        (*NODE, 1, "data", "type"),
        (*NODE, 1, "data", "cases"),
        EDGE,
        (*EDGE, 0),
        (*EDGE, 0, "source"),
    ]
)
_ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, 0, 1.5, "", "x", [], {}, [[]], [None], {"type": []}, [{}]]
)


@given(_PATHS, _ODD)
def test_no_shape_breaks_the_checker(path: Path, value: Any) -> None:
    text = json.dumps(put(graph_copy(), path, value)).encode()
    detect(text)
    for problem in check(parse(text, Format.DIFY)):
        assert "\n" not in str(problem)


@EVERY_REAL_EXPORT
def test_a_real_export_has_no_problems(export: Any) -> None:
    assert check(detect(export.read_bytes())[1]) == []


@pytest.mark.parametrize("name", ["v1", "v2", "v3", "v4"])
def test_the_sample_has_no_problems(name: str) -> None:
    form, document = detect((TRIAGE / f"{name}.yml").read_bytes())
    assert form is Format.DIFY
    assert check(document) == []
