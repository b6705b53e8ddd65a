"""A WorkflowRevision as an object, and as YAML that a person would commit."""

import json
from typing import Any, Final

import yaml

from belay.api.names import API_VERSION, CLIENT_SIDE_APPLY_BYTES, LABEL_MANAGED, LABEL_WORKFLOW
from belay.api.revision import WorkflowRevisionSpec

_UNFIT_FOR_BLOCKS: Final = "\r\ufeff\x85\u2028\u2029"
"""A literal block loses these, or takes them for line breaks."""


def manifest(
    spec: WorkflowRevisionSpec, namespace: str | None, *, managed: bool = False
) -> dict[str, Any]:
    """The object. `managed` ones may be pruned by Belay; those in Git belong to Git."""
    labels = {LABEL_WORKFLOW: spec.workflow_name}
    if managed:
        labels[LABEL_MANAGED] = "true"
    metadata: dict[str, Any] = {"name": f"{spec.workflow_name}-{spec.revision}", "labels": labels}
    if namespace:
        metadata["namespace"] = namespace
    fields = spec.to_api()
    fields["definition"] = fields.pop("definition")
    if not fields["bindings"]:
        del fields["bindings"]
    return {
        "apiVersion": API_VERSION,
        "kind": "WorkflowRevision",
        "metadata": metadata,
        "spec": fields,
    }


def to_yaml(body: dict[str, Any]) -> str:
    """YAML whose definition is a literal block where that keeps every byte, else double-quoted."""
    definition: str = body["spec"]["definition"]
    head = {**body, "spec": {k: v for k, v in body["spec"].items() if k != "definition"}}
    text = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=10**9)
    if not any(character in definition for character in _UNFIT_FOR_BLOCKS):
        block = f"{text}  definition: {_literal(definition)}"
        if _reads_back(block, body):
            return block
    quoted = yaml.safe_dump(definition, default_style='"', allow_unicode=True, width=10**9)
    return f"{text}  definition: {quoted}"


def outgrows_client_side_apply(body: dict[str, Any]) -> bool:
    """Whether plain `kubectl apply` fails: it keeps the whole object in an annotation."""
    text = json.dumps(body, ensure_ascii=False)
    escaped = 5 * sum(text.count(character) for character in "<>&")
    return len(text.encode()) + escaped > CLIENT_SIDE_APPLY_BYTES


def _literal(text: str) -> str:
    indent = "2" if text[:1] in {" ", "\n"} else ""
    keep = "" if text.endswith("\n") else "-"
    if text.endswith("\n\n") or text == "\n":
        keep = "+"
    lines = text.removesuffix("\n").split("\n")
    body = "\n".join(f"    {line}" if line else "" for line in lines)
    return f"|{indent}{keep}\n{body}\n"


def _reads_back(text: str, body: dict[str, Any]) -> bool:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        found: dict[str, Any] = yaml.load(text, Loader=loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError:
        return False
    return found == body
