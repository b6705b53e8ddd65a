"""The operator as it is shipped, but it asks pods on loopback addresses, too.

The pods of a control plane without nodes are played by the benchmark itself: their addresses are
loopback ones, which the product never dials. The checks are real requests. On SIGUSR2 it prints
how many tasks its event loop has.
"""

import asyncio
import signal
from functools import partial

from belay.cli.app import main as operate
from belay.runtime import app
from belay.shell.checks.egress import HOSTILE, LOOPBACK, Guard

PROGRAM = "from tests.bench.loopback import main; main()"
TASKS = "tasks of the event loop: "


def _tell() -> None:
    print(f"{TASKS}{len(asyncio.all_tasks())}", flush=True)


class _App(app.App):
    async def run(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR2, _tell)
        await super().run()


def main() -> None:
    app.Guard = partial(Guard, denied=HOSTILE - LOOPBACK)  # type: ignore[attr-defined, assignment]
    app.App = _App  # type: ignore[misc]
    operate()
