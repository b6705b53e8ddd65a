"""Kinds of targets: one module and one line here for each."""

from typing import Final

from belay.core.workloads.base import (
    Carried,
    Completion,
    FormerPod,
    Kind,
    PointerView,
    WorkloadView,
)
from belay.core.workloads.daemonset import DAEMON_SET
from belay.core.workloads.deployment import DEPLOYMENT
from belay.core.workloads.statefulset import STATEFUL_SET

_ALL = (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)

KINDS: Final = {(kind.api_version, kind.kind): kind for kind in _ALL}

__all__ = [
    "KINDS",
    "Carried",
    "Completion",
    "FormerPod",
    "Kind",
    "PointerView",
    "WorkloadView",
]
