"""Services of checks: which pods are behind them, by the API and never by a name's resolution."""

from belay.api.check import Check
from belay.core.observed import ServiceView
from belay.shell.resources import ENDPOINT_SLICES, SERVICES, Object
from belay.shell.turn import Turn


async def behind_service(turn: Turn, check: Check) -> ServiceView:
    """Ports by pod of the endpoints whose targetRef is a pod (rule 15)."""
    assert check.http is not None  # noqa: S101
    assert check.http.service is not None  # noqa: S101
    name = check.http.service
    service = await turn.get(SERVICES, name)
    problem = _problem(service, name, turn.key.namespace)
    if service is None or problem is not None:
        return ServiceView({}, problem)
    port = _port(service, check.http.port)
    if port is None:
        known = ", ".join(str(p.get("name") or p["port"]) for p in service["spec"].get("ports", []))
        return ServiceView({}, f"Service {name} has no port {check.http.port} (it has: {known})")
    labels = f"kubernetes.io/service-name={name}"
    slices = await turn.cluster.list(ENDPOINT_SLICES, turn.key.namespace, labels=labels)
    ports: dict[str, int] = {}
    for one in slices:
        number = next((p["port"] for p in one.get("ports") or [] if _same(p, port)), None)
        for endpoint in one.get("endpoints") or []:
            target = endpoint.get("targetRef") or {}
            if number is not None and target.get("kind") == "Pod" and target.get("uid"):
                ports[target["uid"]] = int(number)
    return ServiceView(ports, target_port=port.get("targetPort") or port["port"])


def _problem(service: Object | None, name: str, namespace: str) -> str | None:
    if service is None:
        return f"there is no Service {name} in namespace {namespace}"
    if service["spec"].get("type") == "ExternalName":
        return f"Service {name} is an ExternalName; only Services of the target's pods can be asked"
    if not service["spec"].get("selector"):
        return f"Service {name} has no selector; only Services of the target's pods can be asked"
    return None


def _port(service: Object, wanted: int | str) -> Object | None:
    for port in service["spec"].get("ports") or []:
        if port["port"] == wanted or port.get("name") == wanted:
            found: Object = port
            return found
    return None


def _same(slice_port: Object, port: Object) -> bool:
    return (slice_port.get("name") or "") == (port.get("name") or "")
