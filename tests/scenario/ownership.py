"""Server-side apply: who owns which field, and what a merge makes of it.

After sigs.k8s.io/structured-merge-diff; a path is written as in `managedFields`.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from tests.scenario.shapes import SET, Object, Place, Shape

Path = tuple[str, ...]
"""Elements as in fieldsV1: `f:name`, `k:{"name":"app"}`, `v:200`."""
_MISSING = object()


class Entry(NamedTuple):
    """One manager; each of its ways to write has fields of its own."""

    manager: str
    operation: str
    subresource: str


Owners = Mapping[Entry, frozenset[Path]]


class Conflict(NamedTuple):
    """A field that another manager owns with another value."""

    entry: Entry
    path: Path

    @property
    def field(self) -> str:
        return "".join(
            f".{e[2:]}" if e.startswith("f:") else f"[{_told_key(e)}]" for e in self.path
        )


_IDENTITY = frozenset(
    {("f:apiVersion",), ("f:kind",)}
    | {
        ("f:metadata", f"f:{name}")
        for name in (
            "creationTimestamp",
            "deletionGracePeriodSeconds",
            "deletionTimestamp",
            "generation",
            "managedFields",
            "name",
            "namespace",
            "resourceVersion",
            "uid",
        )
    }
)


def fields(shape: Shape, body: Object) -> frozenset[Path]:
    """All fields that an object sets, without those that nobody owns."""
    if not shape.tracked:
        return frozenset()
    return frozenset(p for p in _leaves(shape, body, (), ()) if p[:2] not in _IDENTITY)


def without_identity(body: Object) -> Object:
    return {k: v for k, v in body.items() if k not in ("apiVersion", "kind")}


def differing(shape: Shape, before: Object, after: Object) -> frozenset[Path]:
    """Fields of `after` that are new or have another value."""
    return frozenset(p for p in fields(shape, after) if not _same(_at(before, p), _at(after, p), p))


def merged(shape: Shape, live: Any, config: Any, at: Place = ()) -> Any:
    """The live value with the applied one laid over it."""
    if isinstance(live, dict) and isinstance(config, dict) and at not in shape.atomic_maps:
        laid = {k: merged(shape, live.get(k), v, (*at, k)) for k, v in config.items()}
        return {**live, **laid}
    keys = shape.keys.get(at)
    if keys is None or not isinstance(live, list) or not isinstance(config, list):
        return config
    if keys == SET:
        return [*live, *(v for v in config if v not in live)]
    wanted = {_key(keys, item): item for item in config}
    there = {_key(keys, item) for item in live}
    return [
        *(merged(shape, i, wanted[k], at) if (k := _key(keys, i)) in wanted else i for i in live),
        *(item for k, item in wanted.items() if k not in there),
    ]


def conflicts(changed: frozenset[Path], owners: Owners, mine: Entry) -> list[Conflict]:
    """What of these changes takes a field from another manager."""
    return [
        Conflict(entry, path)
        for entry, owned in sorted(owners.items())
        if entry != mine
        for path in sorted(owned & changed)
    ]


def released(body: Object, paths: frozenset[Path]) -> None:
    """Take these fields out of the object, and what is left empty by that."""
    for path in sorted(paths, key=len):
        _remove(body, path)


def present(body: Object, paths: frozenset[Path]) -> frozenset[Path]:
    """Those of the paths that the object still has."""
    return frozenset(p for p in paths if _at(body, p) is not _MISSING)


def fields_v1(paths: frozenset[Path]) -> Object:
    """The paths as `managedFields` shows them."""
    tree: Object = {}
    for path in sorted(paths):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
        if path[-1].startswith("k:"):
            node["."] = {}
    return tree


def _leaves(shape: Shape, value: Any, path: Path, at: Place) -> Iterator[Path]:
    keys = shape.keys.get(at)
    if isinstance(value, dict) and value and at not in shape.atomic_maps:
        for name, inner in value.items():
            yield from _leaves(shape, inner, (*path, f"f:{name}"), (*at, name))
    elif isinstance(value, list) and keys is not None and value:
        for item in value:
            if keys == SET:
                yield (*path, f"v:{json.dumps(item)}")
                continue
            inside = (*path, _key(keys, item))
            yield inside
            for name, inner in item.items():
                yield from _leaves(shape, inner, (*inside, f"f:{name}"), (*at, name))
    elif path:
        yield path


def _key(keys: Place, item: Object) -> str:
    named = {k: item.get(k, "TCP" if k == "protocol" else None) for k in keys}
    return "k:" + json.dumps(named, separators=(",", ":"), sort_keys=True)


def _told_key(element: str) -> str:
    if element.startswith("v:"):
        return element[2:]
    return ",".join(f"{k}={json.dumps(v)}" for k, v in json.loads(element[2:]).items())


@cache
def _parsed(element: str) -> Any:
    return json.loads(element[2:])


def _matches(item: Any, element: str) -> bool:
    wanted = _parsed(element)
    if element.startswith("v:"):
        return bool(item == wanted)
    default = {"protocol": "TCP"}
    return all(item.get(k, default.get(k)) == v for k, v in wanted.items())


def _at(value: Any, path: Path) -> Any:
    for element in path:
        if element.startswith("f:"):
            if not isinstance(value, dict) or element[2:] not in value:
                return _MISSING
            value = value[element[2:]]
        else:
            items = value if isinstance(value, list) else []
            value = next((i for i in items if _matches(i, element)), _MISSING)
    return value


def _same(before: Any, after: Any, path: Path) -> bool:
    """An item of a keyed list is the same as long as it is there; its fields are told apart."""
    if before is _MISSING:
        return False
    return path[-1].startswith("k:") or bool(before == after)


def _remove(body: Object, path: Path) -> None:
    trail: list[tuple[Any, str]] = [(body, path[0])]
    for element, following in itertools.pairwise(path):
        inner = _at(trail[-1][0], (element,))
        if inner is _MISSING:
            return
        trail.append((inner, following))
    for container, element in reversed(trail):
        inner = _at(container, (element,))
        if (container, element) != trail[-1] and inner not in ({}, []):
            return
        if isinstance(container, list):
            container[:] = [i for i in container if not _matches(i, element)]
        else:
            container.pop(element[2:], None)
