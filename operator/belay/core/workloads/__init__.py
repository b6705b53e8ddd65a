"""Kinds of targets: one module and one line here for each."""

from typing import Final

from belay.core.workloads.base import Carried, Completion, Kind, WorkloadView
from belay.core.workloads.deployment import DEPLOYMENT

KINDS: Final = {(kind.api_version, kind.kind): kind for kind in (DEPLOYMENT,)}

__all__ = ["KINDS", "Carried", "Completion", "Kind", "WorkloadView"]
