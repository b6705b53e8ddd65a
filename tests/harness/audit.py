"""Reads the API server's audit log: who asked for what, and what was answered."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.harness.direct import direct

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_MARK = "belay-audit-mark/"


@dataclass(frozen=True, slots=True)
class Entry:
    """One call to the API server. Text fields that do not apply are empty."""

    verb: str
    group: str
    resource: str
    subresource: str
    namespace: str
    name: str
    user: str
    user_agent: str
    code: int
    uri: str
    received: datetime
    answered: datetime

    @property
    def dry_run(self) -> bool:
        """Whether the call was one that changes nothing."""
        return "All" in parse_qs(urlsplit(self.uri).query).get("dryRun", [])

    @property
    def is_write(self) -> bool:
        """Whether the call was one that may change something, and was no dry run."""
        return self.verb in WRITES and not self.dry_run

    def __str__(self) -> str:
        path = "/".join(filter(None, (self.namespace, self.name, self.subresource)))
        return f"{self.code} {self.verb} {self.resource} {path} by {self.user}"


@dataclass(frozen=True, slots=True)
class AuditLog:
    """The log of an API server of the harness.

    An answer reaches its client a moment before it is logged. So each look at the log first makes
    a call of its own and waits until that is in the log.
    """

    path: Path
    kubeconfig: Path

    def mark(self) -> int:
        """The place in the log where it ends now, for `since`."""
        self._settle()
        return self.path.stat().st_size

    def entries(
        self,
        *,
        since: int = 0,
        keep: Callable[[Entry], bool] = lambda _: True,
        **equal: str | int,
    ) -> list[Entry]:
        """The calls after the mark `since`, in the order of their answers.

        `equal` compares fields: `entries(namespace="a", verb="patch")`. Watches appear twice:
        when they begin, and when they end.
        """
        self._settle()
        return [
            entry
            for entry in self._read(since, str(equal.get("namespace", "")).encode())
            if all(getattr(entry, name) == value for name, value in equal.items()) and keep(entry)
        ]

    def _settle(self) -> None:
        """Wait until everything that was answered before this moment is in the log."""
        agent = f"{_MARK}{uuid.uuid4()}"
        position = self.path.stat().st_size
        direct(self.kubeconfig).read("/version", agent)
        _await_text(self.path, agent.encode(), position)

    def _read(self, since: int, text: bytes) -> Iterator[Entry]:
        """The calls with this text somewhere: most are not looked at any closer."""
        with self.path.open("rb") as file:
            file.seek(since)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                if text not in line:
                    continue
                entry = _parse(json.loads(line))
                if not entry.user_agent.startswith(_MARK):
                    yield entry


def _await_text(path: Path, text: bytes, position: int) -> None:
    end = time.monotonic() + 10
    with path.open("rb") as file:
        file.seek(position)
        seen = b""
        while text not in seen:
            if time.monotonic() > end:
                raise TimeoutError(f"{path}: a call of ours did not appear within 10 s")
            seen = seen[-len(text) :] + file.read()
            time.sleep(0.01)


def _parse(event: dict[str, Any]) -> Entry:
    target = event.get("objectRef", {})
    return Entry(
        verb=event["verb"],
        group=target.get("apiGroup", ""),
        resource=target.get("resource", ""),
        subresource=target.get("subresource", ""),
        namespace=target.get("namespace", ""),
        name=target.get("name", ""),
        user=event["user"]["username"],
        user_agent=event.get("userAgent", ""),
        code=event.get("responseStatus", {}).get("code", 0),
        uri=event["requestURI"],
        received=datetime.fromisoformat(event["requestReceivedTimestamp"]),
        answered=datetime.fromisoformat(event["stageTimestamp"]),
    )
