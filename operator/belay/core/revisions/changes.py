"""What changed between two definitions, in one line for people."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from belay.api.revision import Format
from belay.core.revisions.canonical import (
    behaviour_of_edge,
    behaviour_of_node,
    canonical,
    without_nulls,
)
from belay.core.revisions.dify import Mapping, graph_of
from belay.core.revisions.document import Plain, short

_NAMED: Final = 3
"""So many nodes are named; the others are counted."""
_SPOKEN: Final = {"prompt_template": "prompt"}


@dataclass(frozen=True, slots=True)
class Changes:
    """Differences by class. `moved` counts every node whose layout differs."""

    changed: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    moved: int = 0
    edges: int = 0
    other: tuple[str, ...] = ()
    """Top-level parts outside of the graph, such as `environment_variables`."""


def size_text(form: Format, definition: Plain) -> str:
    """`14 nodes, 16 edges`; empty where there is no graph."""
    if form is not Format.DIFY:
        return ""
    nodes, edges = graph_of(definition)
    return f"{_many(len(nodes), 'node')}, {_many(len(edges), 'edge')}"


def compare(form: Format, before: Plain, after: Plain) -> Changes:
    """Nodes are matched by id, edges by their ends."""
    if form is not Format.DIFY:
        same = canonical(form, before) == canonical(form, after)
        return Changes(other=() if same else ("content",))
    nodes_before, edges_before = graph_of(without_nulls(before))
    nodes_after, edges_after = graph_of(without_nulls(after))
    old, new = _by_id(nodes_before), _by_id(nodes_after)
    both = [name for name in new if name in old]
    return Changes(
        changed=tuple(
            f"{_called(new[name])}: {', '.join(fields)}"
            for name in both
            if (fields := _fields(old[name], new[name]))
        ),
        added=tuple(_called(new[name]) for name in new if name not in old),
        removed=tuple(_called(old[name]) for name in old if name not in new),
        moved=sum(
            old[name] != new[name] and _layout(old[name]) != _layout(new[name]) for name in both
        ),
        edges=len(_edges(edges_before) ^ _edges(edges_after)),
        other=_others(form, before, after),
    )


def changes_text(changes: Changes, since: str) -> str:
    """`1 node changed since v2 (llm "draft": prompt), 2 moved (layout only)`."""
    parts = [
        f"{_many(len(names), 'node')} {verb}{since_text} ({_first(names)})"
        for names, verb, since_text in (
            (changes.changed, "changed", f" since {since}"),
            (changes.added, "added", ""),
            (changes.removed, "removed", ""),
        )
        if names
    ]
    if changes.edges:
        parts.append(f"{_many(changes.edges, 'edge')} added or removed")
    if changes.other:
        parts.append(f"{', '.join(changes.other)} changed")
    if changes.moved:
        parts.append(f"{changes.moved} moved (layout only)")
    text = ", ".join(parts) or "nothing changed"
    return text if changes.changed else f"{text} since {since}"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _first(names: tuple[str, ...]) -> str:
    rest = len(names) - _NAMED
    return "; ".join(names[:_NAMED]) + (f"; and {rest} more" if rest > 0 else "")


def _by_id(nodes: Iterable[Mapping]) -> dict[str, Mapping]:
    return {str(node.get("id")): node for node in nodes}


def _called(node: Mapping) -> str:
    data = node.get("data")
    members = data if isinstance(data, dict) else {}
    title = members.get("title") or node.get("id")
    return f'{members.get("type") or "note"} "{short(str(title))}"'


def _fields(before: Mapping, after: Mapping) -> list[str]:
    """Names of the behaviour fields that differ: those of `data`, and others of the node."""
    old, new = _behaviour(before), _behaviour(after)
    names = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    return [_SPOKEN.get(name, short(name)) for name in names]


def _behaviour(node: Mapping) -> Mapping:
    bare = behaviour_of_node(node)
    members = bare if isinstance(bare, dict) else {}
    data = members.get("data")
    return {**members, **data, "data": None} if isinstance(data, dict) else members


def _layout(node: Mapping) -> Mapping:
    bare = behaviour_of_node(node)
    kept = bare if isinstance(bare, dict) else {}
    return {key: value for key, value in node.items() if key not in kept and key != "selected"}


def _edges(edges: Iterable[Mapping]) -> set[str]:
    return {repr(sorted(_members(behaviour_of_edge(edge)).items())) for edge in edges}


def _members(value: Plain) -> Mapping:
    return value if isinstance(value, dict) else {}


def _others(form: Format, before: Plain, after: Plain) -> tuple[str, ...]:
    old, new = _outside_of_graph(form, before), _outside_of_graph(form, after)
    return tuple(sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key)))


def _outside_of_graph(form: Format, definition: Plain) -> Mapping:
    top = _members(canonical(form, definition))
    workflow = _members(top.get("workflow"))
    return {
        **{key: value for key, value in top.items() if key != "workflow"},
        **{key: value for key, value in workflow.items() if key != "graph"},
    }
