"""Which addresses may be dialled on behalf of users (rule 15).

Probes only ever carry the pod IP of one of the target's own pods. The guard stands behind that: a
pod IP is written by a node, and a node can be wrong or hostile.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, NamedTuple
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


class Denied(NamedTuple):
    """Addresses that are never dialled, and what they are in words."""

    network: Network
    what: str


LOOPBACK: Final = frozenset(
    {
        Denied(IPv4Network("127.0.0.0/8"), "a loopback address"),
        Denied(IPv6Network("::1/128"), "a loopback address"),
    }
)
METADATA: Final = frozenset(
    Denied(ip_network(network), "an address of a cloud's metadata service")
    for network in (
        "169.254.169.254/32",
        "100.100.100.200/32",
        "168.63.129.16/32",
        "192.0.0.192/32",
        "fd00:ec2::/32",
        "fd20:ce::254/128",
    )
)
NEVER_A_POD: Final = frozenset(
    {
        Denied(IPv4Network("0.0.0.0/8"), "an unspecified address"),
        Denied(IPv4Network("169.254.0.0/16"), "a link-local address"),
        Denied(IPv4Network("224.0.0.0/4"), "a multicast address"),
        Denied(IPv4Network("240.0.0.0/4"), "a reserved or broadcast address"),
        Denied(IPv6Network("::/128"), "an unspecified address"),
        Denied(IPv6Network("::/8"), "a reserved address"),
        Denied(IPv6Network("fe80::/10"), "a link-local address"),
        Denied(IPv6Network("fec0::/10"), "a site-local address"),
        Denied(IPv6Network("ff00::/8"), "a multicast address"),
        Denied(IPv6Network("64:ff9b::/32"), "a translated IPv4 address (NAT64)"),
        Denied(IPv6Network("2001::/32"), "a tunnelled IPv4 address (Teredo)"),
        Denied(IPv6Network("2002::/16"), "a tunnelled IPv4 address (6to4)"),
    }
)
HOSTILE: Final = LOOPBACK | METADATA | NEVER_A_POD
"""What no cluster may lift: RFC 6890's special ranges that no pod lives in, and metadata."""


def canonical(address: str) -> Address | None:
    """The one address that a literal stands for; None where it is no plain literal.

    An IPv4-mapped IPv6 address is its IPv4 address. Zone ids, and the octal, hexadecimal and
    short forms that the C library takes for IPv4, are no literals here.
    """
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    if isinstance(parsed, IPv4Address):
        return parsed
    if parsed.scope_id is not None:
        return None
    return parsed.ipv4_mapped or parsed


@dataclass(frozen=True, slots=True)
class Machinery:
    """Addresses of the cluster itself, at which no pod is asked."""

    api_servers: frozenset[Address] = frozenset()
    nodes: frozenset[Address] = frozenset()


@dataclass(slots=True)
class Guard:
    """Says which addresses are not dialled. Dial `canonical(address)`: that is what was judged."""

    denied: frozenset[Denied] = HOSTILE
    allow_host_network: bool = False
    """Pods on the host network may be asked, at their own node's address."""
    pod_networks: tuple[Network, ...] = ()
    """Where given, nothing outside is dialled, whatever a node says of its pods."""
    machinery: Machinery = Machinery()
    """Replaced as a whole when the cluster changes."""

    def refuse(
        self, address: str, port: int, *, hosts: Iterable[str] = (), host_network: bool = False
    ) -> str | None:
        """Why this is not dialled, for people; None where it may be.

        `hosts` are the addresses of the pod's node (status.hostIP and hostIPs), and `host_network`
        is from its spec.
        """
        dialled = canonical(address)
        if dialled is None:
            return f"{address[:64]!r} is not an IP address"
        if not 1 <= port <= 65535:
            return f"{port} is not a port"
        if what := self._what(dialled):
            return f"{dialled} is {what}"
        if dialled in self.machinery.api_servers:
            return f"{dialled} is the address of an API server"
        own = dialled in map(canonical, hosts)
        if host_network and not self.allow_host_network:
            return f"{dialled} is on the host network, and --allow-host-network is not set"
        if host_network:
            return None if own else f"{dialled} is not the address of the pod's node"
        if own or dialled in self.machinery.nodes:
            return f"{dialled} is the address of a node, and the pod is not on the host network"
        if self.pod_networks and not any(dialled in one for one in self.pod_networks):
            return f"{dialled} is outside the pods' networks (belay run --pod-network)"
        return None

    def _what(self, address: Address) -> str | None:
        """What a denied address is, by the narrowest range that holds it."""
        found = [one for one in self.denied if address in one.network]
        return max(found, key=lambda one: one.network.prefixlen).what if found else None


async def resolved(hosts: Iterable[str]) -> frozenset[Address]:
    """All addresses of the API server by which we reach it; `hosts` are names, URLs or addresses.

    Raises OSError where a name does not resolve.
    """
    loop = asyncio.get_running_loop()
    found: set[Address | None] = set()
    for host in filter(None, hosts):
        name = urlsplit(host).hostname if "://" in host else host.strip("[]")
        if literal := canonical(name or ""):
            found.add(literal)
            continue
        for *_, where in await loop.getaddrinfo(name, None):
            found.add(canonical(str(where[0]).partition("%")[0]))
    return frozenset(address for address in found if address is not None)
