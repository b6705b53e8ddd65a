"""Why a pod does not get on: kubelet tells mount trouble in events only."""

from dataclasses import replace
from typing import Final

from belay.api.words import Reason
from belay.core.pods import Pod
from belay.shell.cluster import Object
from belay.shell.resources import CORE_EVENTS
from belay.shell.turn import Turn

_OF_MOUNTS: Final = ("FailedMount", "FailedAttachVolume", "FailedMapVolume")


async def explained(turn: Turn, pod: Pod) -> Pod:
    """The pod, with the newest warning about it where it waits for what it mounts."""
    trouble = pod.trouble
    if trouble is None or trouble.reason is not Reason.ENVIRONMENT_MOUNT:
        return pod
    fields = f"involvedObject.uid={pod.uid},type=Warning"
    events = await turn.cluster.list(CORE_EVENTS, turn.key.namespace, fields=fields)
    if not events:
        return pod
    newest = max(events, key=_telling)
    message = f"{newest.get('reason')}: {newest.get('message')}"
    return replace(pod, trouble=replace(trouble, message=message[:512]))


def _telling(event: Object) -> tuple[bool, str]:
    """What is about mounts first, then the newest."""
    at = str(event.get("lastTimestamp") or event.get("eventTime") or "")
    return event.get("reason") in _OF_MOUNTS, at
