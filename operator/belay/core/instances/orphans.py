"""What is paused for no rollout any more, such as for that of a deleted Workflow."""

from collections.abc import Mapping
from typing import Any

from belay.api.instance_kinds import InstanceKind
from belay.core.decision import InstanceWrite


def holds(status: Mapping[str, Any]) -> bool:
    """Whether a Workflow's record says that it may have something paused."""
    rollout = status.get("rollout") or {}
    return bool(rollout.get("paused")) and "outcome" not in rollout


def freed(kind: InstanceKind, metadata: Mapping[str, Any]) -> InstanceWrite:
    """The write that lets one go, as it was read."""
    kept = ("name", "namespace", "uid", "resourceVersion")
    body = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {key: metadata[key] for key in kept},
    }
    return InstanceWrite(kind, body)
