"""kopf's thread, where it is stopped before it begins."""

import threading
from typing import Any

from belay.runtime.kopf_source import KopfSource


def _never(*_: Any, **__: Any) -> None:
    raise AssertionError


async def test_a_source_that_was_stopped_is_not_started() -> None:
    """The first list may come to its end while the process is ending."""
    source = KopfSource(None, None)
    await source.stop()
    source.start(_never, _never)
    assert "kopf" not in {thread.name for thread in threading.enumerate()}
