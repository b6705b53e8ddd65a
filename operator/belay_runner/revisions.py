"""The definitions that this process knows, and the one that new runs use."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from belay_runner.engine import Definition, Invalid
from belay_runner.mounted import digest_of, short
from belay_runner.problems import Code, Problem
from belay_runner.redaction import redact
from belay_runner.tools import Tools


@dataclass(frozen=True, slots=True)
class Revision:
    """One content. Without a definition it is invalid, and `reasons` say why."""

    content_digest: str
    name: str | None
    definition: Definition | None
    reasons: tuple[str, ...] = ()

    @property
    def identity(self) -> dict[str, str | None]:
        return {"revision": self.name, "contentDigest": self.content_digest}

    @property
    def label(self) -> str:
        """For metrics: the name where there is one."""
        return self.name or short(self.content_digest)

    @property
    def ready(self) -> Definition:
        """The definition. Raises `invalidRevision`."""
        if self.definition is None:
            message = f"{self.label} is invalid: {'; '.join(self.reasons)}"
            raise Problem(Code.INVALID_REVISION, message, {"reasons": list(self.reasons)})
        return self.definition


class Revisions:
    """Bounded: what is active or in use stays, of the rest the latest few."""

    def __init__(self, tools: Tools, keep: int, in_use: Callable[[], set[str]]) -> None:
        self._tools, self._keep, self._in_use = tools, keep, in_use
        self._known: dict[str, Revision] = {}
        self._active: str | None = None
        self._lock = threading.RLock()
        self.told = False
        """Somebody activated a revision by a call, so the mounted pointer is out of date."""

    @property
    def active(self) -> Revision | None:
        with self._lock:
            return self._known[self._active] if self._active else None

    def all(self) -> Sequence[Revision]:
        with self._lock:
            return list(self._known.values())

    def get(self, content_digest: str) -> Revision:
        """Raises `revisionUnknown`."""
        with self._lock:
            found = self._known.get(content_digest)
            known = list(self._known)
        if found is None:
            message = f"{content_digest} is not known here: validate it first"
            raise Problem(Code.REVISION_UNKNOWN, message, {"contentDigests": known})
        return found

    def validate(self, name: str | None, content_digest: str, text: str) -> Revision:
        """Build the graph and remember the outcome. Raises `digestMismatch`."""
        found = digest_of(text)
        if found != content_digest:
            message = f"the definition that came is {found}, not {content_digest}"
            raise Problem(Code.DIGEST_MISMATCH, message, {"contentDigest": found})
        with self._lock:
            known = self._known.get(content_digest)
        if known is not None and known.definition is not None:
            revision = replace(known, name=name or known.name)
        else:
            revision = Revision(content_digest, name, *self._built(text))
        used = self._in_use()
        with self._lock:
            self._known.pop(content_digest, None)
            self._known[content_digest] = revision
            self._forget(used)
        return revision

    def activate(self, content_digest: str, if_active: str | None) -> Revision | None:
        """Compare and set; gives what was active before."""
        used = self._in_use()
        with self._lock:
            before = self.active
            if self._active == content_digest:
                self.told = True
                return before
            if self._active != if_active:
                raise _differs(before, if_active)
            self.get(content_digest).ready  # noqa: B018 - raises where it is invalid
            self._active, self.told = content_digest, True
            self._forget(used)
            return before

    def follow(self, content_digest: str | None) -> None:
        """Activate what the mounted pointer names, unless a call has said otherwise since."""
        with self._lock:
            if not self.told:
                self._active = content_digest

    def _built(self, text: str) -> tuple[Definition | None, tuple[str, ...]]:
        try:
            return Definition(text, self._tools), ()
        except Invalid as error:
            return None, (redact(str(error)),)

    def _forget(self, used: set[str]) -> None:
        """Whose use is asked before the lock is taken: the registry asks the other way round."""
        idle = [digest for digest in self._known if digest not in used | {self._active}]
        for digest in idle[: -self._keep]:
            del self._known[digest]


def _differs(active: Revision | None, believed: str | None) -> Problem:
    now: Mapping[str, str | None] | None = active.identity if active else None
    told = active.content_digest if active else "nothing"
    message = f"{told} is active, not {believed or 'nothing'}"
    return Problem(Code.ACTIVE_DIFFERS, message, {"active": now})
