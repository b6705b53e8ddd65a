"""What it takes to speak with engines, and to keep what they give."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from belay import __version__
from belay.api.instances import Engine
from belay.core.engine.view import EnginePod
from belay.shell.backups.directory import DirectoryStore
from belay.shell.backups.secrets import SecretStore
from belay.shell.backups.store import Store
from belay.shell.checks.credentials import Credentials, Problem
from belay.shell.checks.egress import Guard
from belay.shell.checks.http_check import open_session
from belay.shell.cluster import Cluster
from belay.shell.engine.client import MOST_RECEIVED, Peer

AT_ONCE: Final = 16
"""Calls to the pods of one Workflow that are under way together."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The way to engines."""

    session: aiohttp.ClientSession
    guard: Guard
    credentials: Credentials
    store: Store

    async def token(self, namespace: str, how: Engine) -> str | Problem:
        found = await self.credentials.value(namespace, how.token_from.secret_key_ref)
        if isinstance(found, Problem):
            return Problem(f"spec.instances.engine.tokenFrom: {found.text}")
        return found

    def peer(self, pod: EnginePod, token: str) -> Peer:
        return Peer(self.session, self.guard, pod, token)

    async def close(self) -> None:
        await self.session.close()


def open_engines(cluster: Cluster, guard: Guard, backups: Path | None) -> Engines:
    """With backups in this folder, or else in Secrets. Needs a running event loop."""
    store = DirectoryStore(backups) if backups is not None else SecretStore(cluster)
    session = open_session(__version__, name="belay-engine", most=MOST_RECEIVED)
    return Engines(session, guard, Credentials(cluster), store)


def slots() -> asyncio.Semaphore:
    return asyncio.Semaphore(AT_ONCE)
