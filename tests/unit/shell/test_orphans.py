"""What no rollout holds any more is let go, each as far as it can be."""

import asyncio
from typing import Any

import pytest

from belay.api.names import LABEL_PAUSED_BY
from belay.shell import orphans
from belay.shell.engine.orphans import LetGo
from belay.shell.errors import Unavailable
from belay.shell.orphans import Marked
from belay.shell.resources import DEPLOYMENTS


def marked(name: str) -> Marked:
    labels = {LABEL_PAUSED_BY: f"uid-of-{name}"}
    return Marked(DEPLOYMENTS, {"namespace": "shop", "name": name, "labels": labels}, None)


def test_an_engine_that_cannot_be_let_go_keeps_no_other_paused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def let_go(_: Any, __: Any, ___: str, targets: list[Any]) -> LetGo:
        if targets[0]["metadata"]["name"] == "first":
            raise Unavailable(503, "ServiceUnavailable", "not now")
        return LetGo("1 runs go on")

    monkeypatch.setattr(orphans, "let_go", let_go)
    some = [marked("first"), marked("second")]
    released = asyncio.run(orphans.release(None, None, some))  # type: ignore[arg-type]
    assert released.done == ("Deployment shop/second with its engine goes on: 1 runs go on",)
    (told,) = released.refused
    assert told.startswith("Deployment shop/first with its engine stays paused: 503")
