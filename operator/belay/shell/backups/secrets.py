"""Backups in Secrets of the Workflow's own namespace, through a Role that the tenant grants.

The operator has no right to Secrets of its own. What is stored is encrypted at rest where the
cluster does that for Secrets.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from belay.api.names import BACKUP_SECRET_TYPE, LABEL_BACKUP, LABEL_BACKUP_OF
from belay.core.engine.names import label_of, named_by
from belay.core.keys import Key
from belay.shell.backups.store import INDEX, StoreError
from belay.shell.cluster import Cluster
from belay.shell.errors import AlreadyExists, ApiError, Forbidden, NotFound, Unavailable
from belay.shell.resources import SECRETS

ROLE_SAMPLE: Final = "deploy/samples/backup-role.yaml"
_DATA: Final = "part"


@dataclass(frozen=True, slots=True)
class SecretStore:
    """One immutable Secret for each part."""

    cluster: Cluster

    async def put(self, key: Key, backup: str, part: str, data: bytes) -> None:
        name = _name(backup, part)
        try:
            await self.cluster.create(SECRETS, key.namespace, _body(key, backup, name, data))
        except AlreadyExists:
            if await self.get(key, backup, part) != data:
                raise StoreError(
                    f"Secret {name} is there, and holds something else: delete it, if nobody "
                    "needs it"
                ) from None
        except ApiError as error:
            raise _told(error, key, f"Secret {name} could not be made") from error

    async def get(self, key: Key, backup: str, part: str) -> bytes | None:
        name = _name(backup, part)
        try:
            raw = await self.cluster.get(SECRETS, key.namespace, name)
        except NotFound:
            return None
        except ApiError as error:
            raise _told(error, key, f"Secret {name} could not be read") from error
        if raw.get("type") != BACKUP_SECRET_TYPE:
            raise StoreError(f"Secret {name} is no backup: its type is {raw.get('type')}")
        try:
            return base64.b64decode((raw.get("data") or {})[_DATA], validate=True)
        except (KeyError, binascii.Error) as error:
            raise StoreError(f"Secret {name} is damaged") from error

    async def names(self, key: Key) -> Sequence[str]:
        found = await self._listed(key, f"{LABEL_BACKUP_OF}={key.name}")
        labels = {raw["metadata"]["labels"][LABEL_BACKUP] for raw in found}
        return sorted(named_by(key.name, label) for label in labels)

    async def delete(self, key: Key, backup: str) -> None:
        label = f"{LABEL_BACKUP}={label_of(key.name, backup)}"
        found = await self._listed(key, f"{LABEL_BACKUP_OF}={key.name},{label}")
        index = _name(backup, INDEX)
        parts = [(raw["metadata"]["name"], raw["metadata"]["uid"]) for raw in found]
        for name, uid in sorted(parts, key=lambda p: p[0] != index):
            try:
                await self.cluster.delete(SECRETS, key.namespace, name, uid=uid)
            except NotFound:
                continue
            except ApiError as error:
                raise _told(error, key, f"Secret {name} could not be deleted") from error

    async def _listed(self, key: Key, labels: str) -> list[dict[str, Any]]:
        try:
            found, _ = await self.cluster.list_metadata(SECRETS, key.namespace, labels=labels)
        except ApiError as error:
            raise _told(error, key, "the Secrets of backups could not be listed") from error
        return found


def _name(backup: str, part: str) -> str:
    return f"{backup}-{part}"


def _body(key: Key, backup: str, name: str, data: bytes) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": BACKUP_SECRET_TYPE,
        "immutable": True,
        "metadata": {
            "name": name,
            "namespace": key.namespace,
            "labels": {LABEL_BACKUP_OF: key.name, LABEL_BACKUP: label_of(key.name, backup)},
        },
        "data": {_DATA: base64.b64encode(data).decode()},
    }


def _told(error: ApiError, key: Key, what: str) -> StoreError:
    if isinstance(error, Forbidden) and "exceeded quota" not in error.message:
        return StoreError(
            f"{what}: Belay may not. Who owns the namespace grants it: "
            f"kubectl apply --namespace {key.namespace} --filename {ROLE_SAMPLE}"
        )
    answer = f": {error.message[:200]}" if error.code else ": the API server gave no answer"
    return StoreError(what + answer, passing=isinstance(error, Unavailable))
