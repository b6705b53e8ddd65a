"""Header values of checks that come from Secrets (rule 14).

The operator's ClusterRole has no rule for Secrets: a tenant grants each by name, in a Role. A
value goes into the request and nowhere else: no message, log line or `repr` holds one.
"""

import asyncio
import base64
import re
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from belay.api.check import HttpCheck
from belay.api.names import CREDENTIALS_ROLE, CREDENTIALS_SECRET_TYPE
from belay.api.revision import KeyRef
from belay.shell.errors import ApiError, Forbidden, NotFound
from belay.shell.resources import SECRETS, Resource

KEPT_SECONDS: Final = 5.0
"""How long a Secret that was read is used before it is read again."""
MAX_VALUE: Final = 4096

_LEGAL: Final = re.compile(r"[^\x00-\x08\x0a-\x1f\x7f]*")
"""RFC 9110, 5.5: no control characters but the tab."""
_FRAMING: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that say where a request ends or what the connection becomes: never the user's."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why the headers of a check cannot be had, and how to fix it."""

    text: str


class Reader(Protocol):
    """The one verb of the cluster adapter that is needed here."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class _Secret:
    kind: str
    data: dict[str, str] = field(repr=False)


class Credentials:
    """Finds the headers of checks. Bound to one event loop."""

    def __init__(self, cluster: Reader, *, kept: float = KEPT_SECONDS) -> None:
        self._cluster = cluster
        self._kept = kept
        self._reads: dict[tuple[str, str], asyncio.Task[_Secret | Problem]] = {}

    async def resolve(self, namespace: str, http: HttpCheck) -> dict[str, str] | Problem:
        """All headers of a check with their values, or the first thing that is wrong with them."""
        headers: dict[str, str] = {}
        for header in http.headers:
            if header.name.lower() in _FRAMING:
                return Problem(
                    f"header {header.name} is Belay's own to set: take it out of the check"
                )
            if header.value_from is not None:
                ref = header.value_from.secret_key_ref
                found = await self.value(namespace, ref)
                if isinstance(found, Problem):
                    return Problem(f"header {header.name}: {found.text}")
                headers[header.name] = found
            elif header.value is None or not _LEGAL.fullmatch(header.value):
                return Problem(
                    f"header {header.name}: the value has control characters, or is missing"
                )
            else:
                headers[header.name] = header.value
        return headers

    async def value(self, namespace: str, ref: KeyRef) -> str | Problem:
        """One value, such as a token."""
        secret = await self._secret(namespace, ref.name)
        if isinstance(secret, Problem):
            return secret
        if secret.kind != CREDENTIALS_SECRET_TYPE:
            return Problem(
                f'Secret "{ref.name}" is of type {secret.kind}, not {CREDENTIALS_SECRET_TYPE}: '
                f"make it again with --type={CREDENTIALS_SECRET_TYPE}"
            )
        if ref.key not in secret.data:
            return Problem(f'Secret "{ref.name}" has no key "{ref.key}"')
        return _text(ref, secret.data[ref.key])

    async def _secret(self, namespace: str, name: str) -> _Secret | Problem:
        """The Secret as it was at most `kept` seconds ago; askers at the same time share a read."""
        key = (namespace, name)
        read = self._reads.get(key)
        if read is None:
            read = asyncio.create_task(self._read(namespace, name), name=f"read Secret {name}")
            self._reads[key] = read
            read.add_done_callback(lambda _: self._forget_later(key))
        return await asyncio.shield(read)

    def _forget_later(self, key: tuple[str, str]) -> None:
        asyncio.get_running_loop().call_later(self._kept, self._reads.pop, key, None)

    async def _read(self, namespace: str, name: str) -> _Secret | Problem:
        try:
            raw = await self._cluster.get(SECRETS, namespace, name)
        except Forbidden:
            return Problem(
                f'Belay may not read Secret "{name}"; grant it: kubectl create role '
                f"{CREDENTIALS_ROLE} -n {namespace} --verb=get --resource=secrets "
                f"--resource-name={name}, bound as in deploy/samples/check-credentials-role.yaml"
            )
        except NotFound:
            return Problem(
                f'there is no Secret "{name}": kubectl create secret generic {name} '
                f"-n {namespace} --type={CREDENTIALS_SECRET_TYPE} --from-literal=KEY=..."
            )
        except ApiError as error:
            answer = f"answered {error.code}" if error.code else "gave no answer"
            return Problem(f'Secret "{name}" could not be read: the API server {answer}')
        return _Secret(str(raw.get("type") or "Opaque"), dict(raw.get("data") or {}))


def _text(ref: KeyRef, encoded: str) -> str | Problem:
    """The value of a key, where a header may have it."""
    where = f'key "{ref.key}" of Secret "{ref.name}"'
    try:
        value = base64.b64decode(encoded, validate=True).decode()
    except ValueError:
        return Problem(f"{where} is not text")
    if value.endswith("\n"):
        return Problem(f"{where} ends with a line break: make it again with --from-literal")
    if not value or value != value.strip() or not _LEGAL.fullmatch(value):
        return Problem(f"{where} is empty, or has blanks around it or control characters in it")
    if len(value) > MAX_VALUE:
        return Problem(f"{where} is longer than {MAX_VALUE} characters")
    return value
