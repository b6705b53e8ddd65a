"""The process that forks operators."""

import asyncio
from pathlib import Path
from typing import Any

from tests.faults.operators import Zygote


def order(folder: Path) -> dict[str, Any]:
    """For an operator that finds no API server."""
    return {
        "kubeconfig": str(folder / "none.json"),
        "namespace": "nowhere",
        "log": str(folder / "log"),
        "lease": "",
        "clock": "",
        "resync": 1.0,
    }


async def test_one_who_gives_up_on_a_fork_holds_up_nobody_else(tmp_path: Path) -> None:
    """And what was forked for nobody ends, too."""
    zygote = Zygote()
    await zygote.open("http://127.0.0.1:1")
    try:
        given_up = asyncio.create_task(zygote.fork(**order(tmp_path)))
        await asyncio.sleep(0)
        given_up.cancel()
        async with asyncio.timeout(30):
            pid = await zygote.fork(**order(tmp_path))
            zygote.kill(pid)
            await zygote.ended(pid)
            assert len(zygote._living) == 2
            await asyncio.gather(*map(zygote.ended, list(zygote._living)))
    finally:
        await zygote.close()
