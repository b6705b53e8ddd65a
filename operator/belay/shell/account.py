"""One ConfigMap for each rollout with instances: what was done with each of them."""

import logging
from collections.abc import Iterable

from belay.api.names import LABEL_RECORD_OF
from belay.core.decision import AccountFor
from belay.core.delivery import owned_by_workflow
from belay.shell.cluster import Cluster
from belay.shell.errors import AlreadyExists, ApiError, Conflict, Unavailable
from belay.shell.packed import pack, unpack
from belay.shell.resources import CONFIG_MAPS, Object
from belay.shell.turn import Turn

log = logging.getLogger(__name__)


async def keep(turn: Turn, action: AccountFor) -> None:
    """Write it, and drop those whose rollout has left the history.

    A refusal, such as by a quota, holds no rollout up. Raises `Conflict` where another has written
    since it was read.
    """
    namespace = turn.key.namespace
    try:
        there = await turn.get(CONFIG_MAPS, action.name)
        if not _is_told(there, action):
            turn.put(CONFIG_MAPS, await _write(turn.cluster, there, action, namespace))
        labels = f"{LABEL_RECORD_OF}={action.workflow}"
        known, _ = await turn.cluster.list_metadata(CONFIG_MAPS, namespace, labels=labels)
        for old in known:
            metadata = old["metadata"]
            if metadata["name"] not in action.kept:
                await turn.cluster.delete(
                    CONFIG_MAPS, namespace, metadata["name"], uid=metadata["uid"]
                )
    except AlreadyExists as error:
        raise Conflict(error.code, error.reason, error.message) from error
    except (Conflict, Unavailable):
        raise
    except ApiError as error:
        log.warning("no account of instances: %s", error, extra={"workflow": str(turn.key)})


async def _write(
    cluster: Cluster, there: Object | None, action: AccountFor, namespace: str
) -> Object:
    """On the very object that was read: the late call of an operator that died is refused."""
    body = _body(namespace, action)
    if there is None:
        return await cluster.create(CONFIG_MAPS, namespace, body)
    body["metadata"] |= {name: there["metadata"][name] for name in ("uid", "resourceVersion")}
    manager = f"belay-account-{action.stage}"
    return await cluster.apply(CONFIG_MAPS, body, manager=manager, force=True)


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
