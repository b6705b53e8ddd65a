"""What is told in events only: why a pod does not get on, and why a workload makes none."""

from dataclasses import replace
from typing import Final

from belay.api.words import Reason
from belay.core.pods import Pod, no_pods_made
from belay.core.workloads import WorkloadView
from belay.shell.resources import CORE_EVENTS, Object
from belay.shell.turn import Turn

_OF_MOUNTS: Final = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")


async def explained(turn: Turn, pod: Pod) -> Pod:
    """The pod, with the newest warning about it where it waits for what it mounts."""
    trouble = pod.trouble
    if trouble is None or trouble.reason is not Reason.ENVIRONMENT_MOUNT:
        return pod
    events = await _warnings(turn, pod.uid)
    if not events:
        return pod
    newest = max(events, key=_telling)
    message = f"{newest.get('reason')}: {newest.get('message')}"
    return replace(pod, trouble=replace(trouble, message=message[:512]))


async def with_trouble(turn: Turn, workload: WorkloadView, pods: int) -> WorkloadView:
    """The workload, with the newest reason why it makes no pod where it has too few `pods`."""
    if workload.kind.tells_why or pods >= workload.completion.desired:
        return workload
    events = await _warnings(turn, workload.uid)
    failed = [e for e in events if e.get("reason") == "FailedCreate"]
    if not failed:
        return workload
    trouble = no_pods_made(str(max(failed, key=_telling).get("message"))[:512])
    return replace(workload, completion=replace(workload.completion, trouble=trouble))


async def _warnings(turn: Turn, uid: str) -> list[Object]:
    fields = f"involvedObject.uid={uid},type=Warning"
    return await turn.cluster.list(CORE_EVENTS, turn.key.namespace, fields=fields)


def _telling(event: Object) -> tuple[bool, str]:
    """What is about mounts first, then the newest."""
    at = str(event.get("lastTimestamp") or event.get("eventTime") or "")
    return event.get("reason") in _OF_MOUNTS, at
