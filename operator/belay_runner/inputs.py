"""The inputs of a run against what its start node asks for. The engine checks next to nothing."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from belay_runner.problems import Code, Problem

_TEXTS: Final = frozenset({"text-input", "paragraph", "select", "external_data_tool"})
_FILES: Final = frozenset({"file", "file-list"})


@dataclass(frozen=True, slots=True)
class Variable:
    """One input that the start node declares."""

    name: str
    kind: str
    required: bool
    default: Any = None
    max_length: int | None = None
    options: tuple[str, ...] = ()


def checked(variables: Sequence[Variable], given: Mapping[str, Any]) -> dict[str, Any]:
    """The declared inputs, each with its value or default; `invalidRequest` names all faults."""
    values: dict[str, Any] = {}
    faults: list[str] = []
    for variable in variables:
        value = given.get(variable.name)
        if value is None or value == "":
            value = variable.default if variable.default not in (None, "") else value
        fault = _fault(variable, value)
        if fault:
            faults.append(f"{variable.name} {fault}")
        values[variable.name] = _empty(variable) if value is None else value
    if faults:
        raise Problem(Code.INVALID_REQUEST, f"inputs: {'; '.join(faults)}", {"faults": faults})
    return values


def _fault(variable: Variable, value: Any) -> str | None:
    if value is None or (value == "" and variable.kind in _TEXTS):
        return "is required" if variable.required else None
    if variable.kind in _FILES:
        return "is a file, and files are not supported" if value else None
    if variable.kind in _TEXTS:
        if not isinstance(value, str):
            return "must be a text"
        if variable.max_length and len(value) > variable.max_length:
            return f"has {len(value)} characters, more than {variable.max_length}"
        if variable.kind == "select" and value not in variable.options:
            return f"must be one of {', '.join(variable.options)}"
    if variable.kind == "number" and (isinstance(value, bool) or not _is_number(value)):
        return "must be a number"
    if variable.kind == "checkbox" and not isinstance(value, bool):
        return "must be true or false"
    if variable.kind == "json_object" and not (isinstance(value, dict) and _is_json(value)):
        return "must be an object of JSON"
    return None


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _empty(variable: Variable) -> Any:
    """What an optional input is when nobody gave it; None would be rendered as the text "None"."""
    match variable.kind:
        case "file-list":
            return []
        case "checkbox":
            return False
        case kind if kind in _TEXTS:
            return ""
        case _:
            return None
