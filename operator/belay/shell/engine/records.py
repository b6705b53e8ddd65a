"""The record of a pause: what is known of each run, in a ConfigMap of the Workflow."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from belay.api.names import LABEL_BACKUP, LABEL_BACKUP_OF, MANAGER_PAUSE
from belay.core.engine.names import label_of
from belay.core.engine.view import Entry, Fate, Record
from belay.core.keys import Key
from belay.shell.cluster import Cluster
from belay.shell.errors import AlreadyExists, Conflict
from belay.shell.packed import pack, unpack
from belay.shell.resources import CONFIG_MAPS, Object
from belay.shell.turn import Turn

_DATA: Final = "runs"


class BadRecord(ValueError):
    """The record was damaged by another hand."""


async def read(turn: Turn, name: str) -> tuple[Record | None, dict[str, str]]:
    """The record, None where there is none, and its uid and resourceVersion.

    Raises `BadRecord`.
    """
    raw = await turn.get(CONFIG_MAPS, name)
    if raw is None:
        return None, {}
    try:
        told = unpack((raw.get("binaryData") or {})[_DATA])
        found = {run: Entry(**{**one, "fate": Fate(one["fate"])}) for run, one in told.items()}
    except (KeyError, TypeError, ValueError) as error:
        message = f"ConfigMap {name}, which tells what was done with runs, cannot be read"
        raise BadRecord(f"{message}: delete it, and those runs are not waited for") from error
    return found, _at(raw)


async def write(
    turn: Turn, key: Key, name: str, record: Mapping[str, Entry], at: Mapping[str, str]
) -> dict[str, str]:
    """The whole record, on what was read: the late call of an operator that died is refused.

    Gives its new uid and resourceVersion. Raises `ApiError`.
    """
    body = _body(key, name, record)
    if at:
        body["metadata"] |= at
        answer = await turn.cluster.apply(CONFIG_MAPS, body, manager=MANAGER_PAUSE, force=True)
    else:
        answer = await _create(turn.cluster, body)
    turn.put(CONFIG_MAPS, answer)
    return _at(answer)


async def _create(cluster: Cluster, body: Object) -> Object:
    try:
        return await cluster.create(CONFIG_MAPS, body["metadata"]["namespace"], body)
    except AlreadyExists as error:
        raise Conflict(error.code, error.reason, error.message) from error


def _at(raw: Object) -> dict[str, str]:
    return {name: str(raw["metadata"][name]) for name in ("uid", "resourceVersion")}


def _body(key: Key, name: str, record: Mapping[str, Entry]) -> Object:
    """It has no owner: as the backup, it outlives a Workflow that is deleted in mid-rollout."""
    plain = {run: {k: v for k, v in asdict(one).items() if v} for run, one in record.items()}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": key.namespace,
        "labels": {LABEL_BACKUP_OF: key.name, LABEL_BACKUP: label_of(key.name, name)},
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "binaryData": {_DATA: pack(plain)},
    }
