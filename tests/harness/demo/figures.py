"""The figures at the end: what README quotes."""

import re

from tests.harness.demo.stage import Rolled, Stage
from tests.harness.demo.story import Told, spoken

_READ = "print(open('/proc/1/status').read())"
"""The operator's image has Python, and nothing else that could read a file."""


def show(stage: Stage, told: Told, seconds: float) -> None:
    """Print the table of all that was measured in this run."""
    second, aside, live = (told.steps[name] for name in ("v2", "v3", "v3 live"))
    bare, everything = told.bare, stage.client.since(0)
    rows = [
        (
            "bare rollout restart of the same pods",
            f"{bare:.1f} s; nothing is proven",
        ),
        ("v1 -> v2: patch to Active", f"{_s(second.active)}{_times(second.active, bare)}"),
        ("v1 -> v2: patch to Promoted (window 20 s)", _s(second.ended)),
        ("v3, with preview: patch to verdict", f"{_s(aside.ended)}; v2 never stopped serving"),
        ("v3, without: verdict to Reverted", f"{_s(live.put_back)}{_times(live.put_back, bare)}"),
        ("v3, without: patch to Reverted", f"{_s(live.ended)}{_times(live.ended, bare)}"),
        ("long runs, v1 -> v2", _moved(second)),
        ("long runs, v3 with preview", "not touched"),
        ("long runs, v3 without", _moved(live)),
        ("long runs, all in all", told.account),
        ("requests, v1 -> v2", str(second.requests)),
        ("requests, v3 with preview", str(aside.requests)),
        ("requests, v3 without", f"{live.requests}; failed by v3 itself"),
        ("requests, all in all", str(everything)),
        ("API writes, v1 -> v2", spoken(second.writes)),
        ("API writes, v3 with preview", spoken(aside.writes)),
        ("API writes, v3 without", spoken(live.writes)),
        ("API writes, v4 (same content)", spoken(told.steps["v4"].writes)),
        ("20 re-applies of v3", told.reapplied),
        ("memory of the operator's pod", _memory(stage)),
        ("the whole demo", f"{seconds:.0f} s"),
    ]
    stage.screen.title("Measured in this run")
    stage.screen.table(rows)


def _moved(done: Rolled) -> str:
    """The account of one rollout, as its status has it."""
    words = ("paused", "resumed", "restarted", "lost")
    return ", ".join(f"{done.instances.get(each, 0)} {each}" for each in words)


def _s(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def _times(seconds: float | None, bare: float) -> str:
    return "" if seconds is None else f" ({seconds / bare:.1f} x bare)"


def _memory(stage: Stage) -> str:
    """What the operator's process holds now and held at most."""
    where = ("-n", stage.operator.home, f"deployment/{stage.operator.deployment}")
    status = stage.cluster.kubectl("exec", *where, "--", "python3", "-c", _READ)
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status, re.MULTILINE))
    return f"{int(found['VmRSS']) / 1024:.0f} MiB RSS, {int(found['VmHWM']) / 1024:.0f} MiB at most"
