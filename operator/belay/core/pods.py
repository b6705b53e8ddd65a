"""Pods as kubelet sees them, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from belay.api.words import Reason

CRASH_LOOP_RESTARTS: Final = 3
"""Restarts of the same container that make a crash loop."""
_ENDED: Final = frozenset({"Succeeded", "Failed"})
"""Phases in which the status still names an address that may be another pod's by now."""

_ENVIRONMENT: Final = {
    "CreateContainerConfigError": Reason.ENVIRONMENT_CONFIGURATION,
    "CreateContainerError": Reason.ENVIRONMENT_CONFIGURATION,
    "RunContainerError": Reason.ENVIRONMENT_CONFIGURATION,
    "InvalidImageName": Reason.ENVIRONMENT_IMAGE,
    "ErrImageNeverPull": Reason.ENVIRONMENT_IMAGE,
    "ErrImagePull": Reason.ENVIRONMENT_IMAGE,
    "ImagePullBackOff": Reason.ENVIRONMENT_IMAGE,
    "ImageInspectError": Reason.ENVIRONMENT_IMAGE,
    "RegistryUnavailable": Reason.ENVIRONMENT_IMAGE,
    "ContainerCreating": Reason.ENVIRONMENT_MOUNT,
    "PodInitializing": Reason.ENVIRONMENT_MOUNT,
}
_HOPELESS: Final = frozenset(
    {"CreateContainerConfigError", "RunContainerError", "InvalidImageName", "ErrImageNeverPull"}
)
"""Waiting reasons that no patience heals; image pulls and mounts may still come."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a pod does not run, where that is not the revision's fault."""

    reason: Reason
    message: str
    hopeless: bool
    """Waiting longer does not help."""


@dataclass(frozen=True, slots=True)
class Pod:
    """One pod."""

    name: str
    uid: str
    address: str
    hosts: tuple[str, ...]
    """IP addresses of its node, as the node tells them."""
    host_network: bool
    """It lives in its node's network, by its spec: no node can deny that."""
    ready: bool
    running: bool
    """Every container runs, or ran: kubelet did its part."""
    terminating: bool
    created: datetime
    restarts: Mapping[str, int]
    """Restarts by container."""
    last_exit: str
    """For people: how the container that restarted most ended, such as `exit code 1`."""
    trouble: Trouble | None
    container: str
    """The container that was delivered to."""
    containers: frozenset[str]
    ports: Mapping[str, int]
    """Declared TCP ports of the delivered container: by name and by number as text."""
    named_ports: Mapping[str, int]
    """Declared TCP ports of all its containers by name: what a Service's targetPort may mean."""

    @property
    def total_restarts(self) -> int:
        return sum(self.restarts.values())

    def crash_looping(self) -> str | None:
        """Name of a container that restarted too often."""
        return next((c for c, n in self.restarts.items() if n >= CRASH_LOOP_RESTARTS), None)

    def port(self, wanted: int | str) -> int | None:
        """Number of a declared port, by number or name."""
        return self.ports.get(str(wanted))


def read_pod(raw: Mapping[str, Any], container: str | None) -> Pod:
    """A pod from its API object; `container` is the one that was delivered to."""
    metadata, spec, status = raw["metadata"], raw["spec"], raw.get("status") or {}
    regular = status.get("containerStatuses") or []
    statuses = [*(status.get("initContainerStatuses") or []), *regular]
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    restarts = {s["name"]: int(s.get("restartCount") or 0) for s in statuses}
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        address="" if status.get("phase") in _ENDED else str(status.get("podIP") or ""),
        hosts=_hosts(status),
        host_network=bool(spec.get("hostNetwork")),
        ready=conditions.get("Ready", {}).get("status") == "True",
        running=bool(regular) and all(_has_run(s) for s in regular),
        terminating="deletionTimestamp" in metadata,
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        restarts=restarts,
        last_exit=_last_exit(statuses),
        trouble=_trouble(status, conditions, statuses),
        container=container or "",
        containers=frozenset(c["name"] for c in spec.get("containers") or []),
        ports=declared_ports(spec, container),
        named_ports=_named_ports(spec),
    )


def _hosts(status: Mapping[str, Any]) -> tuple[str, ...]:
    told = [status.get("hostIP"), *(one.get("ip") for one in status.get("hostIPs") or [])]
    return tuple(dict.fromkeys(str(address) for address in told if address))


def _named_ports(spec: Mapping[str, Any]) -> dict[str, int]:
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    ports = [port for one in containers for port in one.get("ports") or []]
    return {
        p["name"]: int(p["containerPort"])
        for p in ports
        if p.get("name") and p.get("protocol", "TCP") == "TCP"
    }


def declared_ports(spec: Mapping[str, Any], container: str | None) -> dict[str, int]:
    """TCP ports that the container declares, by name and by number as text."""
    ports: dict[str, int] = {}
    for one in spec.get("containers") or []:
        if container is not None and one["name"] != container:
            continue
        for port in one.get("ports") or []:
            if port.get("protocol", "TCP") == "TCP":
                number = int(port["containerPort"])
                ports[str(number)] = number
                if port.get("name"):
                    ports[port["name"]] = number
    return ports


def no_pods_made(message: str) -> Trouble:
    """What it means that a controller may not make its pods."""
    quota = "quota" in message
    reason = Reason.ENVIRONMENT_QUOTA if quota else Reason.ENVIRONMENT_FORBIDDEN
    return Trouble(reason, message, hopeless=False)


def _has_run(status: Mapping[str, Any]) -> bool:
    state = status.get("state") or {}
    return (
        "running" in state
        or "terminated" in state
        or "terminated" in (status.get("lastState") or {})
    )


def _last_exit(statuses: Iterable[Mapping[str, Any]]) -> str:
    worst = max(statuses, key=lambda s: int(s.get("restartCount") or 0), default=None)
    if worst is None:
        return ""
    for state in (worst.get("lastState") or {}, worst.get("state") or {}):
        ended = state.get("terminated")
        if ended:
            why = str(ended.get("reason") or "")
            return f"exit code {ended.get('exitCode')}" + (
                f" ({why})" if why not in ("", "Error", "Completed") else ""
            )
    return ""


def _trouble(
    status: Mapping[str, Any],
    conditions: Mapping[str, Mapping[str, Any]],
    statuses: Iterable[Mapping[str, Any]],
) -> Trouble | None:
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        message = str(scheduled.get("message") or "no node has room")
        return Trouble(Reason.ENVIRONMENT_SCHEDULING, message, hopeless=False)
    if status.get("reason") == "Evicted":
        message = str(status.get("message") or "the pod was evicted")
        return Trouble(Reason.ENVIRONMENT_SCHEDULING, message, hopeless=False)
    for container in statuses:
        waiting = (container.get("state") or {}).get("waiting") or {}
        word = str(waiting.get("reason") or "")
        if word in _ENVIRONMENT:
            detail = str(waiting.get("message") or "").strip()
            message = f"{word}: {detail}" if detail else word
            return Trouble(_ENVIRONMENT[word], message, hopeless=word in _HOPELESS)
    return None
