"""Attacks on the prober: each is refused, with its reason, and with nothing sent.

What leaves the process is counted by the interpreter's own audit events, before the kernel is
asked: connections, datagrams, names to resolve. A listener stands where an attack would arrive.
Each row that the guard alone refuses is played again without the guard, and must then dial.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from pydantic import ValidationError
from tests.unit.shell.attacked import Place, asking, samples, wire
from tests.unit.shell.pods import answers, check, running

from belay.core.evidence.probe import Answer
from belay.core.keys import Key
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard, Machinery

Do = Callable[[Place], Any]

MACHINERY = Machinery(
    api_servers=frozenset(
        map(ip_address, ("10.96.0.1", "192.168.7.10", "192.168.7.11", "fd00::10"))
    ),
    nodes=frozenset(map(ip_address, ("192.168.7.1", "192.168.7.2", "203.0.113.2", "192.168.7.10"))),
)
POD_NETWORKS = (ip_network("10.244.0.0/16"), ip_network("127.0.0.0/8"))
LIFTED = HOSTILE - LOOPBACK
"""What the control lifts, so that a listener of this test can stand for a pod."""


class Open(Guard):
    """No guard at all."""

    def refuse(self, *_: object, **__: object) -> None:
        return None


@dataclass(frozen=True)
class Attack:
    """One attack. `dials`: without the guard it would send something."""

    what: str
    do: Do
    said: str
    """What Belay says instead; empty where there is nobody to be asked at all."""
    dials: bool = True
    allow_host_network: bool = False


def ip(address: str, **status: Any) -> Do:
    """The pod claims this address."""
    return lambda place: place.tells(podIP=address, **status)


def port(wanted: int | str, declared: list[dict[str, Any]] | None = None) -> Do:
    """The check asks a port."""

    def do(place: Place) -> None:
        place.asks(port=wanted)
        if declared is not None:
            place.own["spec"]["containers"][0]["ports"] = declared

    return do


def header(name: str, value: str) -> Do:
    """The check sets a header."""
    return lambda place: place.asks(headers=[{"name": name, "value": value}])


def secret(value: str, kind: str = "belay.dev/check-credentials") -> Do:
    """The check takes a header from a Secret."""

    def do(place: Place) -> None:
        data = {"key": base64.b64encode(value.encode()).decode()}
        place.objects["secrets", "s"] = {"type": kind, "data": data}
        source = {"secretKeyRef": {"name": "s", "key": "key"}}
        place.asks(headers=[{"name": "X-Key", "valueFrom": source}])

    return do


def service(**spec: Any) -> Do:
    return lambda place: place.serves(**spec)


def slices(*make: Callable[[Place], dict[str, Any]]) -> Do:
    """A Service with these EndpointSlices instead of its controller's."""

    def do(place: Place) -> None:
        place.serves()
        place.slices = [one(place) for one in make]

    return do


def on_host(address: str, host: str) -> Do:
    def do(place: Place) -> None:
        place.own["spec"]["hostNetwork"] = True
        place.tells(podIP=address, hostIP=host)

    return do


OWN_UID, VICTIM_UID = "uid-of-own", "uid-of-victim"
NO_IP = "is not an IP address"
BY_A_NODE = [
    Attack("loopback: Belay's own process", ip("127.0.0.1"), "a loopback address"),
    Attack("loopback, another of its 16 million", ip("127.8.8.8"), "a loopback address"),
    Attack("loopback as IPv6", ip("::1"), "a loopback address"),
    Attack("loopback as mapped IPv6", ip("::ffff:127.0.0.1"), "a loopback address"),
    Attack("loopback as mapped hex", ip("::ffff:7f00:1"), "a loopback address"),
    Attack("unspecified, which means loopback", ip("0.0.0.0"), "an unspecified address"),
    Attack("unspecified IPv6", ip("::"), "an unspecified address"),
    Attack("metadata of most clouds", ip("169.254.169.254"), "metadata service"),
    Attack("metadata as mapped IPv6", ip("::ffff:a9fe:a9fe"), "metadata service"),
    Attack("metadata of EC2 by IPv6", ip("fd00:ec2::254"), "metadata service"),
    Attack("metadata of Alibaba", ip("100.100.100.200"), "metadata service"),
    Attack("wire server of Azure", ip("168.63.129.16"), "metadata service"),
    Attack("metadata through NAT64", ip("64:ff9b::a9fe:a9fe"), "NAT64"),
    Attack("metadata through 6to4", ip("2002:a9fe:a9fe::"), "6to4"),
    Attack("link-local", ip("169.254.1.1"), "a link-local address"),
    Attack("link-local IPv6", ip("fe80::1"), "a link-local address"),
    Attack("link-local with a zone", ip("fe80::1%eth0"), NO_IP, dials=False),
    Attack("any address with a zone", ip("10.244.0.9%lo"), NO_IP, dials=False),
    Attack("multicast", ip("224.0.0.251"), "a multicast address"),
    Attack("broadcast", ip("255.255.255.255"), "broadcast"),
    Attack("octal form", ip("0177.0.0.1"), NO_IP, dials=False),
    Attack("hexadecimal form", ip("0x7f000001"), NO_IP, dials=False),
    Attack("decimal form", ip("2130706433"), NO_IP, dials=False),
    Attack("short form", ip("127.1"), NO_IP, dials=False),
    Attack("full-width digits", ip("①②⑦.⓪.⓪.①"), NO_IP, dials=False),
    Attack("a name", ip("metadata.google.internal"), NO_IP, dials=False),
    Attack("an address and a line break", ip("10.244.0.9\r\nHost: x"), NO_IP, dials=False),
    Attack("an address with credentials", ip("10.244.0.9@127.0.0.1"), NO_IP, dials=False),
    Attack("an address with a port", ip("127.0.0.1:22"), NO_IP, dials=False),
    Attack("the API server's Service", ip("10.96.0.1"), "an API server"),
    Attack("an API server itself", ip("192.168.7.10"), "an API server"),
    Attack("the second API server", ip("::ffff:192.168.7.11"), "an API server"),
    Attack("an API server by IPv6", ip("fd00::10"), "an API server"),
    Attack("kubelet of its own node", ip("192.168.7.1"), "the address of a node"),
    Attack("its own node by hostIPs", ip("fd00::7", hostIPs=[{"ip": "fd00::7"}]), "of a node"),
    Attack("kubelet of another node", ip("192.168.7.2"), "the address of a node"),
    Attack("another node from outside", ip("203.0.113.2"), "the address of a node"),
    Attack("hiding its node", ip("192.168.7.1", hostIP=""), "the address of a node"),
    Attack("a database in the company", ip("10.1.2.3"), "outside the pods' networks"),
    Attack("a host on the internet", ip("203.0.113.99"), "outside the pods' networks"),
    Attack(
        "an ended pod, whose address is another's by now",
        ip("127.0.0.1", phase="Failed"),
        "has no address yet",
        dials=False,
    ),
]
"""A node writes the status of its own pods: podIP, hostIP, phase."""

BY_AN_AUTHOR = [
    Attack("an undeclared port", port(10250), "", dials=False),
    Attack("an undeclared name", port("kubelet"), "", dials=False),
    Attack("port 0", port(0), "", dials=False),
    Attack("a port beyond 65535", port(65536 + 22), "", dials=False),
    Attack(
        "a UDP port",
        port(53, [{"containerPort": 53, "protocol": "UDP"}]),
        "",
        dials=False,
    ),
    Attack("pods on the host network", on_host("192.168.7.1", "192.168.7.1"), "host network"),
    Attack(
        "pods on the host network of an API server, where host networks are allowed",
        on_host("192.168.7.10", "192.168.7.10"),
        "an API server",
        allow_host_network=True,
    ),
    Attack(
        "pods on the host network that claim another node",
        on_host("192.168.7.2", "192.168.7.1"),
        "not the address of the pod's node",
        allow_host_network=True,
    ),
    *(
        Attack(f"smuggling by {name}", header(name, value), "Belay's own to set", dials=False)
        for name, value in (
            ("Upgrade", "h2c"),
            ("Expect", "100-continue"),
            ("TE", "trailers"),
            ("Trailer", "X"),
            ("Keep-Alive", "timeout=9"),
            ("Proxy-Connection", "keep-alive"),
        )
    ),
    Attack("a Secret with a second header", secret("a\r\nHost: b"), "control", dials=False),
    Attack("a Secret with a NUL", secret("a\0b"), "control", dials=False),
    Attack(
        "a ServiceAccount's token",
        secret("token", "kubernetes.io/service-account-token"),
        "not belay.dev/check-credentials",
        dials=False,
    ),
]
"""Who edits a Workflow and its target's template."""

BY_A_TENANT = [
    Attack(
        "an ExternalName",
        service(type="ExternalName", externalName="metadata.google.internal"),
        "",
        dials=False,
    ),
    Attack("a Service without a selector", service(selector=None), "", dials=False),
    Attack(
        "a slice with an address alone",
        slices(lambda _: {"endpoints": [{"addresses": ["127.0.0.1"]}], "ports": [{"port": 80}]}),
        "",
        dials=False,
    ),
    Attack("a slice with a victim's uid", slices(lambda p: p.slice(VICTIM_UID)), "", dials=False),
    Attack(
        "a Service that selects foreign pods",
        slices(lambda p: p.slice(VICTIM_UID), lambda p: p.slice("uid-of-another")),
        "",
        dials=False,
    ),
    Attack(
        "a slice that targets a node",
        slices(lambda p: p.slice(OWN_UID, target={"kind": "Node"})),
        "",
        dials=False,
    ),
    Attack(
        "a slice of names",
        slices(lambda p: p.slice("", "metadata.google.internal", addressType="FQDN")),
        "",
        dials=False,
    ),
    Attack(
        "a slice with another port of the own pod",
        slices(lambda p: p.slice(OWN_UID, ports=[{"port": 22}])),
        "is not declared",
        dials=False,
    ),
    Attack(
        "a slice with another port behind a name",
        lambda place: (
            place.serves(ports=[{"port": 80, "targetPort": "http"}]),
            place.slices.__setitem__(0, place.slice(OWN_UID, ports=[{"port": 22}])),
        ),
        "is not declared",
        dials=False,
    ),
    Attack(
        "another namespace's Service",
        lambda place: place.asks(port=80, service="kubernetes.default.svc.cluster.local"),
        "",
        dials=False,
    ),
    Attack("a Service that is not there", lambda p: p.asks(port=80, service="x"), "", dials=False),
]
"""Who writes Services and EndpointSlices in the namespace."""

ATTACKS = [*BY_A_NODE, *BY_AN_AUTHOR, *BY_A_TENANT]


def guard_of(attack: Attack) -> Guard:
    """The guard as shipped, in a cluster whose machinery is known.

    Loopback is lifted where it would refuse the listener before the attack's own reason does.
    """
    return Guard(
        HOSTILE if attack in BY_A_NODE else LIFTED,
        allow_host_network=attack.allow_host_network,
        pod_networks=POD_NETWORKS,
        machinery=MACHINERY,
    )


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.what)
async def test_an_attack_is_refused_and_sends_nothing(attack: Attack) -> None:
    async with running(answers()) as listener:
        place = Place(listener.port)
        attack.do(place)
        with wire() as sent:
            found = await samples(guard_of(attack), place)
        assert sent.attempts == []
        assert listener.connections == 0
    assert [sample.answer for sample in found] == [Answer.UNASKED] * bool(attack.said)
    assert all(attack.said in sample.got for sample in found), found


@pytest.mark.parametrize(
    "attack", [one for one in ATTACKS if one.dials], ids=lambda attack: attack.what
)
async def test_without_the_guard_the_same_attack_would_dial(attack: Attack) -> None:
    place = Place(8080)
    attack.do(place)
    with wire(cut=True) as sent:
        await samples(Open(), place)
    assert [event for event, _ in sent.attempts] == ["socket.connect"]
    claimed = ip_address(place.own["status"]["podIP"])
    dialled = ip_address(sent.attempts[0][1][0])
    assert dialled == (getattr(claimed, "ipv4_mapped", None) or claimed)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda _: None,
        lambda place: place.asks(port="http"),
        lambda place: place.serves(),
        lambda place: place.serves(ports=[{"port": 80, "targetPort": "http"}]),
        secret("right"),
    ],
)
async def test_the_control_does_connect(prepare: Do) -> None:
    async with running(answers()) as listener:
        place = Place(listener.port)
        prepare(place)
        with wire() as sent:
            guard = Guard(LIFTED, pod_networks=POD_NETWORKS, machinery=MACHINERY)
            (sample,) = await samples(guard, place)
        assert sample.answer is Answer.RIGHT
        assert listener.connections == 1
        assert sent.attempts == [("socket.connect", ("127.0.0.1", listener.port))]


async def test_a_slice_with_another_address_changes_nothing() -> None:
    async with running(answers()) as own, running(answers(), "127.0.0.2", own.port) as victim:
        place = Place(own.port)
        place.serves()
        place.slices = [place.slice(OWN_UID, "127.0.0.2"), place.slice(VICTIM_UID, "127.0.0.2")]
        (sample,) = await samples(Guard(LIFTED), place)
        assert sample.answer is Answer.RIGHT
        assert (own.connections, victim.connections) == (1, 0)


@pytest.mark.parametrize(
    "answer",
    [
        "301 Location",
        "302 Location",
        "303 Location",
        "307 Location",
        "308 Location",
        "300 Content-Location",
        "200 Refresh",
        "200 Alt-Svc",
        "200 Link",
        "305 Location",
    ],
)
async def test_nothing_that_a_pod_answers_leads_anywhere_else(answer: str) -> None:
    status, name = answer.split()
    async with running(answers()) as victim:
        url = f"http://127.0.0.1:{victim.port}/"
        value = {"Refresh": f"0; url={url}", "Alt-Svc": f'h2=":{victim.port}"'}.get(name, url)
        async with running(answers(int(status), b"", f"{name}: {value}")) as pod:
            with wire() as sent:
                await samples(Guard(LIFTED), Place(pod.port))
            assert sent.attempts == [("socket.connect", ("127.0.0.1", pod.port))]
        assert victim.connections == 0


async def test_an_address_that_changes_between_two_looks_is_judged_anew() -> None:
    async with running(answers()) as own, running(answers(), "127.0.0.2", own.port) as victim:
        guard = Guard(LIFTED, machinery=Machinery(nodes=frozenset({ip_address("127.0.0.2")})))
        place = Place(own.port)
        place.asks(period="100ms")
        key = Key("shop", "wf-1")
        async with asking(guard, place) as prober:
            prober.pursue(key, await place.plan())
            await own.until(lambda: len(own.requests) >= 2)
            place.tells(podIP="127.0.0.2")
            with wire() as sent:
                ((_, sample),) = await prober.ask_once(await place.plan())
                prober.pursue(key, await place.plan())
                asked_before = own.connections
                await prober.ask_once(await place.plan())
            assert sample.got == (
                "not dialled: 127.0.0.2 is the address of a node, and the pod is not on the host "
                "network"
            )
            assert sent.attempts == []
            assert (own.connections, victim.connections) == (asked_before, 0)


@pytest.mark.parametrize(
    "http",
    [
        {"path": "http://169.254.169.254/"},
        {"path": "@169.254.169.254/"},
        {"path": "/ HTTP/1.1\r\nHost: x\r\n\r\nGET /"},
        {"path": "/\n"},
        {"path": "/a b"},
        {"service": "../kubernetes"},
        {"headers": [{"name": "X: y\r\nZ", "value": "1"}]},
        {"headers": [{"name": "X ", "value": "1"}]},
        {"headers": [{"name": "X", "value": "1\r\nY: 2"}]},
        {"headers": [{"name": "X", "value": "1\n 2"}]},
    ],
)
def test_what_smuggles_or_names_another_place_cannot_be_written(http: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(**http)


@pytest.mark.parametrize(
    "path", ["//169.254.169.254/", "/@169.254.169.254/", "/http://169.254.169.254/", "/\\x"]
)
async def test_a_path_that_looks_like_another_place_goes_to_the_pod(path: str) -> None:
    async with running(answers()) as pod:
        place = Place(pod.port)
        place.asks(path=path)
        with wire() as sent:
            await samples(Guard(LIFTED), place)
        assert sent.attempts == [("socket.connect", ("127.0.0.1", pod.port))]
        assert pod.requests[0].startswith(f"GET {path} HTTP/1.1\r\n".encode())


def test_there_are_many() -> None:
    assert len({attack.what for attack in ATTACKS}) == len(ATTACKS) >= 60
