"""What is written to instances: our label and one field; to let go is to own neither any more.

All of it on what was read: the late call of an operator that died must not pause anything again.
"""

from dataclasses import replace
from typing import Any

from belay.api.instance_kinds import Write
from belay.api.names import LABEL_PAUSED_AGAIN, LABEL_PAUSED_BY
from belay.core.decision import InstanceWrite
from belay.core.instances.view import Instances, InstanceView


def pausing(instances: Instances, namespace: str) -> tuple[InstanceWrite, ...]:
    """One write for each instance to be paused."""
    return tuple(_pause(instances, one, namespace) for one in instances.to_pause)


def on_trial(instances: Instances | None, namespace: str) -> tuple[InstanceWrite, ...]:
    """One of those writes for each kind: what the server says to it, it says to all."""
    if instances is None:
        return ()
    first = {(one.kind.group, one.kind.kind): one for one in reversed(instances.to_pause)}
    return tuple(_pause(instances, replace(one, version=""), namespace) for one in first.values())


def letting_go(
    held: tuple[InstanceView, ...], cancelled: frozenset[str], namespace: str
) -> tuple[InstanceWrite, ...]:
    """One write for each instance; those whose uid is `cancelled` end."""
    return tuple(_let_go(one, one.uid in cancelled, namespace) for one in held)


def _pause(instances: Instances, one: InstanceView, namespace: str) -> InstanceWrite:
    labels = {LABEL_PAUSED_BY: instances.owner}
    if one.holder == instances.owner or (one.again and one.again == instances.rollout):
        labels[LABEL_PAUSED_AGAIN] = instances.rollout
    field = Write(path=one.kind.path, value=one.kind.paused_value)
    return _write(one, namespace, labels, field)


def _let_go(one: InstanceView, cancelled: bool, namespace: str) -> InstanceWrite:
    """What is cancelled is let go by the same write: some kinds heed no end while suspended."""
    return _write(one, namespace, {}, one.kind.cancel if cancelled else None)


def _write(
    one: InstanceView, namespace: str, labels: dict[str, str], field: Write | None
) -> InstanceWrite:
    metadata: dict[str, Any] = {"name": one.name, "namespace": namespace, "uid": one.uid}
    if one.version:
        metadata["resourceVersion"] = one.version
    if labels:
        metadata["labels"] = labels
    body = {"apiVersion": one.kind.api_version, "kind": one.kind.kind, "metadata": metadata}
    if field is not None:
        _put(body, field)
    return InstanceWrite(one.kind, body)


def _put(body: dict[str, Any], field: Write) -> None:
    *way, last = field.path.split(".")
    inner = body
    for name in way:
        inner = inner.setdefault(name, {})
    inner[last] = field.value
