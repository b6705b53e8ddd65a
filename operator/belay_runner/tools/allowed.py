"""Whom HTTP nodes may call: names, and networks of addresses that are not public."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class NotAllowed(Exception):
    """The call was not made."""


@dataclass(frozen=True, slots=True)
class _Name:
    pattern: str
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        if self.port not in (None, port):
            return False
        if self.pattern.startswith("*."):
            return host.endswith(self.pattern[1:])
        return self.pattern in ("*", host)


@dataclass(frozen=True, slots=True)
class Allowed:
    """The list that the administrator gave."""

    names: tuple[_Name, ...]
    networks: tuple[Network, ...]

    @classmethod
    def of(cls, entries: Sequence[str]) -> "Allowed":
        names, networks = [], []
        for entry in entries:
            network = _network(entry)
            if network is not None:
                networks.append(network)
            else:
                names.append(_name(entry))
        return cls(tuple(names), tuple(networks))

    def check_host(self, host: str, port: int) -> None:
        """Refuse a name that is not on the list. An address is judged when it is dialled."""
        if _address(host) is None and not any(n.covers(host.lower(), port) for n in self.names):
            raise NotAllowed(f"{host}:{port} is not allowed; the option is --http-allow")

    def check_address(self, host: str, found: str) -> None:
        """Refuse an address that is not public and in no allowed network, whatever named it.

        An address that the definition wrote itself needs a network even when it is public.
        """
        address = _address(found)
        if address is None:
            raise NotAllowed(f"{found} is no address")
        address = getattr(address, "ipv4_mapped", None) or address
        public = address.is_global and not address.is_multicast
        named = _address(host) is None
        if (public and named) or any(address in network for network in self.networks):
            return
        raise NotAllowed(f"{host} is {address}, in no allowed network; the option is --http-allow")


def _address(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return None


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text)
    except ValueError:
        return None


def _name(entry: str) -> _Name:
    host, colon, port = entry.lower().rpartition(":")
    return _Name(host, int(port)) if colon and port.isdigit() else _Name(entry.lower(), None)
