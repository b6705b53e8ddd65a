"""Broken pods of a former attempt, which some workloads wait for and never replace.

A StatefulSet with OrderedReady does not go on, nor back, before each pod is ready
(kubernetes/kubernetes#67250). The template alone heals nothing there: the broken pod must go.
"""

from belay.api.duration import spoken
from belay.api.words import Reason
from belay.core.decision import DeletePod
from belay.core.evidence.proof import Fault, Why
from belay.core.gates import consents
from belay.core.observed import Observed
from belay.core.workloads import WorkloadView


def unstick(seen: Observed) -> list[DeletePod]:
    """At most one pod of each workload: not ready, of ours, and of no proven revision."""
    found = [_stuck(seen, w) for w in seen.workloads if consents(seen, w)]
    return [action for action in found if action is not None]


def _stuck(seen: Observed, workload: WorkloadView) -> DeletePod | None:
    if any(f.pod.terminating for f in workload.former):
        return None
    stable = seen.status.stable
    proven = (stable.digest, stable.content_digest) if stable is not None else None
    broken = (
        f.pod
        for f in workload.former
        if not f.pod.ready
        and f.carried is not None
        and (f.carried.digest, f.carried.content_digest) != proven
    )
    pod = min(broken, key=lambda p: p.name, default=None)
    return DeletePod(pod.name, pod.uid) if pod is not None else None


def waited_for(seen: Observed, took: float) -> Why | None:
    """A pod that is not ready and not ours to delete, where nothing else stands in the way.

    `took` is in seconds.
    """
    if any(not p.ready for w in seen.workloads for p in w.pods):
        return None
    for workload in seen.workloads:
        for former in workload.former:
            if not former.pod.ready:
                message = (
                    f"not complete after {spoken(took)}: {workload.told} replaces no pod while pod "
                    f"{former.pod.name}, which ran before, is not ready: mend or delete that pod"
                )
                return Why(Fault.UNKNOWN, Reason.INCONCLUSIVE, message)
    return None
