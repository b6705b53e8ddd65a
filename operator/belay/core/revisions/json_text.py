"""JSON, read strictly: the standard library judges the syntax, the tokens give the places."""

import json
import re
from typing import Final

from belay.core.revisions.document import (
    MAX_DEPTH,
    Builder,
    Document,
    Node,
    Plain,
    Refused,
    place_at,
)

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s,:\[\]{}"]+')
_WORDS: Final[dict[str, Plain]] = {"true": True, "false": False, "null": None}
_LONGEST_NUMBER: Final = 400


def read_json(text: str) -> Document:
    """The document of this text; a leading BOM is allowed. Raises Refused with its place."""
    _check_syntax(text)
    builder = Builder(text)
    for token in _TOKEN.finditer(text, text.startswith("\ufeff")):
        match token.group()[0]:
            case "{" | "[" as opening:
                builder.open(token.start(), mapping=opening == "{")
            case "}" | "]":
                builder.close(token.end())
            case _:
                node = Node(None, token.start(), token.end(), '"')
                builder.scalar(_value(builder, token), node)
    return builder.document()


def _check_syntax(text: str) -> None:
    bom = int(text.startswith("\ufeff"))
    try:
        json.loads(text[bom:], parse_int=len, parse_float=len, parse_constant=len)
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg}"
        raise Refused(problem, place_at(text, error.pos + bom, ())) from None
    except RecursionError:
        raise Refused(f"nested deeper than {MAX_DEPTH} levels") from None


def _value(builder: Builder, token: re.Match[str]) -> Plain:
    text = token.group()
    if text in _WORDS:
        return _WORDS[text]
    if not text.startswith('"') and len(text) > _LONGEST_NUMBER:
        raise builder.refuse("a number beyond 2^53; put it in quotes", token.start())
    value: Plain = json.loads(text)
    if isinstance(value, str) and not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise builder.refuse("half a surrogate pair is no character", token.start()) from None
    return value
