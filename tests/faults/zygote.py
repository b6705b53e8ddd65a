"""Forks operators: it has imported everything, and never starts a thread or a loop itself.

Commands come line by line on stdin, what happens to the children goes to stdout, both as JSON. A
child is the whole operator; only the answers of pods are made up, by the address that the pod has.
"""

import asyncio
import ctypes
import gc
import json
import os
import select
import signal
import sys
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NoReturn

import yaml
from yarl import URL

from belay.api.words import Stage
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.runtime import app, assembly, elector, kopf_source, reconciler
from belay.runtime.config import Config, Election, LogFormat, LogLevel
from belay.runtime.logs import set_up
from belay.runtime.resync import ResyncSettings
from belay.shell.checks.asker import AskerByType
from belay.shell.engine import engines
from belay.shell.engine.client import Peer

WRONG: Final = "10.2."
"""Beginning of the addresses of pods that answer wrong."""
WRONG_LATER: Final = "10.3."
"""The same, once real traffic is observed."""
UNCLEAR: Final = "10.4."
"""Of pods that cannot be asked."""
UNCLEAR_LATER: Final = "10.5."
HOME: Final = "belay-system"
"""Where leases are."""
_DIE_WITH_PARENT: Final = 1


class _ByAddress(AskerByType):
    """Knows what a pod answers by its address: no packet is sent."""

    async def __call__(self, probe: Probe) -> Sample:
        await asyncio.sleep(0)
        now, address = datetime.now(UTC), probe.address
        if not address:
            return Sample(Answer.UNASKED, "no address", now)
        late = probe.stage is Stage.OBSERVATION
        if address.startswith((UNCLEAR, UNCLEAR_LATER) if late else UNCLEAR):
            return Sample(Answer.UNASKED, "a Secret is missing", now)
        if address.startswith((WRONG, WRONG_LATER) if late else WRONG):
            return Sample(Answer.WRONG, "500 instead of 200", now)
        return Sample(Answer.RIGHT, "200", now)


class _Clock:
    """Stands for `datetime` where the operator asks for the time: a file says how far it is off."""

    def __init__(self, file: str) -> None:
        self._file = file

    def now(self, zone: tzinfo) -> datetime:
        with open(self._file) as file:  # noqa: PTH123
            return datetime.now(zone) + timedelta(seconds=float(file.read()))


def _operate(told: dict[str, Any]) -> NoReturn:
    """The child."""
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    log = os.open(told["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    set_up(LogFormat.TEXT, LogLevel.INFO)
    config = Config(
        namespaces=(told["namespace"],),
        kubeconfig=told["kubeconfig"],
        election=_election(told),
        health_address="127.0.0.1",
        health_port=0,
        workers=4,
        resync=ResyncSettings(period=told["resync"]),
    )
    # As in the product, but for who answers: the askers of all types are this one.
    assembly.AskerByType = _ByAddress  # type: ignore[attr-defined]
    if told["clock"]:
        for module in (assembly, elector, kopf_source, reconciler):
            module.datetime = _Clock(told["clock"])  # type: ignore[attr-defined]
    code = 70
    try:
        code = asyncio.run(app.run(config, assembly.make_reconciler))
    finally:
        sys.stdout.flush()
        os._exit(code)


def _election(told: dict[str, Any]) -> Election:
    """None where no lease is named."""
    lease = told["lease"]
    if not lease:
        return Election(enabled=False)
    return Election(lease_name=lease, lease_namespace=HOME)


class _Local(Peer):
    """Asks the engine of a pod where the test plays it."""

    engines = ""

    def _url(self, path: str) -> URL:
        return URL(f"{self.engines}/{self.pod.uid}/engine/v1{path}", encoded=True)


def _say(**told: Any) -> None:
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def _make_starting_cheap() -> None:
    """What takes half of the time that an operator needs to start, and is not looked at here.

    The proxy speaks no TLS, and a kubeconfig that is JSON needs no slow parser.
    """
    os.environ["SSL_CERT_FILE"] = os.devnull
    os.environ["SSL_CERT_DIR"] = os.devnull
    yaml.SafeLoader = yaml.CSafeLoader  # type: ignore[assignment, misc]


def main() -> None:
    """Until stdin ends."""
    _make_starting_cheap()
    _Local.engines = sys.argv[1]
    engines.Peer = _Local  # type: ignore[attr-defined]
    gc.collect()
    gc.freeze()
    _say(ready=os.getpid())
    text = b""
    while True:
        heard, _, _ = select.select([0], [], [], 0.02)
        if heard:
            more = os.read(0, 65536)
            if not more:
                return
            text += more
        *lines, text = text.split(b"\n")
        for line in lines:
            told = json.loads(line)
            pid = os.fork()
            if pid == 0:
                _operate(told)
            _say(started=told["id"], pid=pid)
        _reap()


def _reap() -> None:
    try:
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            _say(ended=found[0], code=os.waitstatus_to_exitcode(found[1]))
    except ChildProcessError:
        return


if __name__ == "__main__":
    main()
