"""Label and field selectors in the query's language, as far as Belay writes them."""

import re
from collections.abc import Mapping
from typing import Any

_PART = re.compile(r"\s*(?:[^,(]|\([^)]*\))+")
_SET = re.compile(r"^(\S+)\s+(in|notin)\s+\(([^)]*)\)$")


def selects(selector: str | None, labels: Mapping[str, str]) -> bool:
    """Whether the labels meet every requirement of the selector."""
    return all(_meets(part.strip(), labels) for part in _PART.findall(selector or ""))


def selects_fields(selector: str | None, body: Mapping[str, Any]) -> bool:
    """Whether fields, named by their paths, have the values of the selector."""
    wanted = (part.partition("=") for part in (selector or "").split(",") if part)
    return all(
        (str(_value(body, path.rstrip("!"))) == value) is not path.endswith("!")
        for path, _, value in wanted
    )


def _value(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = (body or {}).get(name)
    return "" if body is None else body


def _meets(part: str, labels: Mapping[str, str]) -> bool:
    if found := _SET.match(part):
        key, operator, values = found.groups()
        among = labels.get(key) in [v.strip() for v in values.split(",")]
        return among if operator == "in" else not among
    if part.startswith("!"):
        return part[1:] not in labels
    for sign, wanted in (("!=", False), ("==", True), ("=", True)):
        key, found_sign, value = part.partition(sign)
        if found_sign:
            return (labels.get(key) == value) is wanted
    return part in labels
