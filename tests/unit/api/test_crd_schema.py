"""The rules by which a model becomes a structural schema, one by one."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import ConfigDict, Field

from belay.api.crd.schema import SchemaError, structural
from belay.api.model import ATOMIC, ApiModel, cel, list_map, matches, validations

Text = Annotated[str, Field(max_length=9)]


class Colour(StrEnum):
    """What it looks like."""

    RED = "Red"
    """Like
    blood.
    """
    BLUE = "Blue"
    """Like the sky."""


class Silent(StrEnum):
    """Says too little."""

    ONE = "One"
    """The first."""
    TWO = "Two"


class Part(ApiModel):
    """A part of something."""

    model_config = ConfigDict(json_schema_extra=validations(cel("size(self.a) > 1", "longer")))

    a: Text = "long"
    """First letter."""
    b: Text | None = None
    """Second letter."""


class Nest(ApiModel):
    """A part within a part."""

    part: Part = Part()
    """The part."""


class Loop(ApiModel):
    """It contains itself."""

    again: "Loop | None" = None
    """Itself."""


def field_of(annotation: Any, default: Any = ...) -> dict[str, Any]:
    """The schema of a field of this type, and whether it is required, under `required`."""
    namespace: dict[str, Any] = {"__annotations__": {"one": annotation}, "__doc__": "A model."}
    namespace["one"] = Field(default, description="The field.")
    namespace["__module__"] = __name__
    schema = structural(type("Model", (ApiModel,), namespace))
    return {**schema["properties"]["one"], "required": schema.get("required", [])}


PART = {
    "description": "The field.",
    "type": "object",
    "x-kubernetes-validations": [{"rule": "size(self.a) > 1", "message": "longer"}],
    "properties": {
        "a": {
            "description": "First letter.",
            "type": "string",
            "default": "long",
            "maxLength": 9,
        },
        "b": {"description": "Second letter.", "type": "string", "maxLength": 9},
    },
}


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        pytest.param(Text, {"type": "string", "maxLength": 9}, id="text"),
        pytest.param(int, {"type": "integer", "format": "int64"}, id="integers are int64"),
        pytest.param(bool, {"type": "boolean"}, id="boolean"),
        pytest.param(
            Literal["only"], {"type": "string", "enum": ["only"]}, id="const becomes enum"
        ),
        pytest.param(
            Colour,
            {
                "description": "The field. Red: Like blood. Blue: Like the sky.",
                "type": "string",
                "enum": ["Red", "Blue"],
            },
            id="members of an enum are explained",
        ),
        pytest.param(
            Annotated[list[Colour], Field(max_length=2, json_schema_extra=ATOMIC)],
            {
                "description": "The field. Red: Like blood. Blue: Like the sky.",
                "type": "array",
                "maxItems": 2,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "What it looks like.",
                    "type": "string",
                    "enum": ["Red", "Blue"],
                },
            },
            id="members of an enum in a list, too",
        ),
        pytest.param(Part, PART, id="references are inlined, with the rules of the class"),
        pytest.param(
            Annotated[Part, Field(json_schema_extra=validations(cel("self == oldSelf", "stop")))],
            {
                **PART,
                "x-kubernetes-validations": [
                    {"rule": "size(self.a) > 1", "message": "longer"},
                    {"rule": "self == oldSelf", "message": "stop"},
                ],
            },
            id="rules of a class and of a field are joined",
        ),
        pytest.param(
            Annotated[list[Part], Field(max_length=3, json_schema_extra=list_map("a"))],
            {
                "type": "array",
                "maxItems": 3,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["a"],
                "items": {**PART, "description": "A part of something."},
            },
            id="lists keep their type and keys",
        ),
        pytest.param(
            Annotated[
                int | str,
                Field(json_schema_extra={"x-kubernetes-int-or-string": True, "maxLength": 5}),
            ],
            {
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "maxLength": 5,
                "x-kubernetes-int-or-string": True,
            },
            id="int or string",
        ),
        pytest.param(
            Annotated[str, Field(max_length=9, pattern="^a+$")],
            {"type": "string", "maxLength": 9, "pattern": "^a+$"},
            id="a pattern stays",
        ),
        pytest.param(
            Annotated[
                str,
                Field(max_length=9, pattern="^a+$", json_schema_extra=matches("^a+$", "use a")),
            ],
            {
                "type": "string",
                "maxLength": 9,
                "x-kubernetes-validations": [{"rule": 'self.matches(r"^a+$")', "message": "use a"}],
            },
            id="a pattern goes where a rule says it in words",
        ),
        pytest.param(
            Annotated[dict[str, bool], Field(max_length=3)],
            {
                "type": "object",
                "maxProperties": 3,
                "additionalProperties": {"type": "boolean"},
            },
            id="map",
        ),
    ],
)
def test_a_required_field_becomes(annotation: Any, expected: dict[str, Any]) -> None:
    assert field_of(annotation) == {"description": "The field.", **expected, "required": ["one"]}


@pytest.mark.parametrize(
    ("annotation", "default", "expected"),
    [
        pytest.param(Text | None, None, {"type": "string", "maxLength": 9}, id="null arms go"),
        pytest.param(Part | None, None, PART, id="null arms of references go"),
        pytest.param(int, 3, {"type": "integer", "format": "int64", "default": 3}, id="default"),
        pytest.param(bool, False, {"type": "boolean", "default": False}, id="false is a default"),
        pytest.param(Part, Part(), {**PART, "default": {}}, id="default objects become {}"),
        pytest.param(
            Nest,
            Nest(),
            {
                "type": "object",
                "default": {},
                "properties": {"part": {**PART, "description": "The part.", "default": {}}},
            },
            id="default objects in default objects, too",
        ),
    ],
)
def test_an_optional_field_becomes(annotation: Any, default: Any, expected: dict[str, Any]) -> None:
    assert field_of(annotation, default) == {
        "description": "The field.",
        **expected,
        "required": [],
    }


@pytest.mark.parametrize(
    ("annotation", "default", "complaint"),
    [
        pytest.param(int | bool, ..., "a union of types; write one optional field per variant"),
        pytest.param(Loop, ..., "Loop contains itself"),
        pytest.param(dict[str, str], ..., "Model.one{}: needs 'maxLength'"),
        pytest.param(dict[str, bool], ..., "Model.one: needs 'maxProperties'"),
        pytest.param(dict[str, Any], ..., "Model.one: needs 'properties'"),
        pytest.param(Any, ..., "Model.one: needs 'type'"),
        pytest.param(str, ..., "Model.one: needs 'maxLength'"),
        pytest.param(list[int], ..., "Model.one: needs 'x-kubernetes-list-type'"),
        pytest.param(
            Annotated[list[int], Field(json_schema_extra=ATOMIC)],
            ...,
            "Model.one: needs 'maxItems'",
        ),
        pytest.param(Annotated[int, Field(gt=0)], ..., "has no 'exclusiveMinimum'"),
        pytest.param(Silent, ..., "Silent.TWO: say what it means"),
        pytest.param(Part, Part(a="other"), "its default differs from the defaults of its fields"),
    ],
)
def test_what_a_structural_schema_cannot_say_is_refused(
    annotation: Any, default: Any, complaint: str
) -> None:
    with pytest.raises(SchemaError) as refusal:
        field_of(annotation, default)
    assert complaint in str(refusal.value)


def test_a_field_without_description_is_refused() -> None:
    class Mute(ApiModel):
        """A model."""

        one: Text

    with pytest.raises(SchemaError, match=r"Mute\.one: say what it is"):
        structural(Mute)


def test_paragraphs_of_a_docstring_become_plain_text() -> None:
    class Spoken(ApiModel):
        """A first line.

        And a
        paragraph.
        """

        one: Text
        """A field
        on two lines.
        """

    schema = structural(Spoken)

    assert schema["description"] == "A first line. And a paragraph."
    assert schema["properties"]["one"]["description"] == "A field on two lines."


def test_a_field_may_be_named_like_a_keyword_of_schemas() -> None:
    class Keywords(ApiModel):
        """A model."""

        title: Text
        """A title."""
        items: int
        """How many."""

    assert set(structural(Keywords)["properties"]) == {"title", "items"}
