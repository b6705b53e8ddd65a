"""A small Dify graph, and strategies that change it."""

import json
from typing import Any

from hypothesis import strategies as st

DIFY: dict[str, Any] = {
    "app": {"mode": "workflow", "name": "Draft", "icon": "x", "description": ""},
    "kind": "app",
    "version": "0.3.0",
    "dependencies": [{"type": "marketplace", "value": {"plugin": "a/b:0.0.1"}}],
    "workflow": {
        "environment_variables": [
            {"id": "e1", "name": "CRM_KEY", "value": "", "value_type": "secret"},
            {"id": "e2", "name": "HOST", "value": "crm:80", "value_type": "string"},
        ],
        "conversation_variables": [],
        "features": {"opening_statement": "Hello"},
        "graph": {
            "viewport": {"x": 0, "y": 0, "zoom": 1},
            "nodes": [
                {
                    "id": "1",
                    "type": "custom",
                    "position": {"x": 1.5, "y": 2},
                    "width": 244,
                    "data": {"type": "start", "title": "Start", "selected": False, "variables": []},
                },
                {
                    "id": "2",
                    "type": "custom",
                    "position": {"x": 3, "y": 4},
                    "data": {
                        "type": "if-else",
                        "title": "Which",
                        "cases": [{"case_id": "a", "id": "a", "conditions": []}],
                    },
                },
                {
                    "id": "3",
                    "type": "custom",
                    "parentId": "2",
                    "position": {"x": 5, "y": 6},
                    "data": {"type": "llm", "title": "draft", "prompt_template": [{"text": "Hi"}]},
                },
                {
                    "id": "4",
                    "type": "custom-note",
                    "position": {"x": 0, "y": 0},
                    "data": {"type": "", "text": "Ask Legal", "width": 240, "theme": "blue"},
                },
            ],
            "edges": [
                {
                    "id": "1-2",
                    "type": "custom",
                    "source": "1",
                    "sourceHandle": "source",
                    "target": "2",
                    "targetHandle": "target",
                    "zIndex": 0,
                    "data": {"sourceType": "start", "targetType": "if-else"},
                },
                {
                    "id": "2-3",
                    "type": "custom",
                    "source": "2",
                    "sourceHandle": "a",
                    "target": "3",
                    "targetHandle": "target",
                },
            ],
        },
    },
}

Path = tuple[str | int, ...]


def graph_copy() -> dict[str, Any]:
    copied: dict[str, Any] = json.loads(json.dumps(DIFY))
    return copied


def put(document: Any, path: Path, value: Any) -> Any:
    """The document after one assignment, with what is missing on the way."""
    below = document
    for step in path[:-1]:
        below = below.setdefault(step, {}) if isinstance(below, dict) else below[step]
    below[path[-1]] = value
    return document


NODE = ("workflow", "graph", "nodes")
EDGE = ("workflow", "graph", "edges")
_NODE_LAYOUT = (
    "position",
    "positionAbsolute",
    "width",
    "height",
    "selected",
    "dragging",
    "zIndex",
    "sourcePosition",
    "targetPosition",
    "draggable",
    "selectable",
    "extent",
)
LAYOUT_PATHS: list[Path] = [
    ("workflow", "graph", "viewport"),
    *((*NODE, index, field) for index in range(4) for field in _NODE_LAYOUT),
    *((*NODE, index, "data", "selected") for index in range(4)),
    *((*NODE, 3, "data", field) for field in ("width", "height", "theme")),
    *((*EDGE, index, field) for index in range(2) for field in ("id", "type", "zIndex", "data")),
    ("app", "name"),
    ("app", "icon"),
    ("app", "description"),
]
BEHAVIOUR_PATHS: list[Path] = [
    ("app", "mode"),
    ("version",),
    ("kind",),
    ("dependencies", 0, "value", "plugin"),
    ("workflow", "features", "opening_statement"),
    ("workflow", "environment_variables", 0, "name"),
    ("workflow", "environment_variables", 1, "value"),
    ("workflow", "environment_variables", 1, "value_type"),
    ("workflow", "conversation_variables"),
    (*NODE, 0, "id"),
    (*NODE, 0, "data", "variables"),
    (*NODE, 0, "data", "title"),
    (*NODE, 0, "data", "width"),
    (*NODE, 1, "data", "cases", 0, "case_id"),
    (*NODE, 2, "parentId"),
    (*NODE, 2, "data", "prompt_template", 0, "text"),
    (*NODE, 2, "data", "anything"),
    (*NODE, 3, "data", "text"),
    (*EDGE, 1, "source"),
    (*EDGE, 1, "sourceHandle"),
    (*EDGE, 1, "target"),
    (*EDGE, 1, "targetHandle"),
    (*EDGE, 1, "anything"),
    ("workflow", "anything"),
    ("anything",),
]
VALUES = st.sampled_from([1.25, -7, True, "changed", {"x": 9}, ["changed"]])


@st.composite
def reordered(draw: st.DrawFn, value: Any) -> Any:
    """The same members in another order, at every depth; lists keep theirs."""
    if isinstance(value, dict):
        keys = draw(st.permutations(list(value)))
        return {key: draw(reordered(value[key])) for key in keys}
    return [draw(reordered(item)) for item in value] if isinstance(value, list) else value


@st.composite
def with_nulls(draw: st.DrawFn, value: Any) -> Any:
    """The same with null members put in anywhere."""
    if isinstance(value, dict):
        nulls = {"null_member": None} if draw(st.booleans()) else {}
        return {**{key: draw(with_nulls(member)) for key, member in value.items()}, **nulls}
    return [draw(with_nulls(item)) for item in value] if isinstance(value, list) else value
