"""What the types of checks have to do with pods: whom each is asked of, and at which port."""

from collections.abc import Iterator

from belay.api.check import Check
from belay.core.observed import Observed
from belay.core.pods import Pod, declared_ports
from belay.core.workloads import WorkloadView


def service_of(check: Check) -> str | None:
    """The Service whose pods are asked, where it is not each pod by itself."""
    return check.http.service if check.http is not None else None


def port_of(seen: Observed, check: Check, pod: Pod) -> int | None:
    """Number of the port to dial; None where the pod has no such port, or none is dialled."""
    if service_of(check) is not None:
        behind = seen.services.get(check.name)
        return behind.port(pod) if behind is not None else None
    return pod.port(check.port) if check.port is not None else None


def is_asked_of(seen: Observed, check: Check, pod: Pod) -> bool:
    """Whether a new pod declares the check's port, or is behind its Service."""
    if service_of(check) is not None:
        behind = seen.services.get(check.name)
        return behind is not None and pod.uid in behind.ports
    if check.exec is not None:
        return check.exec.container in (None, *pod.containers)
    return check.job is not None or port_of(seen, check, pod) is not None


def container_of(check: Check, pod: Pod) -> str:
    """The container that a command runs in."""
    named = check.exec.container if check.exec is not None else None
    return named or pod.container


def declares(workload: WorkloadView, check: Check) -> bool:
    """Whether pods of this workload can be asked, by its template."""
    assert workload.raw is not None  # noqa: S101
    spec = workload.kind.template(workload.raw)["spec"]
    if check.exec is not None:
        return check.exec.container in (None, *(c["name"] for c in spec["containers"]))
    if check.job is not None:
        return True
    ports = declared_ports(spec, workload.container)
    return service_of(check) is not None or str(check.port) in ports


def objections(seen: Observed, check: Check) -> Iterator[str]:
    """Why a check cannot be asked of the targets, for people."""
    on_host = [w for w in seen.workloads if _is_on_host_network(w) and declares(w, check)]
    if on_host and check.port is not None and not seen.host_network_allowed:
        yield (
            f"the pods of {on_host[0].told} are on the host network, which Belay asks only where "
            "the administrator allows it by: belay run --allow-host-network"
        )
    if service_of(check) is not None:
        behind = seen.services.get(check.name)
        if behind is not None and behind.problem is not None:
            yield behind.problem
    elif not any(declares(w, check) for w in seen.workloads):
        names = ", ".join(w.told for w in seen.workloads)
        if check.exec is not None:
            yield f"{names} has no container {check.exec.container}: correct exec.container"
        else:
            yield (
                f"port {check.port} is not declared by the container of {names}. "
                f"Declare it under ports in the pod template, or correct {check.type}.port"
            )


def _is_on_host_network(workload: WorkloadView) -> bool:
    assert workload.raw is not None  # noqa: S101
    return bool(workload.kind.template(workload.raw)["spec"].get("hostNetwork"))
