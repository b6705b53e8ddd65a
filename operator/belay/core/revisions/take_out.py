"""Takes secrets out of a definition's text and leaves every other byte as it was.

What stands in their place, for whoever runs the definition:

- A secret environment variable keeps its entry with an empty value, and a binding of its name holds
  the value.
- Any other secret becomes the reference `{{#env.NAME#}}`, Dify's own notation, in all formats. NAME
  is that of a binding. It is made from the field and the node's id (`API_KEY_1718362728364`), so
  that it stays the same when nodes come in another order.

So one rule holds for a runner: the binding NAME is the value of `env.NAME`, declared or not.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, count
from typing import Final

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Binding, Format, KeyRef
from belay.core.revisions.document import Document, Node, Path, Plain, Refused, path_text, short
from belay.core.revisions.read import parse
from belay.core.revisions.secrets import (
    ENVIRONMENT,
    LONG_ENOUGH,
    Secret,
    find_secrets,
    secret_variables,
)

MAX_BINDINGS: Final = 32
_CONVERSATION: Final = ("workflow", "conversation_variables")
_NODES: Final = ("workflow", "graph", "nodes")
_BINDING: Final = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,62}")
_SHORT_ID: Final = re.compile(r"[A-Za-z0-9]{1,13}")
_FIELD_LENGTH: Final = 14
"""A name in a Dify reference has at most 30 characters, the node's id and two joints included."""
_BY_HAND: Final = "take it out by hand"
_ENTANGLED: Final = f"a secret cannot be told from the text around it; {_BY_HAND}"


@dataclass(frozen=True, slots=True)
class TakenOut:
    """A text without secrets, read again, and the bindings that stand for them."""

    document: Document
    bindings: tuple[Binding, ...]


def take_out(document: Document, form: Format, secret_name: str) -> TakenOut:
    """Replace all secrets by references to the Secret of this name.

    With a Secret given, every `secret` variable gets its binding, also those that an export left
    empty. Raises Refused where a secret cannot be taken out without touching anything else.
    """
    secrets = find_secrets(document)
    names = _names(document, secrets)
    variables = filter(None, (_variable(document, secret) for secret in secrets))
    bound = {*names.values(), *secret_variables(document), *variables}
    bindings = _bindings(sorted(bound), secret_name)
    edits = sorted(
        (_edit(document, secret, names, form) for secret in secrets),
        key=lambda edit: edit.node.start,
        reverse=True,
    )
    text = document.text
    for edit in edits:
        text = text[: edit.node.start] + edit.raw + text[edit.node.end :]
    content = text.encode()
    if len(content) > MAX_DELIVERED_BYTES:
        most = MAX_DELIVERED_BYTES // 1024
        raise Refused(f"too large with references in place of its secrets: at most {most} KiB")
    try:
        result = parse(content, form)
    except Refused:
        raise Refused(_ENTANGLED) from None
    expected = _expected(document.root, {id(edit.node): edit.value for edit in edits})
    if result.value != expected or find_secrets(result):
        raise Refused(_ENTANGLED)
    gone = {part for secret in secrets for part in secret.parts()}
    if any(len(part) >= LONG_ENOUGH and part in text for part in gone):
        raise Refused(
            f"a secret's value stands in another place too, perhaps a comment; {_BY_HAND}"
        )
    return TakenOut(result, bindings)


def _bindings(names: list[str], secret_name: str) -> tuple[Binding, ...]:
    if len(names) > MAX_BINDINGS:
        raise Refused(f"{len(names)} secrets: a revision has at most {MAX_BINDINGS} bindings")
    for name in names:
        if not _BINDING.fullmatch(name):
            raise Refused(f'"{short(name)}" cannot be the key of a Secret; rename the variable')
    return tuple(
        Binding(name=name, secret_key_ref=KeyRef(name=secret_name, key=name)) for name in names
    )


def _names(document: Document, secrets: list[Secret]) -> dict[str, str]:
    """The binding of each text that becomes a reference. Equal texts share one."""
    names: dict[str, str] = {}
    wanted: dict[str, str] = {}
    for secret in secrets:
        variable = _variable(document, secret)
        if variable is not None:
            names |= dict.fromkeys(secret.parts(), variable)
        else:
            name = _name(document, secret)
            wanted |= {part: min(name, wanted.get(part, name)) for part in secret.parts()}
    taken = set(_variables(document))
    for part, name in wanted.items():
        if part in names:
            continue
        numbered = chain([name], (f"{name}_{number}" for number in count(2)))
        names[part] = next(free for free in numbered if free not in taken)
        taken.add(names[part])
    return names


def _name(document: Document, secret: Secret) -> str:
    """FIELD_ID: the same for the same place, in whatever order the nodes come."""
    path = secret.place.path
    owner = path_text(path)
    if path[: len(_NODES)] == _NODES and len(path) > len(_NODES):
        node = _member(_at(document.value, path[: len(_NODES) + 1]), "id")
        owner = node if isinstance(node, str) else owner
    tail = owner if _SHORT_ID.fullmatch(owner) else hashlib.sha256(owner.encode()).hexdigest()[:8]
    field = re.sub(r"[^A-Z0-9]+", "_", secret.field.upper()).strip("_")[:_FIELD_LENGTH]
    return f"{field if field[:1].isalpha() else 'SECRET'}_{tail}"


def _variable(document: Document, secret: Secret) -> str | None:
    """The name of the environment variable whose value this is."""
    path = secret.place.path
    if path[:2] != ENVIRONMENT or path[3:] != ("value",):
        return None
    name = _member(_at(document.value, path[:3]), "name")
    return name if isinstance(name, str) else None


def _variables(document: Document) -> Iterator[str]:
    variables = _at(document.value, ENVIRONMENT)
    for variable in variables if isinstance(variables, list) else []:
        name = _member(variable, "name")
        if isinstance(name, str):
            yield name


@dataclass(frozen=True, slots=True)
class _Edit:
    node: Node
    value: str
    raw: str


def _edit(document: Document, secret: Secret, names: dict[str, str], form: Format) -> _Edit:
    node = secret.node
    if node is None or node.style == "&" or secret.place.path[:2] == _CONVERSATION:
        raise Refused(f"{secret.label}: no reference can stand here; {_BY_HAND}", secret.place)
    if _variable(document, secret) is not None:
        return _Edit(node, "", _rewritten(document, node, "", form))
    whole = str(node.value)
    pieces, end = [], 0
    for start, following in secret.spans:
        pieces += [whole[end:start], _reference(names[whole[start:following]])]
        end = following
    value = "".join([*pieces, whole[end:]])
    raw = document.text[node.start : node.end]
    parts = secret.parts()
    if node.style and value and all(raw.count(part) == whole.count(part) for part in parts):
        for part in sorted(parts, key=len, reverse=True):
            raw = raw.replace(part, _reference(names[part]))
        return _Edit(node, value, raw)
    return _Edit(node, value, _rewritten(document, node, value, form))


def _rewritten(document: Document, node: Node, value: str, form: Format) -> str:
    """The scalar in quotes; a block scalar keeps the line break that ends it."""
    raw = document.text[node.start : node.end]
    rest = raw[len(raw.rstrip()) :] if node.style in {"|", ">"} else ""
    if form is not Format.JSON and value.isprintable() and "'" not in value:
        return f"'{value}'{rest}"
    return json.dumps(value, ensure_ascii=False) + rest


def _reference(name: str) -> str:
    return f"{{{{#env.{name}#}}}}"


def _expected(node: Node, values: dict[int, str]) -> Plain:
    if id(node) in values:
        return values[id(node)]
    if isinstance(node.value, dict):
        return {key: _expected(member, values) for key, member in node.members.items()}
    if isinstance(node.value, list):
        return [_expected(item, values) for item in node.items]
    return node.value


def _at(value: Plain, path: Path) -> Plain:
    for step in path:
        if isinstance(step, str):
            value = _member(value, step)
        else:
            value = value[step] if isinstance(value, list) and step < len(value) else None
    return value


def _member(holder: Plain, name: str) -> Plain:
    return holder.get(name) if isinstance(holder, dict) else None
