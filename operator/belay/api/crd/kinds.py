"""The two CRDs: what the models do not say about them."""

from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from belay.api.crd.schema import Schema, structural, without_defaults
from belay.api.model import cel
from belay.api.names import GROUP, VERSION
from belay.api.revision import WorkflowRevisionSpec
from belay.api.status import WorkflowStatus
from belay.api.workflow import WorkflowSpec


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; priority 1 shows with `-o wide` only."""

    name: str
    path: str
    description: str
    type: str = "string"
    priority: int = 0

    def to_api(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "type": self.type,
            "description": self.description,
            "jsonPath": self.path,
            "priority": self.priority,
        }


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource; `rules` are CEL rules over the whole object."""

    name: str
    plural: str
    short_name: str
    description: str
    spec: type[BaseModel]
    status: type[BaseModel] | None
    columns: tuple[Column, ...]
    rules: tuple[dict[str, str], ...]

    @property
    def file_name(self) -> str:
        return f"{GROUP}_{self.plural}.yaml"

    def definition(self) -> dict[str, Any]:
        """The CustomResourceDefinition. Raises SchemaError."""
        names = {
            "kind": self.name,
            "listKind": f"{self.name}List",
            "plural": self.plural,
            "singular": self.name.lower(),
            "shortNames": [self.short_name],
            # Not `all`: `kubectl delete all --all` would take them.
            "categories": ["belay"],
        }
        version = {
            "name": VERSION,
            "served": True,
            "storage": True,
            "additionalPrinterColumns": [column.to_api() for column in self.columns],
            **({"subresources": {"status": {}}} if self.status else {}),
            "schema": {"openAPIV3Schema": self._schema()},
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{self.plural}.{GROUP}"},
            "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]},
        }

    def _schema(self) -> Schema:
        parts = {"spec": structural(self.spec)}
        if self.status is not None:
            parts["status"] = {**without_defaults(structural(self.status)), "default": NOT_SEEN}
        return {
            "description": self.description,
            "type": "object",
            "required": ["spec"],
            "x-kubernetes-validations": list(self.rules),
            "properties": {
                "apiVersion": {"description": f"Always {GROUP}/{VERSION}.", "type": "string"},
                "kind": {"description": f"Always {self.name}.", "type": "string"},
                "metadata": {"type": "object"},
                **parts,
            },
        }


# By kstatus an object without a status is fine. So the API server gives a new one this status,
# until Belay writes its own: `flux` and others wait for that.
NOT_SEEN: Final = {"observedGeneration": -1}

_AGE: Final = Column(
    "Age", ".metadata.creationTimestamp", "Time since the object was created.", "date"
)

WORKFLOW: Final = Kind(
    name="Workflow",
    plural="workflows",
    short_name="bwf",
    description=(
        "A workflow that people name. It wants one revision (spec.activeRevision) and runs one "
        "(status.activeRevision). Belay moves it there, proves it healthy, and puts the last "
        "proven revision back when the proof fails."
    ),
    spec=WorkflowSpec,
    status=WorkflowStatus,
    columns=(
        Column("Desired", ".spec.activeRevision", "Revision that is wanted."),
        Column("Active", ".status.activeRevision", "Revision that runs."),
        Column("Phase", ".status.phase", "The phase while moving, the outcome at rest."),
        Column(
            "Ready",
            '.status.conditions[?(@.type=="Ready")].status',
            "True when the wanted revision is active and proven.",
        ),
        Column(
            "Reason",
            '.status.conditions[?(@.type=="Ready")].reason',
            "Why it is ready, or not.",
            priority=1,
        ),
        Column("Stable", ".status.stableRevision", "Revision that a revert goes to.", priority=1),
        _AGE,
    ),
    rules=(
        cel(
            "size(self.metadata.name) <= 52 && !self.metadata.name.contains('.')",
            "metadata.name: choose at most 52 characters and no dots; the names of its "
            "ConfigMaps, pods and revisions are made from it",
        ),
    ),
)

WORKFLOW_REVISION: Final = Kind(
    name="WorkflowRevision",
    plural="workflowrevisions",
    short_name="bwr",
    description=(
        "An immutable snapshot of a workflow: its definition, who made it and why, and the "
        "digests of its content. Its name is `<spec.workflowName>-<spec.revision>`. "
        "`belay snapshot` writes one from a file."
    ),
    spec=WorkflowRevisionSpec,
    status=None,
    columns=(
        Column("Workflow", ".spec.workflowName", "Workflow that this is a revision of."),
        Column("Revision", ".spec.revision", "Name of the revision."),
        Column("Digest", ".spec.digest", "Digest of what changes behaviour."),
        Column("Claimed-By", ".spec.author", "Who says to have made it."),
        _AGE,
    ),
    rules=(
        cel(
            "self.metadata.name == self.spec.workflowName + '-' + self.spec.revision",
            "metadata.name must be <spec.workflowName>-<spec.revision>, such as triage-v3: "
            "change the name or these fields",
        ),
        cel(
            "self.spec == oldSelf.spec",
            "spec is immutable: leave it, and publish the change as a new revision, "
            "under another spec.revision and name",
        ),
    ),
)

KINDS: Final = (WORKFLOW, WORKFLOW_REVISION)
