"""An operator process whose reconciler only tells what it was asked to look at.

Arguments: kubeconfig, namespace, health port. Prints `port <n>`, then `pass <key>` for each pass.
"""

import asyncio
import sys

from belay.core.keys import Key
from belay.runtime import app
from belay.runtime.config import Config, Election, LogFormat, LogLevel
from belay.runtime.leader import Parts
from belay.runtime.logs import set_up
from belay.runtime.queue import Priority


class Telling:
    """Does nothing but say so."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    async def reconcile(self, key: Key) -> float | None:
        known = ",".join(sorted(self._parts.revisions.known(key)))
        print(f"pass {key} [{known}]", flush=True)
        return None

    def knows(self, key: Key, resource_version: str) -> bool:
        return False

    def urgency(self, key: Key) -> Priority:
        return Priority.MOVING

    def forget(self, key: Key) -> None:
        print(f"forget {key}", flush=True)

    async def close(self) -> None:
        print("closed", flush=True)


def main() -> int:
    kubeconfig, namespace, port = sys.argv[1:]
    set_up(LogFormat.TEXT, LogLevel.INFO)
    config = Config(
        namespaces=(namespace,),
        kubeconfig=kubeconfig,
        election=Election(lease_namespace=namespace),
        health_address="127.0.0.1",
        health_port=int(port),
    )
    return asyncio.run(app.run(config, Telling))


if __name__ == "__main__":
    sys.exit(main())
