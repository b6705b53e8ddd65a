"""Fetching what is to be kept of paused runs: it is in memory for a moment, so it is bounded."""

import asyncio
from typing import Any, Final

from belay.core.engine.view import EnginePod, EngineView
from belay.shell.backups.store import StoreError
from belay.shell.engine.engines import Engines

MOST: Final = 64 * 1024 * 1024
"""Of all envelopes of one backup; the operator has other Workflows to look after."""
_AT_ONCE: Final = 4


async def envelopes(engine: EngineView, engines: Engines, token: str) -> dict[str, dict[str, Any]]:
    """Of the runs that pods hold, by run. Raises as `Peer.envelope` does, and `StoreError`."""
    limit, size = asyncio.Semaphore(_AT_ONCE), 0

    async def fetch(run: str, pod: EnginePod) -> tuple[str, dict[str, Any]]:
        nonlocal size
        async with limit:
            found = await engines.peer(pod, token).envelope(run)
        size += found.size
        if size > MOST:
            most = f"more than {MOST // 1024 // 1024} MiB in all"
            raise StoreError(f"the envelopes of {len(engine.held)} runs have {most}: let some end")
        return run, found.raw

    fetching = [asyncio.create_task(fetch(run, pod)) for run, pod in sorted(engine.held.items())]
    try:
        return dict(await asyncio.gather(*fetching))
    finally:
        for each in fetching:
            each.cancel()
