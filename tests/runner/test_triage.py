"""The triage of deploy/samples, served by the runner as the demo does it."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.harness.demo import story
from tests.harness.demo.runs import LONG, SHORT
from tests.harness.network import free_ports
from tests.runner.process import Runner, eventually, running
from tests.samples import TRIAGE

BILLING = "I was charged twice for one invoice"


@pytest.fixture(scope="module")
def triage(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    """A runner that finds the sample's own classifier by its environment."""
    folder, (port,) = tmp_path_factory.mktemp("triage"), free_ports(1)
    (folder / "env").mkdir()
    (folder / "env/CLASSIFIER").write_text(f"127.0.0.1:{port}")
    options = ("--env-folder", str(folder / "env"), "--http-allow", "127.0.0.1/32")
    command = [sys.executable, "-I", str(TRIAGE / "classifier.py")]
    with subprocess.Popen(command, env={**os.environ, "PORT": str(port)}) as classifier:
        try:
            eventually("the classifier", lambda: _answers(port))
            with running(python, folder, *options) as found:
                yield found
        finally:
            classifier.kill()


def _answers(port: int) -> bool:
    try:
        with closing(urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=1)):
            return True
    except OSError:
        return False


def take(runner: Runner, revision: str) -> None:
    runner.take((TRIAGE / f"{revision}.yml").read_text())


@pytest.mark.parametrize("revision", ["v1", "v2", "v4"])
@pytest.mark.parametrize(
    ("ticket", "queue"), [(BILLING, "billing"), ("The site is down", "outage"), ("Hi", "other")]
)
def test_a_good_revision_answers_every_ticket(
    triage: Runner, revision: str, ticket: str, queue: str
) -> None:
    take(triage, revision)
    data = triage.run(ticket=ticket)
    assert (data["status"], data["outputs"]["queue"]) == ("succeeded", queue)
    assert data["outputs"]["reply"].endswith(ticket)


def test_the_broken_revision_is_built_and_fails_where_its_template_is_reached(
    triage: Runner,
) -> None:
    take(triage, "v3")
    data = triage.run(ticket=BILLING)
    assert f"{data['status']}: {data['error']}" == story.BY_V3
    assert triage.run(ticket="Hi")["status"] == "succeeded"


def test_a_long_ticket_is_paused_behind_its_slow_call_and_goes_on_as_if_nothing_was(
    triage: Runner,
) -> None:
    take(triage, "v1")
    undisturbed = triage.run(ticket=SHORT)["outputs"]
    ticket = SHORT.ljust(LONG, ".")
    run = triage.begin({"ticket": ticket})
    triage.at(run, "classify")
    assert run in triage.pause_all()["requested"]
    assert triage.paused(run)["nodesDone"] == len(("start", "classify"))
    assert triage.resume(id=run).status_code == 202
    outputs = triage.ended(run)["outputs"]
    assert outputs == {k: v.replace(SHORT, ticket) for k, v in undisturbed.items()}
