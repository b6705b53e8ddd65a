"""Whom checks believe: TLS contexts from a tenant's ConfigMap, or from the system's own roots."""

import asyncio
import ssl
from typing import Final, Literal, Protocol

from belay.api.peer import Tls
from belay.api.revision import KeyRef
from belay.shell.checks.credentials import Problem
from belay.shell.errors import ApiError, NotFound
from belay.shell.resources import CONFIG_MAPS, Object, Resource

KEPT_SECONDS: Final = 5.0
"""How long a ConfigMap that was read is used before it is read again."""
MAX_PEM: Final = 256 * 1024

Protocols = Literal["http/1.1", "h2"]
_WRONG: Final = {
    9: "is not valid yet",
    10: "has expired",
    18: "signed itself",
    19: "is signed by an authority that is not believed",
    20: "is signed by an authority that is not believed",
    21: "is signed by an authority that is not believed",
}
"""In words, by OpenSSL's X509_V_ERR numbers."""


class Reader(Protocol):
    """The one verb of the cluster adapter that is needed here."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object: ...


class Trust:
    """Makes the TLS context of a check. Bound to one event loop."""

    def __init__(self, cluster: Reader, *, kept: float = KEPT_SECONDS) -> None:
        self._cluster = cluster
        self._kept = kept
        self._found: dict[
            tuple[str, str, str, Protocols], asyncio.Task[ssl.SSLContext | Problem]
        ] = {}
        self._system: dict[Protocols, ssl.SSLContext] = {}

    async def context(
        self, namespace: str, tls: Tls, protocol: Protocols
    ) -> ssl.SSLContext | Problem:
        """A context that verifies as `tls` says; askers at the same time share a read."""
        ref = tls.ca_config_map_key_ref
        if ref is None:
            if protocol not in self._system:
                self._system[protocol] = _verifying(protocol)
            return self._system[protocol]
        key = (namespace, ref.name, ref.key, protocol)
        if key not in self._found:
            read = asyncio.create_task(self._read(namespace, ref, protocol), name="read a CA")
            self._found[key] = read
            read.add_done_callback(
                lambda _: asyncio.get_running_loop().call_later(
                    self._kept, self._found.pop, key, None
                )
            )
        return await asyncio.shield(self._found[key])

    async def _read(
        self, namespace: str, ref: KeyRef, protocol: Protocols
    ) -> ssl.SSLContext | Problem:
        where = f'ConfigMap "{ref.name}"'
        try:
            raw = await self._cluster.get(CONFIG_MAPS, namespace, ref.name)
        except NotFound:
            return Problem(f"there is no {where} with a CA for tls.caConfigMapKeyRef")
        except ApiError as error:
            answer = f"answered {error.code}" if error.code else "gave no answer"
            return Problem(f"{where} could not be read: the API server {answer}")
        pem = (raw.get("data") or {}).get(ref.key)
        if pem is None:
            return Problem(f'{where} has no key "{ref.key}" with a CA')
        if len(pem) > MAX_PEM:
            return Problem(f'key "{ref.key}" of {where} is longer than 256 KiB')
        try:
            return _verifying(protocol, pem)
        except (ssl.SSLError, ValueError):
            return Problem(f'key "{ref.key}" of {where} holds no certificates in PEM')


def _verifying(protocol: Protocols, pem: str | None = None) -> ssl.SSLContext:
    """Raises `ssl.SSLError` or `ValueError` where the text holds no certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if pem is None:
        context.load_default_certs()
    else:
        # Comments beside the blocks may be in any language.
        context.load_verify_locations(cadata=pem.encode("ascii", "ignore").decode())
    context.set_alpn_protocols([protocol])
    return context


def tls_trouble(error: BaseException, tls: Tls) -> str | None:
    """What is wrong with the pod's TLS, for people; None where the error is not about TLS."""
    found = _of_tls(error)
    if isinstance(found, ssl.SSLCertVerificationError):
        if found.verify_code in (62, 64):
            return f'a certificate that is not for "{tls.server_name}"'
        why = _WRONG.get(found.verify_code)
        return f"a certificate that {why}" if why else f"a bad certificate: {found.verify_message}"
    if isinstance(found, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return None
    if isinstance(found, ssl.SSLError):
        reason = found.reason or ""
        if "ALERT" in reason:
            return f"a refusal of the TLS handshake ({reason.lower().replace('_', ' ')})"
        return "something that is not TLS"
    return None


def _of_tls(error: BaseException | None) -> ssl.SSLError | None:
    """The TLS error that aiohttp wrapped, in an error that may be called one, too."""
    for _ in range(4):
        if error is None:
            return None
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        if isinstance(inner, ssl.SSLError):
            return inner
        if isinstance(error, ssl.SSLError):
            return error
        error = error.__cause__
    return None
