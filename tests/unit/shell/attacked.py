"""The place of an attack: what the API server tells of a target, and the real way to its pods.

From raw objects to the socket all is the operator's own: Services, pods, plan, guard, HTTP.
"""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.unit.core import world
from tests.unit.core.toy_cluster import applied
from tests.unit.core.world import KEY, Raw, observed
from tests.unit.shell.pods import check, wall_clock

from belay.api.check import Check
from belay.api.words import Stage
from belay.api.workflow import TargetKind, Workload
from belay.core.delivery import Delivery, template_patch
from belay.core.evidence import proof
from belay.core.evidence.probe import ProbePlan, Sample
from belay.core.workloads.reading import read_workload
from belay.shell.checks.credentials import Credentials
from belay.shell.checks.egress import Guard
from belay.shell.checks.http_check import HttpAsker, open_session
from belay.shell.checks.prober import Prober
from belay.shell.checks.services import behind_service
from belay.shell.checks.trust import Trust
from belay.shell.errors import NotFound
from belay.shell.resources import ENDPOINT_SLICES, Resource
from belay.shell.turn import Turn

OWN, VICTIM = "own", "victim"
"""Names of the target's pod, and of one that is somebody else's."""
_LEAVING = frozenset(
    {
        "socket.connect",
        "socket.sendto",
        "socket.sendmsg",
        "socket.getaddrinfo",
        "socket.gethostbyname",
    }
)
"""Audit events of the interpreter, before the kernel is asked to send anything."""


class Cut(OSError):
    """Raised in place of a connection."""


@dataclass
class Wire:
    """What left this process. `cut`: it is only counted, and nothing goes out."""

    cut: bool = False
    attempts: list[tuple[str, Any]] = field(default_factory=list)


_WIRES: list[Wire] = []


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event in _LEAVING and _WIRES:
        wire = _WIRES[-1]
        wire.attempts.append((event, arguments[1] if event == "socket.connect" else arguments))
        if wire.cut:
            raise Cut("this wire is cut")


sys.addaudithook(_hear)


@contextmanager
def wire(*, cut: bool = False) -> Iterator[Wire]:
    """Listen to all that this process sends."""
    listening = Wire(cut)
    _WIRES.append(listening)
    try:
        yield listening
    finally:
        _WIRES.remove(listening)


@dataclass
class Place:
    """What the API server tells; an attack changes it. All pods answer on `port`."""

    port: int
    check: Check = field(default_factory=check)
    own: Raw = field(default_factory=dict)
    objects: dict[tuple[str, str], Raw] = field(default_factory=dict)
    slices: list[Raw] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.own = world.pod(OWN, "rs", hostIP="192.168.7.1", podIP="127.0.0.1")
        self.own["spec"]["containers"][0]["ports"] = [{"name": "http", "containerPort": self.port}]
        self.asks(port=self.port)

    def asks(self, **fields: Any) -> None:
        """The author of the Workflow writes another check."""
        self.check = check(**{"port": self.port, **fields})

    def tells(self, **status: Any) -> None:
        """The node writes its pod's status."""
        self.own["status"] |= status

    def serves(self, **spec: Any) -> None:
        """A Service that selects the target's pod, with the slice that its controller makes."""
        port = {"port": 80, "targetPort": self.port}
        body = {"selector": {"app": "triage"}, "ports": [port], **spec}
        self.objects["services", "front"] = {"metadata": {"name": "front"}, "spec": body}
        self.slices = [self.slice(uid=f"uid-of-{OWN}")]
        self.asks(port=80, service="front")

    def slice(self, uid: str, address: str = "127.0.0.1", **more: Any) -> Raw:
        target = {"kind": "Pod", "name": "any", "uid": uid, **more.pop("target", {})}
        endpoint = {"addresses": [address], "targetRef": target}
        return {"endpoints": [endpoint], "ports": [{"port": self.port}], **more}

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Raw:
        if (resource.plural, name) not in self.objects:
            raise NotFound(404, "NotFound", f"{namespace}/{name}")
        return self.objects[resource.plural, name]

    async def list(self, resource: Resource, *_: object, labels: str) -> list[Raw]:
        assert resource is ENDPOINT_SLICES
        assert labels == "kubernetes.io/service-name=front"
        return self.slices

    async def plan(self) -> ProbePlan:
        """What Belay would ask: the way from what it reads to the gate's probes."""
        deployment = world.deployment()
        delivery = Delivery(KEY, world.ref("v1"), "v1", "/etc/belay")
        patch = template_patch(world.view(deployment), delivery)["spec"]["template"]
        template = applied(deployment["spec"]["template"], patch)
        deployment["spec"]["template"] = template
        owner = {"metadata": {"uid": "rs"}, "spec": {"template": template}}
        foreign = world.pod(VICTIM, "other", podIP="127.0.0.1")
        wanted = Workload(kind=TargetKind.DEPLOYMENT, name="triage")
        view = read_workload(wanted, deployment, [owner], [self.own, foreign])
        services = {}
        if self.check.http is not None and self.check.http.service is not None:
            turn = Turn(self, KEY)  # type: ignore[arg-type]
            services = {self.check.name: await behind_service(turn, self.check)}
        seen = observed(spec=world.spec(checks=[self.check]), workloads=(view,), services=services)
        return proof.plan(seen, Stage.GATE, "1-1/Verifying/")


@asynccontextmanager
async def asking(guard: Guard, place: Place) -> AsyncIterator[Prober]:
    """A prober as in the operator, with this guard."""
    async with open_session("1") as session:
        asker = HttpAsker(session, guard, Credentials(place), Trust(place), wall_clock)
        prober = Prober(asker, lambda _: None, now=wall_clock)
        yield prober
        await prober.close()


async def samples(guard: Guard, place: Place) -> list[Sample]:
    """Ask all that is to be asked once."""
    async with asking(guard, place) as prober:
        return [sample for _, sample in await prober.ask_once(await place.plan())]
