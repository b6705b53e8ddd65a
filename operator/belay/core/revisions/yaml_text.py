"""YAML 1.1, safe, read from the parser's events.

There is no recursion, and nothing is constructed that a document cannot hold.
"""

from typing import Any, Final

import yaml
from yaml.constructor import SafeConstructor
from yaml.resolver import Resolver

from belay.core.revisions.document import Builder, Document, Merge, Node, Plain, place_at, short

_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER: Final[Any] = Resolver()
_CONSTRUCTOR: Final = SafeConstructor()
_TAG: Final = "tag:yaml.org,2002:"
_LONGEST_NUMBER: Final = 400
_NAMED: Final = {
    "timestamp": "a date; put it in quotes",
    "binary": "binary data; keep it outside of the definition",
}


def read_yaml(text: str) -> Document:
    """The one document of this text; raises Refused with its place."""
    bom = int(text.startswith("\ufeff"))
    builder = Builder(text, bom)
    documents = 0
    index = 0
    try:
        for event in yaml.parse(text[bom:], Loader=_LOADER):
            index = _start(builder, event)
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise builder.refuse("more than one document in the file", index)
            _feed(builder, event)
    except yaml.YAMLError as error:
        raise _syntax(builder, error, text, index) from None
    return builder.document()


def _feed(builder: Builder, event: Any) -> None:
    kind = type(event)
    if kind is yaml.ScalarEvent:
        node = Node(None, _start(builder, event), _index(builder, event.end_mark), _style(event))
        builder.scalar(_value(builder, event), node, event.anchor)
    elif kind in {yaml.MappingStartEvent, yaml.SequenceStartEvent}:
        mapping = kind is yaml.MappingStartEvent
        if event.tag not in {None, "!", _TAG + ("map" if mapping else "seq")}:
            raise _unknown_tag(builder, event)
        builder.open(_start(builder, event), mapping=mapping, anchor=event.anchor)
    elif kind in {yaml.MappingEndEvent, yaml.SequenceEndEvent}:
        builder.close(_index(builder, event.end_mark))
    elif kind is yaml.AliasEvent:
        builder.alias(event.anchor, _start(builder, event))


def _start(builder: Builder, event: Any) -> int:
    return _index(builder, event.start_mark)


def _index(builder: Builder, mark: Any) -> int:
    """The parser does not count a BOM."""
    index: int = mark.index + builder.base
    return index


def _style(event: Any) -> str:
    if event.anchor is not None or event.tag is not None:
        return "&"
    return event.style or ""


def _value(builder: Builder, event: Any) -> Plain | Merge:
    text: str = event.value
    tag: str = event.tag or ""
    if tag in {"", "!"}:
        if not event.implicit[0]:
            return text
        tag = _RESOLVER.resolve(yaml.ScalarNode, text, event.implicit)
    match tag.removeprefix(_TAG):
        case "str":
            return text
        case "merge":
            return Merge()
        case "null" | "bool" | "int" | "float" as kind:
            return _number_or_word(builder, event, kind)
        case "timestamp" | "binary" as kind:
            problem = f"{short(text)} is {_NAMED[kind]}"
            raise builder.refuse(problem, _start(builder, event))
        case _:
            raise _unknown_tag(builder, event)


def _number_or_word(builder: Builder, event: Any, kind: str) -> Plain:
    if len(event.value) > _LONGEST_NUMBER:
        raise builder.refuse("a number beyond 2^53; put it in quotes", _start(builder, event))
    construct = getattr(_CONSTRUCTOR, f"construct_yaml_{kind}")
    try:
        value: Plain = construct(yaml.ScalarNode(_TAG + kind, event.value))
    except (ValueError, KeyError, IndexError, OverflowError):
        problem = f"{short(event.value)} is no {kind}"
        raise builder.refuse(problem, _start(builder, event)) from None
    return value


def _unknown_tag(builder: Builder, event: Any) -> Exception:
    tag = (event.tag or event.value).replace(_TAG, "!!")
    return builder.refuse(f"the tag {short(tag)} is not known", _start(builder, event))


def _syntax(builder: Builder, error: yaml.YAMLError, text: str, index: int) -> Exception:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    refused = builder.refuse(f"not YAML: {short(str(problem), 120)}", index)
    position = _index(builder, mark) if mark is not None else getattr(error, "position", None)
    if isinstance(position, int) and position <= len(text) and refused.place is not None:
        refused.place = place_at(text, position, refused.place.path)
    return refused
