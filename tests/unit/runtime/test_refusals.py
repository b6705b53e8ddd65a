"""Refused wishes are not gated again for nothing."""

from datetime import UTC, datetime, timedelta

from belay.core.keys import Key
from belay.runtime.refusals import PATIENCE, Refusals

KEY = Key("shop", "wf-1")


def test_the_same_cause_waits_and_another_does_not() -> None:
    now = datetime(2026, 5, 4, tzinfo=UTC)
    refusals = Refusals(lambda: now)
    assert refusals.wait(KEY, ("v1",)) is None
    refusals.note(KEY, ("v1",))
    assert KEY in refusals
    assert refusals.wait(KEY, ("v1",)) == PATIENCE.total_seconds()
    assert refusals.wait(KEY, ("v2",)) is None
    now += PATIENCE - timedelta(seconds=1)
    assert refusals.wait(KEY, ("v1",)) == 1
    now += timedelta(seconds=1)
    assert refusals.wait(KEY, ("v1",)) is None
    refusals.forget(KEY)
    assert KEY not in refusals
