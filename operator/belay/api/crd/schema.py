"""From a pydantic model to the structural schema of a CRD.

A structural schema knows no references, no null arms and no unions of types; see "Specifying a
structural schema" in the Kubernetes documentation of CustomResourceDefinitions. What a model says
and such a schema cannot say is an error, and so is a field without a description, a list without
a list type or an upper bound, and a text without one: CEL's cost budget counts on those bounds.
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable
from enum import Enum
from itertools import pairwise
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema
from typing_extensions import override

from belay.api.model import cel

Schema = dict[str, Any]

_RULES: Final = "x-kubernetes-validations"
_INT_OR_STRING: Final = "x-kubernetes-int-or-string"
_LIST_TYPE: Final = "x-kubernetes-list-type"
_ENUM: Final = "x-enum"
"""Carries an enum to the description of the field that uses it."""

_ORDER: Final = (
    "description",
    "type",
    "format",
    "enum",
    "anyOf",
    "default",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    _LIST_TYPE,
    "x-kubernetes-list-map-keys",
    _INT_OR_STRING,
    _RULES,
    "items",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
)
_DROPPED: Final = {"title", "propertyNames", _ENUM}
_BOUNDED_TEXT: Final = {"maxLength", "enum", "format"}


class SchemaError(Exception):
    """A model says something that a structural schema cannot say, or leaves out what it needs."""


def structural(model: type[BaseModel]) -> Schema:
    """The schema of a model, as `openAPIV3Schema` takes it. Raises SchemaError."""
    raw = model.model_json_schema(schema_generator=_WithEnums)
    return _Inliner(raw.pop("$defs", {})).node(raw, model.__name__, ())


def without_defaults(schema: Schema) -> Schema:
    """The schema of what Belay alone writes: the API server would store each default with it."""
    bare = {key: value for key, value in schema.items() if key != "default"}
    if "items" in bare:
        bare["items"] = without_defaults(bare["items"])
    if "properties" in bare:
        fields = bare["properties"].items()
        bare["properties"] = {name: without_defaults(field) for name, field in fields}
    return bare


class _WithEnums(GenerateJsonSchema):
    """Keeps the enum beside its values, for the docstrings below its members."""

    @override
    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        return {**super().enum_schema(schema), _ENUM: schema["cls"]}


def _meanings(enum: type[Enum]) -> str:
    """The values of an enum with the docstrings below them: `A: what A is. B: what B is`."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(enum))).body
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    said: dict[str, str] = {}
    for statement, after in pairwise(body):
        match statement, after:
            case ast.Assign(targets=[ast.Name(name)]), ast.Expr(ast.Constant(str(text))):
                said[name] = _plain(text)
            case _:
                pass
    silent = [member.name for member in enum if member.name not in said]
    if silent:
        raise SchemaError(f"{enum.__name__}.{silent[0]}: say what it means, in a docstring below")
    return " ".join(f"{member.value}: {said[member.name]}" for member in enum)


def _plain(text: str) -> str:
    return " ".join(text.split())


class _Inliner:
    """Puts definitions in the place of references to them."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions

    def node(self, raw: Schema, path: str, within: tuple[str, ...]) -> Schema:
        """The structural form of one schema; `within` are the definitions around it."""
        raw, within = self._resolved(raw, path, within)
        unknown = raw.keys() - set(_ORDER) - _DROPPED
        if unknown:
            raise SchemaError(f"{path}: a structural schema has no {min(unknown)!r}")
        if "properties" in raw:
            raw["properties"] = {
                name: self._field(field, f"{path}.{name}", within)
                for name, field in raw["properties"].items()
            }
        if isinstance(raw.get("additionalProperties"), dict):
            raw["additionalProperties"] = self.node(
                raw["additionalProperties"], f"{path}{{}}", within
            )
        else:
            raw.pop("additionalProperties", None)
        if "items" in raw:
            raw["items"] = self.node(raw["items"], f"{path}[]", within)
        if raw.get("type") == "integer":
            raw["format"] = "int64"
        if "description" in raw:
            raw["description"] = _plain(raw["description"])
        if _RULES in raw:
            raw[_RULES] = [cel(**rule) for rule in raw[_RULES]]
        _give_pattern_to_its_rule(raw)
        _demand_bounds(raw, path)
        _shorten_default(raw, path)
        return {key: raw[key] for key in _ORDER if key in raw}

    def _field(self, raw: Schema, path: str, within: tuple[str, ...]) -> Schema:
        """A field, described by its own words or else by those of its class, and by its values."""
        resolved, inner = self._resolved(raw, path, within)
        if "description" not in resolved:
            raise SchemaError(f"{path}: say what it is, in a docstring below the field")
        one, _ = self._resolved(resolved.get("items", {}), path, inner)
        meanings = [_meanings(part[_ENUM]) for part in (resolved, one) if _ENUM in part]
        return self.node(
            {**resolved, "description": " ".join([resolved["description"], *meanings])},
            path,
            inner,
        )

    def _resolved(
        self, raw: Schema, path: str, within: tuple[str, ...]
    ) -> tuple[Schema, tuple[str, ...]]:
        """Without reference, null arm and const; what stands beside a reference wins."""
        rest = dict(raw)
        if "$ref" in rest:
            name = rest.pop("$ref").removeprefix("#/$defs/")
            if name in within:
                raise SchemaError(f"{path}: {name} contains itself, which no CRD can say")
            return self._resolved(_merged(self._definitions[name], rest), path, (*within, name))
        if "anyOf" in rest and not rest.get(_INT_OR_STRING):
            arms = [arm for arm in rest.pop("anyOf") if arm != {"type": "null"}]
            if len(arms) != 1:
                raise SchemaError(
                    f"{path}: a union of types; write one optional field per variant, "
                    "and a CEL rule that exactly one is set"
                )
            if rest.get("default", ...) is None:
                del rest["default"]
            return self._resolved(_merged(arms[0], rest), path, within)
        if "const" in rest:
            rest["enum"] = [rest.pop("const")]
        return rest, within


def _merged(below: Schema, beside: Schema) -> Schema:
    rules = [*below.get(_RULES, []), *beside.get(_RULES, [])]
    return {**below, **beside, **({_RULES: rules} if rules else {})}


def _give_pattern_to_its_rule(raw: Schema) -> None:
    """A pattern that a CEL rule repeats goes: the rule's message names the remedy."""
    if "pattern" in raw and any(raw["pattern"] in rule["rule"] for rule in raw.get(_RULES, [])):
        del raw["pattern"]


def _demand_bounds(raw: Schema, path: str) -> None:
    match raw.get("type"):
        case "array":
            needed: Iterable[str] = [key for key in (_LIST_TYPE, "maxItems") if key not in raw]
        case "string":
            needed = [] if _BOUNDED_TEXT & raw.keys() else ["maxLength"]
        case "object":
            needed = [] if "properties" in raw else _lacking(raw)
        case None if _INT_OR_STRING not in raw:
            needed = ["type"]
        case _:
            needed = []
    for key in needed:
        raise SchemaError(f"{path}: needs {key!r}")


def _lacking(map_: Schema) -> Iterable[str]:
    if "additionalProperties" not in map_:
        return ["properties"]
    return [] if "maxProperties" in map_ else ["maxProperties"]


def _shorten_default(raw: Schema, path: str) -> None:
    """A default object becomes {}: the API server fills it from the defaults of its fields."""
    default = raw.get("default")
    if not isinstance(default, dict):
        return
    if _without_nulls(default) != _filled(raw):
        raise SchemaError(f"{path}: its default differs from the defaults of its fields")
    raw["default"] = {}


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(inner) for name, inner in value.items() if inner is not None}


def _filled(schema: Schema) -> Any:
    """What the API server makes of {}, or of a default that is no object."""
    if "properties" not in schema:
        return schema["default"]
    fields = schema["properties"].items()
    return {name: _filled(field) for name, field in fields if "default" in field}
