"""Finds secrets that stand in clear in a definition.

Certain ones: values of Dify's `secret` environment variables and of `authorization.config.api_key`.
Likely ones, in any text of the document and in comments: known shapes of keys, credentials in
headers, in URLs and in assignments, and random-looking values of fields whose name says key, token,
secret or password. References such as `{{#env.X#}}`, asterisks and `[__HIDDEN__]` are no values.
"""

import math
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

from belay.core.revisions.document import Document, Node, Path, Place, path_text, place_at, short

Spans: TypeAlias = tuple[tuple[int, int], ...]

ENVIRONMENT: Final = ("workflow", "environment_variables")
LONG_ENOUGH: Final = 8
"""Characters; shorter secrets may stand elsewhere by chance."""
_LIKELY: Final = "looks like a key"
_NODES: Final = ("workflow", "graph", "nodes")
_REFERENCE: Final = re.compile(r"\{\{.*?\}\}|\A\s*\$\{\w+\}\s*\Z", re.DOTALL)
_MASK: Final = re.compile(r"\**|\[__HIDDEN__\]")
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECRET_WORDS: Final = frozenset(
    {"key", "apikey", "token", "secret", "credential", "credentials", "authorization", "auth"}
)
_PASSWORD_WORDS: Final = frozenset({"password", "passwd", "passphrase", "pwd"})
_RANDOM: Final = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[A-Za-z0-9+/=_.~-]{16,}")
_PASSWORD: Final = re.compile(r"(?=.*[^A-Za-z])[^\s<>{}*]{6,}")
_LEAD: Final = re.compile(r"(?:[&!]\S*|#[^\n]*|\s)*(?:[|>][^\n]*\n)?")
_BITS: Final = 3.2
"""Bits per character: words and names stay below, random keys above."""

_EDGE: Final = r"(?<![A-Za-z0-9])"
# Every repetition that another pattern part can follow is bounded: no input takes quadratic time.
_SHAPES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        (
            r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----(?:(?!-----)[\s\S])*"
            r"(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?"
        ),
        _EDGE + r"(?:sk|rk|pk)[-_](?=[A-Za-z_-]{0,99}[0-9])[A-Za-z0-9_-]{20,}",
        _EDGE + r"(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,})",
        _EDGE + r"(?:glpat|SG)[-.][A-Za-z0-9_.-]{20,}",
        _EDGE + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
        _EDGE + r"xox[abeoprs]-[A-Za-z0-9-]{10,}",
        _EDGE + r"AIza[A-Za-z0-9_-]{35}",
        _EDGE + r"(?:hf|npm|dop_v1|tvly|pypi)[-_](?=[A-Za-z_-]{0,99}[0-9])[A-Za-z0-9_-]{24,}",
        _EDGE + r"(?:app|dataset)-(?=[A-Za-z]{0,24}[0-9])[A-Za-z0-9]{24}(?![A-Za-z0-9-])",
        _EDGE + r"eyJ[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,4000}\.[A-Za-z0-9_-]{8,}",
        r"(?i:\b(?:bearer|basic))\s{1,4}((?=[A-Za-z+/._~-]{0,99}[0-9=])[A-Za-z0-9._~+/=-]{16,})",
        (
            r"(?im:^[ \t]{0,40}(?:authorization|cookie|(?:x-)?(?:api|auth|access)-?(?:key|token))"
            r"[ \t]{0,4}:[ \t]{0,4}(?:(?:bearer|basic|token)[ \t]{1,4})?"
            r"((?=[A-Za-z]{0,99}[^A-Za-z\s])[^\s{}<>*$]{8,})[ \t]*\r?$)"
        ),
        r"(?i:\b[a-z][a-z0-9+.-]{0,20})://[^\s/:@{}]{0,99}:([^\s/@{}*<>$]{1,199})@",
        (
            r"(?i:[?&](?:api_?key|key|token|access_token|secret|password|sig|signature)="
            r"((?=[^&\s]{0,99}[0-9])[^&\s\"'{}*<>$#]{12,999}))"
        ),
        (
            r"(?i:(?:api_?-?key|token|secret|passw(?:or)?d)[\"']?\s{0,4}[:=]\s{0,4}"
            r"[\"']((?=[^\"']{0,99}[0-9])[^\"'\s{}*<>$]{12,999})[\"'])"
        ),
    )
)


@dataclass(frozen=True, slots=True)
class Secret:
    """Secrets in one value (or comment): where, what people call it, and why it was noticed."""

    place: Place
    label: str
    why: str
    node: Node | None = None
    """The scalar that holds them; None in a comment, a key or a structure."""
    field: str = ""
    """What the value is called: its key, or the name beside it."""
    spans: tuple[tuple[int, int], ...] = ()
    """The parts of the value that are secret; none where there is no scalar."""

    def __str__(self) -> str:
        return f"{self.label} ({self.why})"

    def parts(self) -> list[str]:
        """The secret texts, each once, in reading order."""
        whole = str(self.node.value) if self.node is not None else ""
        return list(dict.fromkeys(whole[start:end] for start, end in self.spans))


def find_secrets(document: Document) -> list[Secret]:
    """All secrets in clear, in reading order; a value that aliases repeat counts once."""
    first = list(_in_values(document))
    return sorted(
        [*first, *_repeated(document, first), *_outside_of_values(document)],
        key=lambda secret: (secret.place.line, secret.place.column),
    )


def secret_variables(document: Document) -> list[str]:
    """Names of the environment variables that Dify keeps as secrets, with a value or without."""
    variables = _descend(document.root, ENVIRONMENT)
    names = (
        _text(variable, "name")
        for variable in (variables.items if variables else [])
        if _text(variable, "value_type") == "secret"
    )
    return [name for name in names if name]


def _in_values(document: Document) -> Iterator[Secret]:
    seen: set[int] = set()
    for path, parent, node in walk(document.root):
        if id(node) in seen:
            continue
        seen.add(id(node))
        certain = _certain(path, parent)
        if node.members or node.items:
            if certain:
                why = f"{certain}, but no text"
                yield Secret(document.place(path), _label(document, path), why)
            continue
        spans = _secret_spans(path, parent, node, certain=bool(certain))
        if spans:
            label = _label(document, path)
            field = _field_name(path, parent)
            why = certain or _LIKELY
            yield Secret(document.place(path), label, why, node, field, spans)


def _repeated(document: Document, first: list[Secret]) -> Iterator[Secret]:
    """Other values that hold a text which is known to be a secret by now."""
    known = {part for secret in first for part in secret.parts() if len(part) >= LONG_ENOUGH}
    if not known:
        return
    again = re.compile("|".join(re.escape(part) for part in sorted(known, key=len, reverse=True)))
    seen = {id(secret.node) for secret in first}
    for path, parent, node in walk(document.root):
        if id(node) in seen or not isinstance(node.value, str):
            continue
        seen.add(id(node))
        spans = tuple(match.span() for match in again.finditer(node.value))
        if spans:
            label, field = _label(document, path), _field_name(path, parent)
            yield Secret(document.place(path), label, "the same key", node, field, spans)


def _secret_spans(path: Path, parent: Node, node: Node, *, certain: bool) -> Spans:
    if certain and node.value is not None and not isinstance(node.value, dict | list | str):
        return ((0, len(str(node.value))),)
    value = node.value
    if not isinstance(value, str) or _MASK.fullmatch(value.strip()):
        return ()
    if not _REFERENCE.search(value) and (certain or _named_secret(path, parent, value)):
        return ((0, len(value)),)
    return _shaped(value)


def walk(root: Node) -> Iterator[tuple[Path, Node, Node]]:
    """Path, parent and node of everything below the root, in reading order."""
    stack: list[tuple[Path, Node, Node]] = [((), root, root)]
    while stack:
        path, parent, node = stack.pop()
        yield path, parent, node
        below: list[tuple[str | int, Node]] = [*node.members.items(), *enumerate(node.items)]
        stack.extend(((*path, step), node, child) for step, child in reversed(below))


def _certain(path: Path, parent: Node) -> str | None:
    if path[:2] == ENVIRONMENT and path[3:] == ("value",):
        return "secret" if _text(parent, "value_type") == "secret" else None
    return _LIKELY if path[-3:] == ("authorization", "config", "api_key") else None


def _named_secret(path: Path, parent: Node, value: str) -> bool:
    words = [word.lower() for word in _WORD.findall(_field_name(path, parent))]
    last = words[-1] if words else ""
    if last in _PASSWORD_WORDS:
        return bool(_PASSWORD.fullmatch(value))
    return last in _SECRET_WORDS and bool(_RANDOM.fullmatch(value)) and _bits(value) >= _BITS


def _field_name(path: Path, parent: Node) -> str:
    keys = [step for step in path if isinstance(step, str)]
    if keys and keys[-1] == "value":
        beside = _text(parent, "name") or _text(parent, "key") or _text(parent, "variable")
        return beside or (keys[-2] if len(keys) > 1 else "")
    return keys[-1] if keys else ""


def _bits(text: str) -> float:
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares)


def _shaped(text: str) -> Spans:
    """Spans that look like credentials; those that overlap become one."""
    spans = sorted(
        match.span(match.lastindex or 0) for shape in _SHAPES for match in shape.finditer(text)
    )
    merged: list[tuple[int, int]] = []
    for start, end in spans:
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged)


def _outside_of_values(document: Document) -> Iterator[Secret]:
    """Comments and keys are stored with the text, so they must hold no secret either."""
    scalars = sorted(
        (_after_lead(document.text, node), node.end)
        for _, _, node in walk(document.root)
        if not node.members and not node.items
    )
    for start, end in _shaped(document.text):
        before = bisect_right(scalars, (start, len(document.text))) - 1
        inside = before >= 0 and start < scalars[before][1]
        follows = before + 1 < len(scalars) and scalars[before + 1][0] < end
        if not inside and not follows:
            place = place_at(document.text, start, ())
            yield Secret(place, f"line {place.line}, outside of any value", _LIKELY)


def _after_lead(text: str, node: Node) -> int:
    """Where the text of a scalar begins, behind its anchor, tag, header and their comments."""
    lead = _LEAD.match(text, node.start, node.end)
    return lead.end() if lead else node.start


def _label(document: Document, path: Path) -> str:
    """`environment_variables[1] "CRM_KEY"`, `node http-request "call crm" authorization...`."""
    if path[:3] == _NODES and len(path) > 4:
        node = _descend(document.root, path[:4])
        data = node.members.get("data") if node else None
        title = _text(data, "title") or _text(node, "id")
        below = path[5:] if path[4:5] == ("data",) else path[4:]
        return f'node {short(_text(data, "type"))} "{short(title)}" {path_text(below)}'
    if path[:1] == ("workflow",) and len(path) > 2 and str(path[1]).endswith("_variables"):
        variable = _descend(document.root, path[:3])
        return f'{path_text(path[1:3])} "{short(_text(variable, "name"))}"'
    return path_text(path)


def _descend(node: Node | None, path: Path) -> Node | None:
    for step in path:
        if node is None:
            return None
        if isinstance(step, str):
            node = node.members.get(step)
        else:
            node = node.items[step] if step < len(node.items) else None
    return node


def _text(node: Node | None, key: str) -> str:
    member = node.members.get(key) if node is not None else None
    return member.value if member is not None and isinstance(member.value, str) else ""
