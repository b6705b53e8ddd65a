"""Kinds of targets: one module and one line here for each."""

from typing import Final

from belay.core.workloads.argo_rollout import ARGO_ROLLOUT
from belay.core.workloads.base import (
    Carried,
    Cause,
    Completion,
    FormerPod,
    GaveUp,
    Kind,
    PointerView,
    WorkloadView,
)
from belay.core.workloads.daemonset import DAEMON_SET
from belay.core.workloads.deployment import DEPLOYMENT
from belay.core.workloads.statefulset import STATEFUL_SET

_ALL = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET, ARGO_ROLLOUT)

KINDS: Final = {(kind.api_version, kind.kind): kind for kind in _ALL}
OPTIONS: Final = frozenset(kind.option for kind in _ALL if kind.option)
"""What the administrator may allow besides the built-in kinds."""

__all__ = [
    "KINDS",
    "OPTIONS",
    "Carried",
    "Cause",
    "Completion",
    "FormerPod",
    "GaveUp",
    "Kind",
    "PointerView",
    "WorkloadView",
]
