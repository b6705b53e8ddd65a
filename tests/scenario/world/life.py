"""How pods live, by the content that they got: pure functions of a pod's age."""

import math
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
_BACK_OFF = 1.0
"""Seconds that kubelet waits before it starts a container again."""


@dataclass(frozen=True, slots=True)
class Life:
    """What becomes of a pod. Times are in seconds."""

    starts: float = 0.4
    """Age at which its container runs."""
    ready_after: float | None = 0.5
    """Time from the start until it is ready; None: never."""
    crashes_after: float | None = None
    """Time from each start until the container ends with exit code 1."""
    waits: tuple[str, str] | None = None
    """Why kubelet cannot start it: reason and message."""
    no_room: str = ""
    """Why the scheduler finds no node for it."""
    wrong_after: float | None = None
    """Time from readiness after which it answers wrong; None: never."""
    only_in: str = ""
    """Name of the only workload in which its pods live like this; empty: anywhere."""
    silent: bool = False
    """It takes connections and never answers."""
    taken_up_after: float | None = 0.01
    """Time until a process that is updated in place runs it; None: never."""


@dataclass(frozen=True, slots=True)
class Look:
    """A pod at one moment."""

    state: Object
    """The container's state."""
    restarts: int = 0
    crashed: bool = False
    ready: bool = False
    changes_at: float | None = None
    """Age at which it will look different."""

    @property
    def runs(self) -> bool:
        return "running" in self.state


def look_at(life: Life, age: float) -> Look:
    """What kubelet sees of a pod of this age."""
    if life.waits is not None:
        reason, message = life.waits
        return Look({"waiting": {"reason": reason, "message": message}})
    if age < life.starts:
        return Look({"waiting": {"reason": "ContainerCreating"}}, changes_at=life.starts)
    since = age - life.starts
    if life.crashes_after is None:
        return _running(life, since, life.starts, 0)
    turn = life.crashes_after + _BACK_OFF
    restarts = math.floor(since / turn + 1e-9)
    began = life.starts + restarts * turn
    if age - began < life.crashes_after - 1e-9:
        look = _running(life, age - began, began, restarts)
        crash = began + life.crashes_after
        return Look(
            look.state, restarts, restarts > 0, look.ready, min(look.changes_at or crash, crash)
        )
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    return Look(waiting, restarts, crashed=True, changes_at=began + turn)


def _running(life: Life, since: float, began: float, restarts: int) -> Look:
    ready = life.ready_after is not None and since >= life.ready_after - 1e-9
    turns_ready = None if ready or life.ready_after is None else began + life.ready_after
    return Look({"running": {}}, restarts, ready=ready, changes_at=turns_ready)


def status_of(look: Look, life: Life, address: str) -> Object:
    """`status` of a pod that looks like this."""
    if life.no_room:
        no = {"type": "PodScheduled", "status": "False", "message": life.no_room}
        return {"phase": "Pending", "conditions": [no]}
    last = {"terminated": {"exitCode": 1, "reason": "Error"}} if look.crashed else {}
    container = {
        "name": "app",
        "ready": look.ready,
        "restartCount": look.restarts,
        "state": look.state,
        "lastState": last,
    }
    return {
        "phase": "Running" if look.runs or look.crashed else "Pending",
        "conditions": [
            {"type": "PodScheduled", "status": "True"},
            {"type": "Ready", "status": str(look.ready)},
        ],
        "containerStatuses": [container],
        **({"podIP": address} if look.runs or look.crashed else {}),
    }
