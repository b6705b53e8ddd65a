"""Which Workflows can wait at a start."""

from typing import Any

import pytest

from belay.runtime.at_rest import is_at_rest

REST: dict[str, Any] = {
    "metadata": {"generation": 3, "annotations": {"belay.dev/retry": "a"}},
    "status": {"observedGeneration": 3, "phase": "Reverted", "lastHandledRetry": "a"},
}


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("a newer wish", {"metadata": {"generation": 4, "annotations": {}}}),
        ("a new token", {"status": {"observedGeneration": 3, "phase": "Reverted"}}),
        ("a rollout", {"status": {**REST["status"], "phase": "Observing"}}),
        ("never looked at", {"status": None}),
        ("on its way out", {"metadata": {**REST["metadata"], "deletionTimestamp": "now"}}),
        (
            "an abort",
            {"metadata": {"generation": 3, "annotations": {"belay.dev/abort": "b"}}},
        ),
    ],
)
def test_whoever_waits_for_something_is_not_at_rest(what: str, change: dict[str, Any]) -> None:
    assert is_at_rest(REST)
    assert not is_at_rest(REST | change), what
