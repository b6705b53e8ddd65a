"""What must hold in a Dify DSL export (0.1.x to 0.6.0) before it can be a revision.

`version` and `kind` may be absent, as in early exports. What only an engine can judge (models,
plugins, references) is left to the preview.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from belay.core.revisions.canonical import is_note
from belay.core.revisions.document import Document, Path, Place, Plain, short
from belay.core.revisions.read import GRAPH_MODES, GRAPHLESS_MODES

NEWEST: Final = (0, 6, 0)
_VERSION: Final = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}")
_MODES_KNOWN: Final = "workflow and advanced-chat have one"
_TRIGGER: Final = "trigger-"

Mapping = dict[str, Plain]
Found = tuple[Path, str]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong with a definition, and where."""

    place: Place
    text: str

    def __str__(self) -> str:
        return f"{self.place}: {self.text}"


def check(document: Document) -> list[Problem]:
    """All that is wrong, in reading order; empty when the definition can be a revision."""
    return sorted(
        (Problem(document.place(path), text) for path, text in _problems(document.value)),
        key=lambda problem: (problem.place.line, problem.place.column),
    )


def graph_of(definition: Plain) -> tuple[list[Mapping], list[Mapping]]:
    """Nodes and edges of a definition, as far as there are any."""
    graph = _member(_member(definition, "workflow"), "graph")
    return _mappings(graph, "nodes"), _mappings(graph, "edges")


def _problems(definition: Plain) -> Iterator[Found]:
    if not isinstance(definition, dict):
        yield (), "a Dify DSL export is a mapping"
        return
    yield from _head(definition)
    mode = _member(definition.get("app"), "mode")
    if isinstance(mode, str) and mode in GRAPHLESS_MODES:
        return
    workflow = definition.get("workflow")
    graph = workflow.get("graph") if isinstance(workflow, dict) else None
    if not isinstance(graph, dict):
        path: Path = ("workflow",) if isinstance(workflow, dict) else ()
        yield path, "no graph: workflow.graph must be a mapping"
        return
    yield from _variables(workflow if isinstance(workflow, dict) else {})
    yield from _graph(graph)


def _head(definition: Mapping) -> Iterator[Found]:
    if definition.get("kind", "app") != "app":
        yield ("kind",), f"{_shown(definition['kind'])} is not known; app is meant"
    yield from _version(definition.get("version"))
    app = definition.get("app")
    if not isinstance(app, dict):
        yield ("app",), "no app: app.mode says what this is"
        return
    yield from _texts(app, ("app",), "mode", "name", "description", "icon", required=("mode",))
    mode = app.get("mode")
    if isinstance(mode, str) and mode in GRAPHLESS_MODES:
        yield ("app", "mode"), f'no graph: a "{mode}" app has none; {_MODES_KNOWN}'
    elif isinstance(mode, str) and mode not in GRAPH_MODES:
        yield ("app", "mode"), f'unknown mode "{short(mode)}"; {_MODES_KNOWN}'


def _version(version: Plain) -> Iterator[Found]:
    if version is None:
        return
    if not isinstance(version, str):
        yield ("version",), f"{_shown(version)} stands where text belongs; put it in quotes"
    elif not _VERSION.fullmatch(version):
        yield ("version",), f'"{short(version)}" is no version such as 0.5.0'
    elif tuple(int(part) for part in version.split(".")) > NEWEST:
        yield ("version",), f"{version} is newer than 0.6.0, the newest DSL that is known"


def _variables(workflow: Mapping) -> Iterator[Found]:
    for key in ("environment_variables", "conversation_variables"):
        variables = workflow.get(key)
        if variables is None:
            continue
        if not isinstance(variables, list):
            yield ("workflow", key), "must be a list"
            continue
        names: set[str] = set()
        for index, variable in enumerate(variables):
            path: Path = ("workflow", key, index)
            if not isinstance(variable, dict):
                yield path, "a variable is a mapping"
                continue
            yield from _texts(variable, path, "name", "value_type", "id", required=("name",))
            name = variable.get("name")
            if isinstance(name, str) and name in names:
                yield (*path, "name"), f'the variable "{short(name)}" stands here twice'
            if isinstance(name, str):
                names.add(name)


def _graph(graph: Mapping) -> Iterator[Found]:
    base: Path = ("workflow", "graph")
    nodes, edges = graph.get("nodes"), graph.get("edges", [])
    if not isinstance(nodes, list) or not nodes:
        yield (*base, "nodes"), "no graph: nodes must be a list with at least one node"
        return
    known: dict[str, Mapping] = {}
    for index, node in enumerate(nodes):
        yield from _node(node, (*base, "nodes", index), known)
    yield from _across(nodes, base, known)
    if not isinstance(edges, list):
        yield (*base, "edges"), "must be a list"
        return
    for index, edge in enumerate(edges):
        yield from _edge(edge, (*base, "edges", index), known)


def _node(node: Plain, path: Path, known: dict[str, Mapping]) -> Iterator[Found]:
    if not isinstance(node, dict):
        yield path, "a node is a mapping"
        return
    yield from _texts(node, path, "id", "type", "parentId", required=("id",))
    name = node.get("id")
    if isinstance(name, str):
        if name in known:
            yield (*path, "id"), f'duplicate node id "{short(name)}"'
        known.setdefault(name, node)
    data = node.get("data")
    if not isinstance(data, dict):
        yield path, "a node needs data: a mapping with its type"
        return
    required = () if is_note(node) else ("type",)
    yield from _texts(data, (*path, "data"), "type", "title", "desc", required=required)


def _across(nodes: list[Plain], base: Path, known: dict[str, Mapping]) -> Iterator[Found]:
    start = any(_type(node) == "start" for node in known.values())
    for index, node in enumerate(nodes):
        path: Path = (*base, "nodes", index)
        parent = node.get("parentId") if isinstance(node, dict) else None
        if isinstance(parent, str) and parent and parent not in known:
            yield (*path, "parentId"), f'no node has the id "{short(parent)}"'
        if start and isinstance(node, dict) and _type(node).startswith(_TRIGGER):
            yield (*path, "data", "type"), f"{_type(node)} and start cannot stand in one graph"


def _edge(edge: Plain, path: Path, known: dict[str, Mapping]) -> Iterator[Found]:
    if not isinstance(edge, dict):
        yield path, "an edge is a mapping"
        return
    ends = ("source", "target")
    yield from _texts(edge, path, *ends, "sourceHandle", "targetHandle", required=ends)
    for end in ends:
        node = edge.get(end)
        if isinstance(node, str) and node not in known:
            yield (*path, end), f'dangling edge: no node has the id "{short(node)}"'
    source, handle = edge.get("source"), edge.get("sourceHandle")
    branches = _branches(known.get(source) if isinstance(source, str) else None)
    if branches and isinstance(handle, str) and handle not in branches:
        has = short(", ".join(sorted(branches)), 80)
        yield (*path, "sourceHandle"), f'no branch "{short(handle)}" (it has {has})'


def _branches(node: Mapping | None) -> set[str]:
    """The handles that edges may leave a branching node by; empty where that is not known."""
    match _type(node) if node else "":
        case "if-else":
            return {*_ids(node, "cases", "case_id"), *_ids(node, "cases", "id"), "true", "false"}
        case "question-classifier":
            return {*_ids(node, "classes", "id"), "fail-branch"}
        case _:
            return set()


def _ids(node: Plain, items: str, key: str) -> Iterator[str]:
    for item in _mappings(_member(node, "data"), items):
        name = item.get(key)
        if isinstance(name, str):
            yield name


def _texts(
    holder: Mapping, path: Path, *names: str, required: tuple[str, ...] = ()
) -> Iterator[Found]:
    """Members that must be text where they are; the required ones must not be empty either."""
    for name in names:
        value = holder.get(name)
        if name in required and (value is None or value == ""):
            yield (*path, name), f"{name} is missing"
        elif value is not None and not isinstance(value, str):
            yield (*path, name), f"{_shown(value)} stands where text belongs; put it in quotes"


def _shown(value: Plain) -> str:
    match value:
        case bool() | None:
            return f"the value {str(value).lower()}"
        case int() | float():
            return f"the number {value}"
        case str():
            return f'"{short(value)}"'
        case _:
            return "a list" if isinstance(value, list) else "a mapping"


def _type(node: Mapping) -> str:
    kind = _member(node.get("data"), "type")
    return kind if isinstance(kind, str) else ""


def _member(holder: Plain, name: str) -> Plain:
    return holder.get(name) if isinstance(holder, dict) else None


def _mappings(holder: Plain, name: str) -> list[Mapping]:
    items = _member(holder, name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []
