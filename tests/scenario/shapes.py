"""What the API server knows of the shape of objects: the keys of lists, and defaults.

The CRDs tell theirs; of the built-in kinds, only what a delivery touches is written down here.
"""

import json
import marshal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import yaml

from belay.shell.resources import (
    CONFIG_MAPS,
    CRON_JOBS,
    DAEMON_SETS,
    JOBS,
    PODS,
    REPLICA_SETS,
    REVISIONS,
    WORKFLOWS,
    WORKLOADS,
    Resource,
)

Object = dict[str, Any]
Objects = list[Object]
Plain = TypeVar("Plain")
Place = tuple[str, ...]
"""Names of fields from the root; items of lists have the place of their list."""

CRDS = Path(__file__).parents[2] / "crds"
_TEMPLATED = (*WORKLOADS.values(), REPLICA_SETS)
SET: Place = ()
"""Instead of keys: the list is a set of plain values."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind. `keys` names the lists that merge by item, all others are atomic."""

    keys: Mapping[Place, Place]
    atomic_maps: frozenset[Place] = frozenset()
    schema: Object = field(default_factory=dict)
    """OpenAPI schema of a CRD, for its defaults."""
    has_status: bool = True
    """Status is a subresource: what it writes, others do not, and the other way round."""
    counts: bool = True
    """Has a generation."""
    tracked: bool = True
    """Who owns its fields is kept: of all kinds that somebody applies."""


@cache
def shape_of(resource: Resource) -> Shape:
    if resource in (WORKFLOWS, REVISIONS):
        return _of_crd(resource)
    if resource in _TEMPLATED:
        inner = ("spec", "template", "spec")
        keys = {**_METADATA, **_pod_spec(inner), ("status", "conditions"): ("type",)}
        atomic = frozenset({("spec", "selector"), (*inner, "nodeSelector")})
        return Shape(keys, atomic, tracked=resource != REPLICA_SETS)
    if resource == PODS:
        keys = {**_METADATA, **_pod_spec(("spec",)), ("status", "conditions"): ("type",)}
        return Shape(keys, frozenset({("spec", "nodeSelector")}), tracked=False)
    return Shape(_METADATA, has_status=False, counts=False)


def defaulted(resource: Resource, body: Object) -> Object:
    """The object with the defaults that the server would fill in."""
    shape = shape_of(resource)
    if shape.schema:
        _fill(shape.schema, body)
    elif resource == PODS:
        _default_pod(body["spec"])
    elif resource in (JOBS, CRON_JOBS):
        body["spec"].setdefault("suspend", False)
    elif resource in _TEMPLATED:
        if resource != DAEMON_SETS:
            body["spec"].setdefault("replicas", 1)
        _default_pod(body["spec"]["template"]["spec"])
    return body


def objections(
    resource: Resource, body: Object, before: Object | None
) -> Iterator[tuple[str, str]]:
    """(field, message) of all that validation has against the object."""
    if resource in _TEMPLATED:
        yield from _pod_objections("spec.template.spec", body["spec"]["template"]["spec"])
    elif resource == PODS:
        yield from _pod_objections("spec", body["spec"])
    elif resource == CONFIG_MAPS and before is not None and before.get("immutable"):
        if body.get("data") != before.get("data"):
            yield "data", "Forbidden: field is immutable when `immutable` is set"
        if not body.get("immutable"):
            yield "immutable", "Forbidden: field is immutable when `immutable` is set"


_METADATA: Mapping[Place, Place] = {("metadata", "ownerReferences"): ("uid",)}


def _pod_spec(at: Place) -> dict[Place, Place]:
    keys: dict[Place, Place] = {(*at, "volumes"): ("name",)}
    for containers in ((*at, "containers"), (*at, "initContainers")):
        keys[containers] = ("name",)
        keys[*containers, "volumeMounts"] = ("mountPath",)
        keys[*containers, "env"] = ("name",)
        keys[*containers, "ports"] = ("containerPort", "protocol")
    return keys


def _of_crd(resource: Resource) -> Shape:
    text = (CRDS / f"{resource.group}_{resource.plural}.yaml").read_text()
    version = yaml.load(text, yaml.CSafeLoader)["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    has_status = "status" in (version.get("subresources") or {})
    return Shape({**_METADATA, **dict(_lists(schema, ()))}, schema=schema, has_status=has_status)


def _lists(schema: Object, at: Place) -> Iterator[tuple[Place, Place]]:
    kind = schema.get("x-kubernetes-list-type")
    if kind == "map":
        yield at, tuple(schema["x-kubernetes-list-map-keys"])
    elif kind == "set":
        yield at, SET
    if isinstance(schema.get("items"), dict):
        yield from _lists(schema["items"], at)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _lists(inner, (*at, name))


def _fill(schema: Object, value: Any) -> None:
    if isinstance(value, list):
        for item in value:
            _fill(schema.get("items") or {}, item)
    elif isinstance(value, dict):
        for name, inner in (schema.get("properties") or {}).items():
            if name not in value and "default" in inner:
                value[name] = copied(inner["default"])
            if name in value:
                _fill(inner, value[name])


def _default_pod(spec: Object) -> None:
    for volume in spec.get("volumes") or []:
        projected = volume.get("projected")
        if projected is None:
            continue
        projected.setdefault("defaultMode", 420)
        for source in projected.get("sources") or []:
            for item in (source.get("downwardAPI") or {}).get("items") or []:
                item.get("fieldRef", {}).setdefault("apiVersion", "v1")
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        for port in container.get("ports") or []:
            port.setdefault("protocol", "TCP")


def _pod_objections(at: str, spec: Object) -> Iterator[tuple[str, str]]:
    volumes = {v["name"] for v in spec.get("volumes") or []}
    for number, container in enumerate(spec["containers"]):
        place = f"{at}.containers[{number}]"
        if not container.get("image"):
            yield f"{place}.image", "Required value"
        for index, mount in enumerate(container.get("volumeMounts") or []):
            if mount["name"] not in volumes:
                yield f"{place}.volumeMounts[{index}].name", f'Not found: "{mount["name"]}"'


def copied(value: Plain) -> Plain:
    """A deep copy of plain data."""
    copy: Plain = marshal.loads(marshal.dumps(value))  # type: ignore[arg-type]
    return copy


def received(body: Object) -> Object:
    """A body as it comes over the wire: plain data, whatever it was made of."""
    found: Object = json.loads(json.dumps(body))
    return found
