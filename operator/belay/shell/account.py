"""One ConfigMap for each rollout with instances: what was done with each of them."""

import logging
from collections.abc import Iterable

from belay.api.names import LABEL_RECORD_OF
from belay.core.decision import AccountFor
from belay.core.delivery import owned_by_workflow
from belay.shell.cluster import Object
from belay.shell.errors import ApiError, Unavailable
from belay.shell.packed import pack, unpack
from belay.shell.resources import CONFIG_MAPS
from belay.shell.turn import Turn

log = logging.getLogger(__name__)


async def keep(turn: Turn, action: AccountFor) -> None:
    """Write it, and drop those whose rollout has left the history.

    A refusal, such as by a quota, holds no rollout up.
    """
    namespace = turn.key.namespace
    manager = f"belay-account-{action.stage}"
    try:
        if not _is_told(await turn.get(CONFIG_MAPS, action.name), action):
            body = _body(namespace, action)
            turn.put(
                CONFIG_MAPS,
                await turn.cluster.apply(CONFIG_MAPS, body, manager=manager, force=True),
            )
        labels = f"{LABEL_RECORD_OF}={action.workflow}"
        known, _ = await turn.cluster.list_metadata(CONFIG_MAPS, namespace, labels=labels)
        for old in known:
            metadata = old["metadata"]
            if metadata["name"] not in action.kept:
                await turn.cluster.delete(
                    CONFIG_MAPS, namespace, metadata["name"], uid=metadata["uid"]
                )
    except Unavailable:
        raise
    except ApiError as error:
        log.warning("no account of instances: %s", error, extra={"workflow": str(turn.key)})


def _is_told(there: Object | None, action: AccountFor) -> bool:
    """Whether an operator that died since has kept this account already, whenever that was."""
    packed = ((there or {}).get("binaryData") or {}).get(f"{action.stage}.json.gz")
    if packed is None:
        return False
    try:
        return _timeless(unpack(packed)) == _timeless(action.lines)
    except (ValueError, TypeError, AttributeError):
        return False


def _timeless(lines: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    return [{name: value for name, value in line.items() if name != "at"} for line in lines]


def _body(namespace: str, action: AccountFor) -> Object:
    metadata = {
        "name": action.name,
        "namespace": namespace,
        "labels": {LABEL_RECORD_OF: action.workflow},
        "ownerReferences": [owned_by_workflow(action.workflow, action.uid)],
    }
    data = {f"{action.stage}.json.gz": pack(list(action.lines))}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "binaryData": data}
