"""The pods' bridge on this machine, and the guard that keeps the API server off other networks."""

import json
import socket
import subprocess
from pathlib import Path

from tests.harness.setup import run

BRIDGE = "belay0"
GATEWAY = "198.18.0.1"
PODS = "198.18.0.0/16"
SERVICES = "198.19.0.0/16"
API_SERVICE = "198.19.0.1"
_TABLES = (("inet", "belay"), ("ip", "kube-proxy"), ("ip6", "kube-proxy"))


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def up(api_port: int) -> None:
    """Make the bridge, and let only this machine and its pods reach the API server.

    It has to listen on the bridge and on loopback, and can only be told one address or all.
    """
    run(["ip", "link", "add", BRIDGE, "type", "bridge"])
    run(["ip", "address", "add", f"{GATEWAY}/16", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    guard = f"""\
table inet belay {{
  chain input {{
    type filter hook input priority filter
    iifname != {{ "lo", "{BRIDGE}" }} tcp dport {api_port} drop
  }}
}}
"""
    run(["nft", "-f", "-"], stdin=guard)


def down() -> None:
    """Remove the bridge and every table of packet filters that the cluster brought."""
    _quietly("ip", "link", "delete", BRIDGE)
    for family, table in _TABLES:
        _quietly("nft", "delete", "table", family, table)


def cni(state: Path) -> Path:
    """Write the pods' network configuration and give its folder.

    No masquerading and no default resolver: pods reach each other, Services and this machine.
    """
    folder = state / "cni"
    folder.mkdir(parents=True, exist_ok=True)
    ipam = {
        "type": "host-local",
        "dataDir": str(state / "addresses"),
        "ranges": [[{"subnet": PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself through a Service
        "ipam": ipam,
    }
    network = {"cniVersion": "0.4.0", "name": "belay", "plugins": [bridge]}
    (folder / "10-belay.conflist").write_text(json.dumps(network, indent=1))
    return folder


def forget_addresses(state: Path) -> None:
    """Remove what the CNI library remembers, outside the cluster's folder, of its pods."""
    for result in Path("/var/lib/cni/results").glob("*"):
        if f"{state}/" in result.read_text():
            result.unlink()


def _quietly(*command: str) -> None:
    subprocess.run(command, check=False, capture_output=True)
