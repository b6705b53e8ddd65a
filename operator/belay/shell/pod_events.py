"""Why a pod does not get on: kubelet tells mount trouble in events only."""

from dataclasses import replace

from belay.api.words import Reason
from belay.core.pods import Pod
from belay.shell.resources import CORE_EVENTS
from belay.shell.turn import Turn


async def explained(turn: Turn, pod: Pod) -> Pod:
    """The pod, with the newest warning about it where it waits for what it mounts."""
    trouble = pod.trouble
    if trouble is None or trouble.reason is not Reason.ENVIRONMENT_MOUNT:
        return pod
    fields = f"involvedObject.uid={pod.uid},type=Warning"
    events = await turn.cluster.list(CORE_EVENTS, turn.key.namespace, fields=fields)
    if not events:
        return pod
    newest = max(events, key=lambda e: str(e.get("lastTimestamp") or e.get("eventTime") or ""))
    message = f"{newest.get('reason')}: {newest.get('message')}"
    return replace(pod, trouble=replace(trouble, message=message[:512]))
