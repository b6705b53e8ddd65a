"""Settings of one operator process."""

import os
import socket
import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from belay.api.instance_kinds import SHIPPED, InstanceKind
from belay.api.names import DEFAULT_MOUNT_PATH
from belay.runtime.elector import LeaseTerms
from belay.runtime.resync import ResyncSettings


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """Least serious lines that are written."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def new_identity() -> str:
    """A name for this process that no other process ever has, not even its successor."""
    return f"{os.environ.get('POD_NAME') or socket.gethostname()}_{uuid.uuid4().hex[:8]}"


@dataclass(frozen=True, slots=True)
class Election:
    """Where the Lease is and who we are to it."""

    enabled: bool = True
    lease_name: str = "belay"
    lease_namespace: str | None = None
    """By default the namespace of the kubeconfig context or of the pod."""
    identity: str = field(default_factory=new_identity)
    terms: LeaseTerms = field(default_factory=LeaseTerms)


@dataclass(frozen=True, slots=True)
class Config:
    """All that `belay run` can be told."""

    namespaces: tuple[str, ...] = ()
    """Namespaces to serve; none means all."""
    kubeconfig: str | None = None
    context: str | None = None
    election: Election = field(default_factory=Election)
    health_address: str = "0.0.0.0"  # noqa: S104
    health_port: int = 8080
    """0: any free port, told in the log."""
    log_format: LogFormat = LogFormat.TEXT
    log_level: LogLevel = LogLevel.INFO
    workers: int = 32
    """Workflows that are worked on at once."""
    resync: ResyncSettings = field(default_factory=ResyncSettings)
    mount_paths: tuple[str, ...] = (DEFAULT_MOUNT_PATH,)
    """Folders at or below which a Workflow may mount."""
    allow_host_network: bool = False
    """Checks may ask pods on the host network, whose address is their node's."""
    pod_networks: tuple[str, ...] = ()
    """Networks, such as 10.244.0.0/16, that all pods live in; none means any address that is not
    denied."""
    target_kinds: tuple[str, ...] = ()
    """Kinds of targets besides the built-in ones, such as rollouts.argoproj.io."""
    instance_kinds: tuple[InstanceKind, ...] = SHIPPED
    """Kinds of running instances that can be paused."""
    backups: Path | None = None
    """Folder that keeps the backups of all Workflows; without, Secrets beside each do."""
    drain_seconds: float = 10.0
    """How long passes in progress may take to end when the process is told to stop."""

    @property
    def scopes(self) -> tuple[str | None, ...]:
        """Namespaces as the API takes them: (None,) for all."""
        return self.namespaces or (None,)
