"""The reference runner against Dify's engine by itself, in turns: throughput, time, memory."""

import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.harness import runner_python
from tests.runner import dsl
from tests.runner.process import Runner, running
from tests.runner.server import Server

_BARE = Path(__file__).parent / "bare.py"
_ROUNDS = 5
_MIB = 1024 * 1024
_TEXT = dsl.app(
    dsl.start(dsl.text("name")),
    dsl.template("hello", "Hello {{ name }}", name=["start", "name"]),
    dsl.template("more", "{{ hello }}, and welcome", hello=["hello", "output"]),
    dsl.end(told=["more", "output"]),
)
_INPUTS, _WANTED = {"name": "Ada"}, "Hello Ada, and welcome"


@dataclass(slots=True)
class Measured:
    """All rounds of one way to run."""

    what: str
    at_once: int
    each: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Seconds of processor time for each run."""

    def add(self, each: list[float], seconds: float, cpu: float) -> None:
        self.each += each
        self.rates.append(len(each) / seconds)
        self.cpu.append(cpu / len(each))

    def __str__(self) -> str:
        p50, p99 = (statistics.quantiles(self.each, n=100)[n] * 1000 for n in (49, 98))
        cpu = statistics.median(self.cpu) * 1000
        rate = statistics.median(self.rates)
        return f"{self.what:34}{rate:8.0f}{p50:10.1f}{p99:10.1f}{cpu:12.1f}"


class Bare:
    """The engine in a process of its own."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.rss = self._told()["rss"]

    def run(self, measured: Measured, runs: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{measured.at_once} {runs}\n")
        self._process.stdin.flush()
        told = self._told()
        measured.add(told["each"], told["seconds"], told["cpu"])
        self.rss = told["rss"]

    def _told(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        return dict(json.loads(self._process.stdout.readline()))


def measure(runs: int) -> None:
    """Measure with so many runs in each of five rounds, and print what came out."""
    python = runner_python.python()
    ways = [Measured(f"{who}, {n} at once", n) for who in ("engine", "runner") for n in (1, 4)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(Server())
        options = ("--http-allow", "127.0.0.1/32", "--max-runs", "128")
        runner = stack.enter_context(running(python, folder, *options))
        command = [str(python), str(_BARE), _TEXT, json.dumps(_INPUTS), _WANTED]
        process = stack.enter_context(
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        bare, empty = Bare(process), _rss(runner)
        before = bare.rss
        runner.take(_TEXT)
        for _ in range(_ROUNDS):
            for way in ways:
                if way.what.startswith("engine"):
                    bare.run(way, runs)
                else:
                    _served(runner, way, runs)
        used, flying = _rss(runner), _in_flight(runner, server)
        process.stdin.close()  # type: ignore[union-attr]
    print(f"\n{'':34}{'runs/s':>8}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms/run':>12}")
    for way in ways:
        print(way)
    count = 2 * _ROUNDS * runs
    print(f"\nMiB: engine {before / _MIB:.0f}, after {count} runs {bare.rss / _MIB:.0f}; runner "
          f"{empty / _MIB:.0f}, after {count} runs, 1000 of which can be asked for, "
          f"{used / _MIB:.0f}, with 50 more in flight {flying / _MIB:.0f}")  # fmt: skip


def _served(runner: Runner, way: Measured, runs: int) -> None:
    body = {"inputs": _INPUTS, "response_mode": "blocking"}

    def one(_: int) -> float:
        began = time.monotonic()
        answer = runner.data.post("/v1/workflows/run", json=body)
        assert _WANTED in answer.text, answer.text
        return time.monotonic() - began

    cpu, began = _cpu(runner), time.monotonic()
    with ThreadPoolExecutor(way.at_once) as pool:
        each = list(pool.map(one, range(runs)))
    way.add(each, time.monotonic() - began, _cpu(runner) - cpu)


def _in_flight(runner: Runner, server: Server) -> int:
    """Resident bytes while 50 runs wait for an answer."""
    runner.take(dsl.app(dsl.start(), dsl.call("held", f"{server.url}/gate/held"), dsl.end()))
    runs = [runner.begin() for _ in range(50)]
    server.arrived("held", 50)
    found = _rss(runner)
    server.open("held")
    for run in runs:
        assert runner.ended(run)["status"] == "succeeded"
    return found


def _rss(runner: Runner) -> int:
    pages = Path(f"/proc/{runner.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _cpu(runner: Runner) -> float:
    """User and system seconds."""
    told = Path(f"/proc/{runner.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(told[11]) + int(told[12])) / os.sysconf("SC_CLK_TCK")
