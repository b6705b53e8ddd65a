"""What `helm test` asks: the operator is ready, and some replica of it leads."""

import os
import time
import urllib.request

# Kubelet tells the address of each Service of the namespace: no DNS is needed.
PREFIX = os.environ["SERVICE"].upper().replace("-", "_")
ADDRESS = f"{os.environ[PREFIX + '_SERVICE_HOST']}:{os.environ[PREFIX + '_SERVICE_PORT']}"


def ask(path: str) -> str:
    with urllib.request.urlopen(f"http://{ADDRESS}{path}", timeout=5) as answer:
        return answer.read().decode()


def leads() -> bool:
    return any(line.split() == ["belay_leader", "1.0"] for line in ask("/metrics").splitlines())


ask("/readyz")
print("ready")
end = time.monotonic() + 30
while not leads():
    if time.monotonic() > end:
        raise SystemExit("no replica leads: look at the Lease, and at the log of the operator")
    time.sleep(0.2)
print("a replica leads")
