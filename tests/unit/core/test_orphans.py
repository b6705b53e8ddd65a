"""What the sweeper lets go, and what a record holds."""

from typing import Any

import pytest

from belay.api.instance_kinds import SHIPPED
from belay.core.instances.orphans import freed, holds


@pytest.mark.parametrize(
    ("status", "held"),
    [
        ({}, False),
        ({"rollout": None}, False),
        ({"rollout": {"id": "2-1"}}, False),
        ({"rollout": {"id": "2-1", "paused": True}}, True),
        ({"rollout": {"id": "2-1", "paused": True, "outcome": "Reverted"}}, False),
    ],
)
def test_a_record_holds_what_is_paused_until_its_rollout_has_ended(
    status: dict[str, Any], held: bool
) -> None:
    assert holds(status) is held


def test_what_is_freed_is_the_very_version_that_was_read_and_nothing_of_ours_stays() -> None:
    known = {"name": "run", "namespace": "shop", "uid": "u-1", "resourceVersion": "7"}
    write = freed(SHIPPED[0], {**known, "labels": {"belay.dev/paused-by": "w"}})
    assert write.body == {"apiVersion": "batch/v1", "kind": "Job", "metadata": known}
