"""The two digests of a revision.

`content_digest` is over bytes. `digest` is over behaviour: sha256 of the RFC 8785 form of

    {"v": 1, "format": <format>, "definition": <canonical>, "bindings": {<name>: <reference>}}

where the canonical definition has no null members (a null member equals absence; nulls in lists
stay), and for Dify DSL also

- no `workflow.graph.viewport`,
- no name, description and icons of the app: they dress it, the graph does not see them,
- nodes without `LAYOUT`, and without `selected` in their data; the data of sticky notes,
  iterations and loops also without their size and theme. A note's text counts,
- edges without `EDGE_DERIVED`, which the editor makes from their ends,
- nodes in the order of their ids, edges in that of (source, sourceHandle, target, targetHandle),
  by code points; equal keys in the order of their own RFC 8785 form.
"""

import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import rfc8785

from belay.api.revision import Binding, Format
from belay.core.revisions.document import Plain

LAYOUT: Final = frozenset(
    {
        "position",
        "positionAbsolute",
        "width",
        "height",
        "measured",
        "selected",
        "dragging",
        "resizing",
        "zIndex",
        "sourcePosition",
        "targetPosition",
        "draggable",
        "selectable",
        "connectable",
        "deletable",
        "extent",
        "style",
        "className",
    }
)
EDGE_DERIVED: Final = frozenset(
    {
        "id",
        "type",
        "data",
        "zIndex",
        "selected",
        "animated",
        "selectable",
        "deletable",
        "focusable",
        "style",
        "className",
    }
)
APP_DRESS: Final = frozenset(
    {"name", "description", "icon", "icon_type", "icon_background", "use_icon_as_answer_icon"}
)
EDGE_KEY: Final = ("source", "sourceHandle", "target", "targetHandle")
_CONTAINER_DATA: Final = frozenset({"selected", "width", "height", "theme", "showAuthor"})
_NODE_DATA: Final = frozenset({"selected"})
_NOTE: Final = "custom-note"


def content_digest(content: bytes) -> str:
    """sha256 of the exact bytes that pods get."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest(form: Format, definition: Plain, bindings: Iterable[Binding] = ()) -> str:
    """sha256 of what changes behaviour; see the module for its form.

    Raises rfc8785.CanonicalizationError for values that `parse` would have refused.
    """
    envelope: dict[str, Plain] = {
        "v": 1,
        "format": form.value,
        "definition": canonical(form, definition),
        "bindings": {binding.name: _reference(binding) for binding in bindings},
    }
    return content_digest(rfc8785.dumps(envelope))


def canonical(form: Format, definition: Plain) -> Plain:
    """What of a definition changes behaviour, in one order."""
    plain = without_nulls(definition)
    if form is not Format.DIFY or not isinstance(plain, dict):
        return plain
    return _at(_at(plain, "app", _undressed), "workflow", _workflow)


def is_note(node: dict[str, Plain]) -> bool:
    """A sticky note of the editor: it takes no part in a run."""
    return node.get("type") == _NOTE


def behaviour_of_node(node: Plain) -> Plain:
    """A node of a Dify graph without its layout."""
    if not isinstance(node, dict):
        return node
    data = node.get("data")
    kind = data.get("type") if isinstance(data, dict) else None
    sized = is_note(node) or kind in ("iteration", "loop")
    bare = _drop(node, LAYOUT)
    return _at(bare, "data", lambda below: _drop(below, _CONTAINER_DATA if sized else _NODE_DATA))


def behaviour_of_edge(edge: Plain) -> Plain:
    """An edge of a Dify graph without what the editor derives."""
    return _drop(edge, EDGE_DERIVED) if isinstance(edge, dict) else edge


def _reference(binding: Binding) -> Plain:
    reference: dict[str, Plain] = binding.to_api()
    del reference["name"]
    return reference


def _workflow(workflow: dict[str, Plain]) -> dict[str, Plain]:
    return _at(workflow, "graph", _graph)


def _graph(graph: dict[str, Plain]) -> dict[str, Plain]:
    kept = {key: value for key, value in graph.items() if key != "viewport"}
    for key, bare, order in (
        ("nodes", behaviour_of_node, ("id",)),
        ("edges", behaviour_of_edge, EDGE_KEY),
    ):
        items = kept.get(key)
        if isinstance(items, list):
            kept[key] = _sorted([bare(item) for item in items], order)
    return kept


def _sorted(items: list[Plain], keys: tuple[str, ...]) -> list[Plain]:
    def order(item: Plain) -> tuple[list[str], bytes]:
        members = item if isinstance(item, dict) else {}
        return [str(members.get(key, "")) for key in keys], rfc8785.dumps(item)

    return sorted(items, key=order)


def _undressed(app: dict[str, Plain]) -> dict[str, Plain]:
    return _drop(app, APP_DRESS)


def _drop(members: dict[str, Plain], names: frozenset[str]) -> dict[str, Plain]:
    return {key: value for key, value in members.items() if key not in names}


def _at(
    members: dict[str, Plain], key: str, change: Callable[[dict[str, Plain]], dict[str, Plain]]
) -> dict[str, Plain]:
    below = members.get(key)
    return {**members, key: change(below)} if isinstance(below, dict) else members


def without_nulls(value: Plain) -> Plain:
    """Without null members at any depth; nulls in lists stay."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value
