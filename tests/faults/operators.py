"""Operators as a plan has them: started by a fork, killed, and started anew whenever they end."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness.setup import ROOT

RESTART = 0.1
"""Seconds until an operator that ended by itself comes back."""


class Zygote:
    """The process that forks them."""

    def __init__(self) -> None:
        self._ids = itertools.count()
        self._starting: dict[int, asyncio.Future[int]] = {}
        self._living: dict[int, asyncio.Future[int]] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    async def open(self, engines: str) -> None:
        """`engines` is where those of pods are played."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.faults.zygote",
            engines,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert self._process.stdout is not None
        await self._process.stdout.readline()
        self._reading = asyncio.create_task(self._read(self._process.stdout))

    async def close(self) -> None:
        for pid in list(self._living):
            self.kill(pid)
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()
        if self._reading is not None:
            self._reading.cancel()

    async def fork(self, **told: Any) -> int:
        """Gives the pid."""
        number = next(self._ids)
        future = self._starting[number] = asyncio.get_running_loop().create_future()
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"id": number, **told}).encode() + b"\n")
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            future.add_done_callback(lambda born: self.kill(born.result()))
            raise

    def kill(self, pid: int, number: int = signal.SIGKILL) -> None:
        """Its pid is its own until we have heard that it ended."""
        if pid in self._living and not self._living[pid].done():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    async def ended(self, pid: int) -> int:
        """Its exit code, once it has one."""
        return await asyncio.shield(self._living[pid])

    async def _read(self, stream: asyncio.StreamReader) -> None:
        loop = asyncio.get_running_loop()
        async for line in stream:
            told = json.loads(line)
            if "started" in told:
                self._living[told["pid"]] = loop.create_future()
                self._starting.pop(told["started"]).set_result(told["pid"])
            else:
                self._living[told["ended"]].set_result(told["code"])


@dataclass(slots=True)
class Operator:
    """One operator of one namespace; its process is another one after each end."""

    zygote: Zygote
    kubeconfig: Path
    namespace: str
    log: Path
    lease: str = ""
    """By which it is elected; without, it leads at once."""
    restarts: bool = True
    clock: str = ""
    """A file that says how many seconds its clock is ahead."""
    resync: float = 2.0
    """Seconds between its periodic lists."""
    starts: int = 0
    codes: list[int] = field(default_factory=list)
    _pid: int = 0
    _keeping: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._fork()
        if self.restarts:
            self._keeping = asyncio.create_task(self._keep())

    async def _fork(self) -> None:
        self._pid = await self.zygote.fork(
            kubeconfig=str(self.kubeconfig),
            namespace=self.namespace,
            log=str(self.log),
            lease=self.lease,
            clock=self.clock,
            resync=self.resync,
        )
        self.starts += 1

    async def _keep(self) -> None:
        while True:
            code = await self.zygote.ended(self._pid)
            self.codes.append(code)
            await asyncio.sleep(0 if code == -signal.SIGKILL else RESTART)
            await self._fork()

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.zygote.kill(self._pid, number)

    async def ended(self) -> int:
        """The exit code of a process that is not started anew."""
        return await self.zygote.ended(self._pid)

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeping
        self.kill()
