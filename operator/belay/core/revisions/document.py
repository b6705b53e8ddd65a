"""A definition as a plain document whose every value knows its place in the text.

Two readers feed one `Builder`: `yaml_text` (YAML 1.1, safe) and `json_text`. Neither recurses, and
the caps hold for what aliases expand to, so that no input can exhaust memory or the stack.
"""

import math
import re
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from belay.api.names import MAX_DELIVERED_BYTES

MAX_DEPTH: Final = 64
MAX_NODES: Final = 100_000
"""Values in a document, aliases expanded."""
MAX_CHARACTERS: Final = 4 * 1024 * 1024
"""Length of all texts and keys of a document, aliases expanded."""
MAX_INTEGER: Final = 2**53 - 1
"""Larger ones do not survive a JSON reader (RFC 8785, section 3.2.2.3)."""

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None
Path: TypeAlias = tuple[str | int, ...]

_SIMPLE_KEY = re.compile(r"[A-Za-z_][-A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands: its path in the document; line and column count from 1."""

    path: Path
    line: int
    column: int

    def __str__(self) -> str:
        return f"line {self.line}, column {self.column}" + (
            f", {short(path_text(self.path), 160)}" if self.path else ""
        )


class Refused(ValueError):
    """The text cannot be a definition. Its message is one line without the place."""

    def __init__(self, problem: str, place: Place | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.place = place

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}" if self.place else self.problem


class Merge:
    """The key `<<` of YAML 1.1: the mapping's other members come from its value."""


@dataclass(slots=True, eq=False)
class Node:
    """A value and the characters `start` to `end` of the text that it was read from."""

    value: Plain
    start: int
    end: int = 0
    style: str = ""
    """How a scalar is written: plain "", ', ", | or >; "&" where an anchor or a tag leads it."""
    members: dict[str, "Node"] = field(default_factory=dict)
    items: list["Node"] = field(default_factory=list)
    nodes: int = 1
    characters: int = 0
    height: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """A whole text, read."""

    text: str
    root: Node

    @property
    def value(self) -> Plain:
        return self.root.value

    def place(self, path: Path) -> Place:
        """The place of a path, or of its nearest ancestor that exists."""
        node = self.root
        for step in path:
            below = _child(node, step)
            if below is None:
                break
            node = below
        return place_at(self.text, node.start, path)


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(step, str):
        return node.members.get(step)
    return node.items[step] if step < len(node.items) else None


def place_at(text: str, index: int, path: Path) -> Place:
    """The place of a character; a BOM takes no column, as in an editor."""
    bom = int(text.startswith("\ufeff"))
    line_start = max(text.rfind("\n", 0, index) + 1, bom)
    return Place(path, text.count("\n", 0, index) + 1, index - line_start + 1)


def path_text(path: Path) -> str:
    """A path as people read it, such as `workflow.graph.nodes[3].data.timeout`."""
    parts: list[str] = []
    for step in path:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _SIMPLE_KEY.fullmatch(step):
            parts.append(f".{step}" if parts else step)
        else:
            parts.append(f'["{short(step)}"]')
    return "".join(parts)


def short(text: str, limit: int = 40) -> str:
    """A text for a message: one line, printable, cut at the limit."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    return clean if len(clean) <= limit else f"{clean[: limit - 3]}..."


def decode(content: bytes) -> str:
    """The text of a file: UTF-8 without NUL and within the cap; else Refused."""
    if len(content) > MAX_DELIVERED_BYTES:
        raise Refused(f"the text is too large: at most {MAX_DELIVERED_BYTES // 1024} KiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        readable = content[: error.start].decode("utf-8")
        raise Refused("not UTF-8 text", place_at(readable, len(readable), ())) from None
    if "\0" in text:
        raise Refused("a NUL byte: not a text file", place_at(text, text.index("\0"), ()))
    if not text.strip("\ufeff \t\r\n"):
        raise Refused("the file is empty")
    return text


@dataclass(slots=True)
class _Frame:
    node: Node
    mapping: bool
    anchor: str | None
    key: str | None = None
    merging: bool = False
    merges: list[Node] = field(default_factory=list)


class Builder:
    """Builds a Document from values in text order; refuses what cannot be kept exactly."""

    def __init__(self, text: str, base: int = 0) -> None:
        self.base = base
        """Characters of the text before the first one that the reader counts."""
        self._text = text
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._characters = 0
        self._root: Node | None = None

    def refuse(self, problem: str, index: int) -> Refused:
        """The error for something at this index of the text, with the path read so far."""
        return Refused(problem, place_at(self._text, index, self._path()))

    def scalar(self, value: Plain | Merge, node: Node, anchor: str | None = None) -> None:
        if isinstance(value, Merge):
            if self._awaits_key():
                self._stack[-1].merging = True
                return
            value = "<<"
        if isinstance(value, float) and not math.isfinite(value):
            raise self.refuse(f"{value} is no number that JSON can hold", node.start)
        if type(value) is int and abs(value) > MAX_INTEGER:
            raise self.refuse("an integer beyond 2^53 loses digits; put it in quotes", node.start)
        node.value = value
        node.characters = len(value) if isinstance(value, str) else 0
        self._count(node)
        if anchor is not None:
            self._anchors[anchor] = node
        self._add(node)

    def open(self, start: int, *, mapping: bool, anchor: str | None = None) -> None:
        if self._awaits_key():
            raise self.refuse("a key must be text, not a list or a mapping", start)
        if len(self._stack) >= MAX_DEPTH:
            raise self.refuse(f"nested deeper than {MAX_DEPTH} levels", start)
        node = Node(value={} if mapping else [], start=start)
        self._count(node)
        self._stack.append(_Frame(node, mapping, anchor))

    def close(self, end: int) -> None:
        frame = self._stack.pop()
        frame.node.end = end
        for source in frame.merges:
            self._merge(frame.node, source)
        if frame.anchor is not None:
            self._anchors[frame.anchor] = frame.node
        self._add(frame.node)

    def alias(self, name: str, index: int) -> None:
        node = self._anchors.get(name)
        if node is None or any(frame.anchor == name for frame in self._stack):
            raise self.refuse(f"alias *{short(name)} refers to itself or to nothing", index)
        if len(self._stack) + node.height > MAX_DEPTH + 1:
            raise self.refuse(f"aliases nest deeper than {MAX_DEPTH} levels", index)
        self._count(node)
        self._add(node)

    def document(self) -> Document:
        if self._root is None:
            raise Refused("the file is empty")
        if not isinstance(self._root.value, dict | list):
            raise self.refuse("the whole file is one value: a definition is a mapping or a list", 0)
        return Document(self._text, self._root)

    def _path(self) -> Path:
        steps: list[str | int] = []
        for frame in self._stack:
            if not frame.mapping:
                steps.append(len(frame.node.items))
            elif frame.key is not None:
                steps.append(frame.key)
        return tuple(steps)

    def _awaits_key(self) -> bool:
        if not self._stack:
            return False
        frame = self._stack[-1]
        return frame.mapping and frame.key is None and not frame.merging

    def _count(self, node: Node) -> None:
        self._nodes += node.nodes
        self._characters += node.characters
        if self._nodes > MAX_NODES:
            raise self.refuse(f"expands to more than {MAX_NODES} values", node.start)
        if self._characters > MAX_CHARACTERS:
            raise self.refuse("expands to more than 4 MiB of text", node.start)

    def _add(self, node: Node) -> None:
        if not self._stack:
            self._root = node
            return
        frame = self._stack[-1]
        parent = frame.node
        if frame.mapping and frame.merging:
            frame.merging = False
            frame.merges.extend(self._sources(node))
        elif frame.mapping and frame.key is None:
            frame.key = self._key(frame, node)
            return
        elif frame.mapping and frame.key is not None:
            _put(parent, frame.key, node)
            frame.key = None
        else:
            parent.items.append(node)
            parent.value.append(node.value)  # type: ignore[union-attr]
        parent.nodes += node.nodes
        parent.characters += node.characters
        parent.height = max(parent.height, node.height + 1)

    def _key(self, frame: _Frame, node: Node) -> str:
        if not isinstance(node.value, str):
            found = self._text[node.start : node.end] or "an empty key"
            raise self.refuse(f"the key {short(found)} is not text; put it in quotes", node.start)
        if node.value in frame.node.members:
            raise self.refuse(f'the key "{short(node.value)}" stands here twice', node.start)
        frame.node.characters += len(node.value)
        return node.value

    def _sources(self, node: Node) -> list[Node]:
        sources = node.items or [node]
        if not all(isinstance(source.value, dict) for source in sources):
            raise self.refuse("<< merges mappings only", node.start)
        return sources

    def _merge(self, target: Node, source: Node) -> None:
        for key, member in source.members.items():
            if key not in target.members:
                self._count(member)
                _put(target, key, member)


def _put(parent: Node, key: str, node: Node) -> None:
    parent.members[key] = node
    parent.value[key] = node.value  # type: ignore[index,call-overload]
