"""Leader election by a Lease, by the clock of this process alone.

Other processes' clocks are never compared with ours: a lease that we do not hold has run out when
we have not seen it change for its duration. Ours has run out, for us, well before that.
"""

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from belay.runtime.queue import Clock
from belay.shell.errors import AlreadyExists, ApiError, Conflict, NotFound
from belay.shell.resources import LEASES, Object, Resource

log = logging.getLogger(__name__)

_NEVER: Final = float("-inf")


class LeaseStore(Protocol):
    """The verbs that election needs; `Cluster` has them."""

    async def get(self, resource: Resource, namespace: str | None, name: str) -> Object: ...
    async def create(self, resource: Resource, namespace: str | None, body: Object) -> Object: ...
    async def replace(self, resource: Resource, namespace: str | None, body: Object) -> Object: ...


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """Seconds. A standby leads at most `duration` + `look` after the leader's last renewal."""

    duration: int = 4
    renew_deadline: float = 3.0
    """The leader stops writing when it could not renew for so long; less than `duration`."""
    retry: float = 0.5
    """Between two renewals."""
    look: float = 0.2
    """Between two looks at somebody else's lease."""
    call: float = 1.0
    """What one request may take."""


class LeaseLost(Exception):
    """Somebody else leads, or may lead by now: end this process."""


class Elector:
    """One candidate for one Lease. `identity` is this process's alone, never used again."""

    def __init__(
        self,
        store: LeaseStore,
        namespace: str,
        name: str,
        identity: str,
        terms: LeaseTerms | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._store = store
        self._namespace = namespace
        self._name = name
        self._identity = identity
        self._terms = terms or LeaseTerms()
        self._clock = clock
        self._lease: Object | None = None
        self._changed_at = _NEVER
        self._renewed_at = _NEVER
        self.trouble = "the lease has not been read yet"
        """Why election does not work now; empty when it does."""

    def may_write(self) -> bool:
        """Whether nobody else can be leading: ask before each write."""
        return self._clock() < self._renewed_at + self._terms.renew_deadline

    async def acquire(self) -> None:
        """Wait until this process leads."""
        while True:
            if await self._attempt():
                log.info("leading, by the lease %s/%s", self._namespace, self._name)
                return
            await asyncio.sleep(self._seconds_to_wait())

    async def hold(self) -> None:
        """Renew the lease. Raises `LeaseLost`.

        A renewal that took long and was accepted is one: nobody else has led. The next one comes
        at once, and nothing is written before it.
        """
        while True:
            await asyncio.sleep(self._terms.retry if self.may_write() else 0)
            if await self._attempt():
                continue
            if self._holder() not in ("", self._identity):
                self._renewed_at = _NEVER
                raise LeaseLost(f"{self._holder()} leads")
            if self.trouble and not self.may_write():
                raise LeaseLost(f"not renewed for {self._terms.renew_deadline:g} s: {self.trouble}")

    async def release(self) -> None:
        """Let the next one lead at once. Call it when nothing is written any more."""
        self._renewed_at = _NEVER
        with contextlib.suppress(ApiError, TimeoutError):
            await self._read()
            if self._holder() == self._identity:
                await self._write("")

    async def _attempt(self) -> bool:
        """Try to have the lease for another `duration`; whether it worked."""
        try:
            if self._holder() != self._identity:
                await self._read()
            if self._is_free():
                sent = self._clock()
                await self._write(self._identity)
                self._renewed_at = sent
                return True
        except (Conflict, AlreadyExists):
            self._lease = None
            await self._look()
        except NotFound as error:
            self._lease = None
            self.trouble = f"the lease cannot be written: {error}"
        except (ApiError, TimeoutError) as error:
            self.trouble = f"the lease cannot be reached: {str(error) or 'no answer in time'}"
        return False

    async def _look(self) -> None:
        """Read what was quicker than we were."""
        with contextlib.suppress(ApiError, TimeoutError):
            await self._read()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(self._terms.call):
                self._saw(await self._store.get(LEASES, self._namespace, self._name))
        except NotFound:
            if self._is_free():
                self._lease = None

    async def _write(self, holder: str) -> None:
        async with asyncio.timeout(self._terms.call):
            if self._lease is None:
                lease = await self._store.create(LEASES, self._namespace, self._body(holder))
            else:
                lease = await self._store.replace(LEASES, self._namespace, self._body(holder))
        self._saw(lease)

    def _saw(self, lease: Object) -> None:
        before = self._lease or {"metadata": {"resourceVersion": None}}
        if lease["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"]:
            self._changed_at = self._clock()
        self._lease = lease
        self.trouble = ""

    def _holder(self) -> str:
        spec = (self._lease or {}).get("spec") or {}
        return str(spec.get("holderIdentity") or "")

    def _runs_out_at(self) -> float:
        spec = (self._lease or {}).get("spec") or {}
        return self._changed_at + float(spec.get("leaseDurationSeconds") or self._terms.duration)

    def _is_free(self) -> bool:
        return self._holder() in ("", self._identity) or self._clock() >= self._runs_out_at()

    def _seconds_to_wait(self) -> float:
        """Until the next try or look, and not longer than somebody else's lease lasts."""
        if self._lease is None or self._holder() == self._identity:
            return self._terms.retry
        return max(0.01, min(self._terms.look, self._runs_out_at() - self._clock()))

    def _body(self, holder: str) -> Object:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = (self._lease or {}).get("spec") or {}
        anew = holder not in ("", old.get("holderIdentity"))
        metadata = {"name": self._name, "namespace": self._namespace}
        return {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": (self._lease or {}).get("metadata") or metadata,
            "spec": {
                "holderIdentity": holder,
                "leaseDurationSeconds": self._terms.duration if holder else 1,
                "acquireTime": now if anew else old.get("acquireTime"),
                "renewTime": now,
                "leaseTransitions": int(old.get("leaseTransitions") or 0) + int(anew),
            },
        }
