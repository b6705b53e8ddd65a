"""What a state of a Workflow means to Argo CD, kstatus and `kubectl wait`: from its outcome.

Their own rules go by conditions; this goes by the phase and the outcome, which those tools do not
read. So each tells whether the other is right.
"""

from dataclasses import dataclass

from tests.kstatus import Kstatus
from tests.scenario.shapes import Object

from belay.api.words import Outcome, Phase

_MOVING = frozenset(Phase) - {Phase.SUSPENDED}
_AT_FAULT = frozenset(Outcome) - {Outcome.PROMOTED, Outcome.SUPERSEDED}


@dataclass(frozen=True, slots=True)
class Meant:
    """What others should make of a state."""

    health: str
    kstatus: Kstatus
    message: str = ""
    """A part of what Argo CD shows."""
    proven: bool = False
    """`kubectl wait --for=condition=Ready` ends."""
    abortable: bool = False


def read(workflow: Object) -> Meant:
    """What this state means. Raises where the words of Belay are not known here."""
    status, suspended = workflow.get("status") or {}, workflow["spec"].get("suspend")
    rollout = status.get("rollout") or {"outcome": "none"}
    moving = "outcome" not in rollout
    abortable = moving and rollout["phase"] != Phase.REVERTING and not suspended
    if status.get("observedGeneration") != workflow["metadata"]["generation"]:
        looked = "Belay has not looked at"
        return Meant("Progressing", Kstatus.IN_PROGRESS, looked, abortable=abortable)
    phase, said = status["phase"], {c["type"]: c for c in status["conditions"]}
    drifted = said.get("Drifted")
    if phase in _AT_FAULT:
        return Meant("Degraded", Kstatus.FAILED, said["Ready"]["message"])
    if phase == Phase.SUSPENDED:
        return Meant("Suspended", Kstatus.IN_PROGRESS, "by spec.suspend")
    if phase in _MOVING:
        return Meant("Progressing", Kstatus.IN_PROGRESS, abortable=abortable)
    assert phase == Outcome.PROMOTED
    if drifted is not None and "Reconciling" in said:
        return Meant("Progressing", Kstatus.IN_PROGRESS, drifted["message"])
    if drifted is not None:
        return Meant("Degraded", Kstatus.FAILED, drifted["message"])
    if said["Serving"]["status"] == "False":
        return Meant("Degraded", Kstatus.CURRENT, said["Serving"]["message"], proven=True)
    return Meant("Healthy", Kstatus.CURRENT, f"{said['Ready']['reason']}: ", proven=True)
