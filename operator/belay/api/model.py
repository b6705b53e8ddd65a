"""The base of all API models, and the types that several of them share."""

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class ApiModel(BaseModel):
    """A frozen piece of a resource; unknown fields of a newer CRD are ignored on reading.

    Two entries of `json_schema_extra` of a class reach its CRD schema: `x-kubernetes-validations`
    (CEL rules) and whatever else a structural schema may hold.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        frozen=True,
        populate_by_name=True,
        extra="ignore",
        use_attribute_docstrings=True,
    )

    def to_api(self, *, defaults: bool = True) -> dict[str, Any]:
        """The object as the API server takes it: camelCase, absent where None.

        Without `defaults`, what has its default value is absent, too.
        """
        return self.model_dump(
            mode="json", by_alias=True, exclude_none=True, exclude_defaults=not defaults
        )


def cel(rule: str, message: str) -> dict[str, str]:
    """One validation rule of a CRD, with a message that says how to fix it."""
    return {"rule": rule, "message": message}


def validations(*rules: dict[str, str]) -> dict[str, Any]:
    return {"x-kubernetes-validations": list(rules)}


def matches(pattern: str, message: str) -> dict[str, Any]:
    """A rule that says in words what a pattern demands; in the CRD it takes the pattern's place.

    The pattern may hold no quotation mark (").
    """
    return validations(cel(f'self.matches(r"{pattern}")', message))


def list_map(*keys: str) -> dict[str, Any]:
    """Server-side apply merges this list by the given keys."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)}


_URL_PATH: Final = r"^/[!\x22$-~]*$"
UrlPath = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        pattern=_URL_PATH,
        json_schema_extra=matches(
            _URL_PATH,
            "begin the path with a slash, and write spaces, # and other than ASCII characters "
            "percent-encoded, such as /v1/health?full=1",
        ),
    ),
]
"""Path and query of a request."""

ATOMIC: Final[dict[str, Any]] = {"x-kubernetes-list-type": "atomic"}
SET: Final[dict[str, Any]] = {"x-kubernetes-list-type": "set"}

REVISION_PATTERN: Final = r"^[a-z0-9]+(\.[a-z0-9]+)*$"
WORKFLOW_PATTERN: Final = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DIGEST_PATTERN: Final = r"^sha256:[0-9a-f]{64}$"

RevisionName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=24,
        pattern=REVISION_PATTERN,
        json_schema_extra=matches(
            REVISION_PATTERN,
            "name a revision with lower-case letters, digits and single dots, such as v3 or "
            "2026.1; a hyphen would make `<workflow>-<revision>` ambiguous",
        ),
    ),
]
WorkflowName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=52,
        pattern=WORKFLOW_PATTERN,
        json_schema_extra=matches(
            WORKFLOW_PATTERN,
            "name a Workflow with lower-case letters, digits and hyphens, no dots, such as triage",
        ),
    ),
]
Digest = Annotated[str, Field(min_length=71, max_length=71, pattern=DIGEST_PATTERN)]
ObjectName = Annotated[
    str, Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
]
"""Name of an object in the same namespace (a DNS subdomain of RFC 1123)."""
LabelName = Annotated[
    str, Field(min_length=1, max_length=63, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
]
"""Name that fits where a DNS label of RFC 1123 is wanted, as of a container."""
