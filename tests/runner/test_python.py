"""The Python that the engine leaks on, and the one process that serves it."""

import os
import subprocess
from pathlib import Path

import pytest
from tests.runner import dsl
from tests.runner.process import Runner

from belay_runner.main import refusal


@pytest.mark.parametrize(
    ("version", "fits"),
    [
        ((3, 11, 9), False),
        ((3, 12, 0), True),
        ((3, 12, 1), True),
        ((3, 13, 0), False),
        ((3, 13, 2), False),
        ((3, 13, 3), True),
        ((3, 13, 5), True),
    ],
)
def test_a_python_that_leaks_with_every_run_is_refused(
    version: tuple[int, int, int], fits: bool
) -> None:
    assert (refusal(version) is None) is fits


def test_the_process_ends_at_once_on_such_a_python() -> None:
    """This very interpreter is too old, or one is made so."""
    told = "import sys; sys.version_info = (3, 13, 0); from belay_runner.main import main; main()"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": "operator"}
    done = subprocess.run(
        ["python3", "-c", told], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert "Python 3.13.0 leaks memory with every run" in done.stderr


def test_memory_does_not_grow_with_runs(runner: Runner) -> None:
    """What T1 is about: an engine that is kept alive is about 40 KB."""
    template = dsl.template("t", "{{x}}", x=["start", "x"])
    runner.take(dsl.app(dsl.start(dsl.text("x")), template, dsl.end(told=["t", "output"])))

    def kept() -> int:
        status = Path(f"/proc/{runner.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    for _ in range(50):
        runner.run(x="warm")
    before = kept()
    for _ in range(150):
        runner.run(x="again")
    assert kept() - before < 150 * 20


def test_one_process_serves_both_ports_and_keeps_all_runs(runner: Runner) -> None:
    """The registry would be split between two processes."""
    children = f"/proc/{runner.process.pid}/task/{runner.process.pid}/children"
    assert Path(children).read_text() == ""
