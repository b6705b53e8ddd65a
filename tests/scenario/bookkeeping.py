"""What the server itself writes into metadata, and what it counts."""

from tests.scenario import ownership
from tests.scenario.ownership import Entry, Path
from tests.scenario.shapes import Object

from belay.shell.resources import DEPLOYMENTS, Resource


def identity(body: Object) -> Object:
    """Metadata that no writer changes."""
    given = ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion")
    told = ("managedFields", "deletionTimestamp", "deletionGracePeriodSeconds")
    return {k: body["metadata"][k] for k in (*given, *told) if k in body["metadata"]}


def wish(resource: Resource, body: Object) -> Object:
    """What a generation counts: the spec, and of a Deployment its annotations too."""
    wish = {k: v for k, v in body.items() if k not in ("metadata", "status")}
    annotations = body["metadata"].get("annotations") if resource == DEPLOYMENTS else None
    return {**wish, "annotations": annotations or {}}


def managed(resource: Resource, entry: Entry, paths: frozenset[Path], time: str) -> Object:
    return {
        "manager": entry.manager,
        "operation": entry.operation,
        "apiVersion": resource.api_version,
        "time": time,
        "fieldsType": "FieldsV1",
        "fieldsV1": ownership.fields_v1(paths),
        **({"subresource": entry.subresource} if entry.subresource else {}),
    }
