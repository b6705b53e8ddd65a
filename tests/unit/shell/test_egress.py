"""The guard: which addresses are never dialled."""

from ipaddress import ip_address, ip_network

import pytest

from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard, Machinery, canonical, resolved

HOSTILE_ADDRESSES = {
    "127.0.0.1": "loopback",
    "127.255.255.254": "loopback",
    "::1": "loopback",
    "0:0:0:0:0:0:0:1": "loopback",
    "::ffff:127.0.0.1": "loopback",
    "::ffff:7f00:1": "loopback",
    "::FFFF:7F00:0001": "loopback",
    "0.0.0.0": "unspecified",
    "0.1.2.3": "unspecified",
    "::": "unspecified",
    "::ffff:0.0.0.0": "unspecified",
    "169.254.0.1": "link-local",
    "fe80::1": "link-local",
    "febf:ffff::1": "link-local",
    "169.254.169.254": "metadata",
    "::ffff:169.254.169.254": "metadata",
    "::ffff:a9fe:a9fe": "metadata",
    "fd00:ec2::254": "metadata",
    "fd00:ec2:0:0:0:0:0:254": "metadata",
    "fd20:ce::254": "metadata",
    "100.100.100.200": "metadata",
    "168.63.129.16": "metadata",
    "224.0.0.1": "multicast",
    "239.255.255.255": "multicast",
    "ff02::1": "multicast",
    "::ffff:224.0.0.1": "multicast",
    "255.255.255.255": "broadcast",
    "240.0.0.1": "reserved",
    "::127.0.0.1": "reserved",
    "::a9fe:a9fe": "reserved",
    "fec0::1": "site-local",
    "64:ff9b::a9fe:a9fe": "NAT64",
    "64:ff9b:1::7f00:1": "NAT64",
    "2002:7f00:1::": "6to4",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2": "Teredo",
}
NO_LITERALS = [
    "",
    " 127.0.0.1",
    "127.0.0.1 ",
    "127.1",
    "127.0.0.1.",
    "0177.0.0.1",
    "127.0.0.01",
    "0x7f000001",
    "0x7f.0.0.1",
    "2130706433",
    "017700000001",
    "①②⑦.⓪.⓪.①",
    "fe80::1%eth0",
    "10.0.0.5%eth0",
    "fd12::1%25eth0",
    "[::1]",
    "10.0.0.5:80",
    "10.0.0.5/32",
    "10.0.0.5\r\nHost: a",
    "10.0.0.5@127.0.0.1",
    "localhost",
    "metadata.google.internal",
    "127.0.0.1.nip.io",
    "::ffff:0177.0.0.1",
]


@pytest.mark.parametrize(("address", "what"), HOSTILE_ADDRESSES.items())
def test_no_hostile_address_is_dialled(address: str, what: str) -> None:
    refusal = Guard().refuse(address, 80)
    assert refusal is not None
    assert what in refusal


@pytest.mark.parametrize("text", NO_LITERALS)
def test_what_is_no_plain_literal_is_refused(text: str) -> None:
    refusal = Guard().refuse(text, 80)
    assert refusal is not None
    assert "is not an IP address" in refusal


@pytest.mark.parametrize(
    "address",
    ["10.244.1.7", "192.168.3.4", "172.17.0.2", "100.64.0.9", "fd12:3456::7", "203.0.113.9"],
)
def test_pod_addresses_may_be_dialled(address: str) -> None:
    assert Guard().refuse(address, 8080) is None
    assert str(canonical(address)) == address


def test_a_mapped_address_is_dialled_as_the_address_that_was_judged() -> None:
    assert Guard().refuse("::ffff:10.244.1.7", 80) is None
    assert canonical("::ffff:10.244.1.7") == ip_address("10.244.1.7")


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_must_be_one(port: int) -> None:
    assert Guard().refuse("10.244.1.7", port) == f"{port} is not a port"


@pytest.mark.parametrize("host", ["10.0.0.3", "::ffff:10.0.0.3"])
def test_a_pod_on_the_host_network_is_asked_at_its_own_node_where_that_is_allowed(
    host: str,
) -> None:
    node = {"hosts": ("fd00::3", host)}
    shipped, allowing = Guard(), Guard(allow_host_network=True)
    refusal = shipped.refuse("10.0.0.3", 10250, **node, host_network=True)
    assert refusal == "10.0.0.3 is on the host network, and --allow-host-network is not set"
    assert allowing.refuse("10.0.0.3", 80, **node, host_network=True) is None
    assert allowing.refuse("fd00::3", 80, **node, host_network=True) is None
    for guard in (shipped, allowing):
        for address in ("10.0.0.3", "fd00::3"):
            lie = guard.refuse(address, 80, **node)
            assert lie is not None
            assert lie.endswith("is the address of a node, and the pod is not on the host network")
        assert guard.refuse("10.244.1.7", 80, **node) is None
    elsewhere = allowing.refuse("10.0.0.4", 80, **node, host_network=True)
    assert elsewhere == "10.0.0.4 is not the address of the pod's node"


def test_networks_of_pods_are_all_that_is_dialled_where_they_are_given() -> None:
    guard = Guard(pod_networks=(ip_network("10.244.0.0/16"), ip_network("fd12::/64")))
    for inside in ("10.244.255.1", "::ffff:10.244.0.1", "fd12::7"):
        assert guard.refuse(inside, 80) is None
    outside = "10.245.0.1 is outside the pods' networks (belay run --pod-network)"
    assert guard.refuse("10.245.0.1", 80) == outside
    assert guard.refuse("127.0.0.1", 80) == "127.0.0.1 is a loopback address"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("10.96.0.1", "10.96.0.1"),
        ("https://10.96.0.1:6443", "::ffff:10.96.0.1"),
        ("https://[fd00:10:96::1]:443", "fd00:10:96::1"),
        ("fd00:10:96::1", "fd00:10:96:0::1"),
    ],
)
async def test_the_api_server_is_not_dialled(host: str, address: str) -> None:
    guard = Guard(machinery=Machinery(api_servers=await resolved([host, ""])))
    refusal = guard.refuse(address, 443)
    assert refusal is not None
    assert refusal.endswith("is the address of an API server")
    assert guard.refuse("10.96.0.2", 443) is None


async def test_the_api_server_is_found_by_name() -> None:
    named = await resolved(["https://localhost:6443"])
    guard = Guard(HOSTILE - LOOPBACK, machinery=Machinery(api_servers=named))
    assert guard.refuse("127.0.0.1", 1) == "127.0.0.1 is the address of an API server"


def test_the_narrowest_range_names_the_address() -> None:
    assert Guard().refuse("::1", 80) == "::1 is a loopback address"
    assert Guard(HOSTILE - LOOPBACK).refuse("127.0.0.1", 80) is None
