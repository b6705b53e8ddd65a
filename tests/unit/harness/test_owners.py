"""Who runs a cluster is known, and only its own processes are ever killed."""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.harness.lock import Lock
from tests.harness.processes import Processes
from tests.harness.setup import SetupError

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


def test_a_second_caller_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    first, second = Lock(tmp_path / "lock"), Lock(tmp_path / "lock")
    first.take("process 7 (make test)")
    with pytest.raises(SetupError, match=r"process 7 \(make test\).*make cluster-down"):
        second.take("another")
    first.free()
    second.take("another")
    assert first.holder() == "another"
    second.free()
    assert first.holder() is None


def test_what_was_started_is_stopped_also_by_another_process(tmp_path: Path) -> None:
    ours = Processes(tmp_path, owned=True)
    ours.start("sleeper", SLEEP)
    assert ours.alive("sleeper")
    stop = "from tests.harness.processes import *; Processes(Path('.'), owned=True).stop()"
    paths = os.pathsep.join(sys.path)
    subprocess.run(
        [sys.executable, "-c", stop], cwd=tmp_path, env={"PYTHONPATH": paths}, check=True
    )
    assert not ours.alive("sleeper")
    ours.stop()


def test_a_recycled_pid_is_not_killed(tmp_path: Path) -> None:
    with subprocess.Popen(SLEEP) as stranger:
        record = {"pid": stranger.pid, "started": "12345"}
        (tmp_path / "etcd.json").write_text(json.dumps(record))
        Processes(tmp_path, owned=True).stop()
        assert stranger.poll() is None
        stranger.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_children_die_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    owner = (
        "from tests.harness.processes import *; import sys, time;"
        f"Processes(Path(sys.argv[1]), owned=True).start('sleeper', {SLEEP!r});"
        "print('up', flush=True); time.sleep(600)"
    )
    paths = os.pathsep.join(sys.path)
    with subprocess.Popen(
        [sys.executable, "-c", owner, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        pid = json.loads((tmp_path / "sleeper.json").read_text())["pid"]
        watched = os.pidfd_open(pid)
        process.kill()
    ended, _, _ = select.select([watched], [], [], 10)
    os.close(watched)
    assert ended, "the child outlived its owner"


def test_a_component_that_ends_early_is_told_with_its_last_words(tmp_path: Path) -> None:
    ours = Processes(tmp_path, owned=True)
    ours.start("broken", [sys.executable, "-c", "print('no such flag: --frob')"])
    with pytest.raises(SetupError, match=r"broken ended before readiness:\nno such flag: --frob"):
        ours.await_("readiness", "broken", lambda: False)
    ours.stop()
