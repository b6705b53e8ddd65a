"""WorkflowRevision: an immutable snapshot of a workflow."""

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from belay.api.model import (
    ApiModel,
    Digest,
    ObjectName,
    RevisionName,
    WorkflowName,
    cel,
    list_map,
    validations,
)
from belay.api.names import MAX_DELIVERED_BYTES


class Format(StrEnum):
    """What a definition is written in. It fixes the name of the file that pods see."""

    DIFY = "DifyDSL"
    """A Dify app export (YAML)."""
    YAML = "YAML"
    """Any YAML document."""
    JSON = "JSON"
    """Any JSON document."""

    @property
    def file_name(self) -> str:
        return "definition.json" if self is Format.JSON else "definition.yaml"

    @property
    def media_type(self) -> str:
        return "application/json" if self is Format.JSON else "application/yaml"


class Encoding(StrEnum):
    """How `spec.definition` holds the bytes."""

    IDENTITY = "Identity"
    """The text itself."""
    GZIP = "Gzip"
    """base64 of the gzip of the text."""


class KeyRef(ApiModel):
    """A key of a Secret or a ConfigMap in the same namespace."""

    name: ObjectName
    """Name of the object. It is in the namespace of the revision."""
    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in the object's data."""


class Binding(ApiModel):
    """A value that is not part of the definition.

    Kubelet mounts it beside the definition as `bindings/<name>`, and Belay never reads it.
    """

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "has(self.secretKeyRef) != has(self.configMapKeyRef)",
                "set exactly one of secretKeyRef and configMapKeyRef",
            )
        )
    )

    name: Annotated[
        str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z0-9_][-A-Za-z0-9_.]*$")
    ]
    """Name of the binding, and of its file in the folder `bindings`."""
    secret_key_ref: KeyRef | None = None
    """Take the value from this key of a Secret."""
    config_map_key_ref: KeyRef | None = None
    """Take the value from this key of a ConfigMap."""


class SourceGit(ApiModel):
    """The commit that the file was read at."""

    commit: Annotated[str, Field(max_length=64, pattern=r"^[0-9a-f]{7,64}$")]
    """Full hash of the commit."""
    dirty: bool = False
    """The file differed from that commit when it was read."""


class Source(ApiModel):
    """Where the definition came from. A claim of the author, not checked."""

    file: Annotated[str, Field(max_length=1024)]
    """Path of the file as it was given, relative to the repository where there is one."""
    git: SourceGit | None = None
    """The commit, where the file is in a Git repository."""


class WorkflowRevisionSpec(ApiModel):
    """An immutable snapshot. Any change of it is refused: publish a new revision instead."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "self.encoding != 'Identity' "
                f"|| size(bytes(self.definition)) <= {MAX_DELIVERED_BYTES}",
                "the definition exceeds 900 KiB, more than a ConfigMap can deliver: take large "
                "texts out of it, or split the workflow",
            )
        )
    )

    workflow_name: WorkflowName
    """Name of the Workflow that this is a revision of, in the same namespace."""
    revision: RevisionName
    """Name of the revision, as in a Workflow's spec.activeRevision: lower-case letters, digits and
    single dots.
    """
    definition: Annotated[str, Field(min_length=1, max_length=1_300_000)]
    """The definition as text: the file's own bytes after secrets were taken out. Pods get exactly
    these bytes (at most 900 KiB after decoding).
    """
    format: Format
    """What the definition is written in."""
    media_type: Annotated[str, Field(min_length=3, max_length=127)]
    """Media type of the definition, such as application/yaml."""
    encoding: Encoding = Encoding.IDENTITY
    """How the definition is held here."""
    bindings: Annotated[
        list[Binding], Field(max_length=32, json_schema_extra=list_map("name"))
    ] = []
    """Values that are mounted beside the definition, by reference: Secrets and ConfigMaps."""
    author: Annotated[str, Field(max_length=256)] | None = None
    """Who says to have made this revision. A claim, not an identity."""
    message: Annotated[str, Field(max_length=4096)] | None = None
    """Why this revision was made, for the people who read the history."""
    source: Source | None = None
    """Where the definition came from."""
    digest: Digest
    """sha256 of the canonical form (RFC 8785) of what changes behaviour; layout does not count.
    Equal digests mean the same content.
    """
    content_digest: Digest
    """sha256 of the exact bytes that pods get."""
