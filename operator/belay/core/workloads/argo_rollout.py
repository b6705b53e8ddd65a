"""Argo Rollout (argoproj.io/v1alpha1). Its own steps, analysis and aborts are respected.

Completion as `kubectl argo rollouts status` tells it: argo-rollouts utils/rollout/rolloututil.go.
"""

import re
from typing import Any, Final

from belay.api.words import Reason
from belay.core.pods import Trouble
from belay.core.workloads.base import Cause, Completion, GaveUp, Kind
from belay.core.workloads.history import replica_sets
from belay.core.workloads.raw import Raw, count, replicas

OPTION: Final = "rollouts.argoproj.io"
REVISION_ANNOTATION: Final = "rollout.argoproj.io/revision"
HASH_LABEL: Final = "rollouts-pod-template-hash"
_ABORTED: Final = re.compile(r"Rollout aborted update to revision \d+(?:: (?P<why>.+))?", re.DOTALL)


def template(raw: Raw) -> Raw:
    """With spec.workloadRef there is none; and its CRD takes anything for a list of volumes."""
    found: Raw = raw["spec"].get("template") or {}
    spec: Raw = found.get("spec") or {"containers": []}
    if _has_volumes(spec):
        return {**found, "spec": spec}
    return {**found, "spec": {k: v for k, v in spec.items() if k != "volumes"}}


def completion(raw: Raw) -> Completion:
    status = raw.get("status") or {}
    desired, updated = replicas(raw), count(status, "updatedReplicas")
    available, total = count(status, "availableReplicas"), count(status, "replicas")
    seen = _is_seen(raw)
    promoted = bool(status.get("stableRS")) and status["stableRS"] == status.get("currentPodHash")
    done = seen and promoted and status.get("phase") == "Healthy"
    done = done and updated >= desired and available >= updated
    new = max(available - (total - updated), 0)
    if not seen:
        return Completion(done, desired, updated, new)
    return Completion(
        done, desired, updated, new, _trouble(raw), gave_up=_gave_up(raw), pause=_pause(raw)
    )


def unsupported(raw: Raw) -> str | None:
    spec = raw["spec"]
    if spec.get("workloadRef"):
        referred = f"{spec['workloadRef'].get('kind')} {spec['workloadRef'].get('name')}"
        return (
            f"takes its pod template from {referred} by spec.workloadRef, where nothing can be "
            "delivered: put the template into spec.template"
        )
    if not _has_volumes(spec["template"]["spec"]):
        return "has no list of named volumes in spec.template.spec.volumes: correct it"
    if spec.get("paused"):
        return f"is paused by spec.paused; its owner runs: {_promote(raw)}"
    invalid = _condition(raw, "InvalidSpec") if _is_seen(raw) else None
    if invalid is not None:
        return f"is not valid, says its own controller: {invalid.get('message')}"
    return None


def keeps_live_template(raw: Raw, replica_set: Raw) -> bool:
    """By the hash that its controller gave both: a ReplicaSet's template has defaults besides."""
    labels = replica_set["metadata"].get("labels") or {}
    current = (raw.get("status") or {}).get("currentPodHash")
    return _is_seen(raw) and bool(current) and labels.get(HASH_LABEL) == current


def _has_volumes(spec: Raw) -> bool:
    volumes = spec.get("volumes") or []
    return isinstance(volumes, list) and all(
        isinstance(v, dict) and isinstance(v.get("name"), str) for v in volumes
    )


def _is_seen(raw: Raw) -> bool:
    """Its controller writes observedGeneration as a string, which was a hash before v0.10."""
    observed = str((raw.get("status") or {}).get("observedGeneration") or "")
    return observed.isdigit() and int(observed) >= int(raw["metadata"]["generation"])


def _gave_up(raw: Raw) -> GaveUp | None:
    """An abort: by its own analysis, for lack of progress, or by a person, who says nothing."""
    if not (raw.get("status") or {}).get("abort"):
        return None
    progressing = _condition(raw, "Progressing") or {}
    told = _ABORTED.search(str(progressing.get("message") or ""))
    why = (told["why"] or "") if told else ""
    if not why:
        return GaveUp(Cause.PERSON, "somebody aborted it by Argo Rollouts")
    if "has timed out progressing" in why:
        return GaveUp(Cause.TIME, f"Argo Rollouts aborted it: {why}")
    cause = Cause.NO_EVIDENCE if "assessed Error" in why else Cause.EVIDENCE
    return GaveUp(cause, f"Argo Rollouts aborted it: {why}")


def _pause(raw: Raw) -> str:
    """What it waits for that a person has to say; a pause with a duration ends by itself."""
    status = raw.get("status") or {}
    reasons = [str(p["reason"]) for p in status.get("pauseConditions") or []]
    if not reasons or _ends_by_itself(raw, reasons):
        return ""
    return f"pauses ({', '.join(reasons)}) until somebody runs: {_promote(raw)}"


def _promote(raw: Raw) -> str:
    metadata = raw["metadata"]
    return f"kubectl argo rollouts -n {metadata.get('namespace')} promote {metadata['name']}"


def _ends_by_itself(raw: Raw, reasons: list[str]) -> bool:
    strategy = raw["spec"].get("strategy") or {}
    if reasons == ["BlueGreenPause"]:
        return bool((strategy.get("blueGreen") or {}).get("autoPromotionSeconds"))
    steps: list[Any] = (strategy.get("canary") or {}).get("steps") or []
    at = count(raw["status"], "currentStepIndex")
    pause = (steps[at].get("pause") or {}) if at < len(steps) else {}
    return reasons == ["CanaryPauseStep"] and "duration" in pause


def _trouble(raw: Raw) -> Trouble | None:
    invalid = _condition(raw, "InvalidSpec")
    if invalid is not None:
        message = str(invalid.get("message"))
        return Trouble(Reason.ENVIRONMENT_CONFIGURATION, message, hopeless=False)
    failure = _condition(raw, "ReplicaFailure")
    if failure is None:
        return None
    message = str(failure.get("message") or failure.get("reason") or "no pods are made")
    quota = "quota" in message
    reason = Reason.ENVIRONMENT_QUOTA if quota else Reason.ENVIRONMENT_FORBIDDEN
    return Trouble(reason, message, hopeless=False)


def _condition(raw: Raw, kind: str) -> Raw | None:
    conditions = (raw.get("status") or {}).get("conditions") or []
    if kind == "Progressing":
        return next((c for c in conditions if c["type"] == kind), None)
    return next((c for c in conditions if c["type"] == kind and c["status"] == "True"), None)


ARGO_ROLLOUT: Final = Kind(
    api_version="argoproj.io/v1alpha1",
    kind="Rollout",
    template=template,
    history=replica_sets(REVISION_ANNOTATION),
    completion=completion,
    unsupported=unsupported,
    keeps=keeps_live_template,
    is_patched=True,
    option=OPTION,
)
