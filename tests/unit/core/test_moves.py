"""What every phase shares: its deadlines, and what its record says."""

from datetime import datetime

import pytest
from tests.unit.core.test_engine_phases import rollout, storing
from tests.unit.core.world import NOW, seconds

from belay.core import moves


@pytest.mark.parametrize(
    ("deadline", "looking", "until"),
    [
        (None, NOW, None),
        (NOW, None, NOW),
        (NOW + seconds(60), NOW, NOW + seconds(60)),
        (NOW, NOW + seconds(90), NOW + seconds(95)),
    ],
    ids=["none", "nobody looks yet", "watched all the time", "it passed while nobody looked"],
)
def test_a_deadline_that_nobody_watched_leaves_a_new_process_a_few_seconds(
    deadline: datetime | None, looking: datetime | None, until: datetime | None
) -> None:
    record = rollout(deadline=deadline)
    assert moves.patient(storing(None, record, looking_since=looking), record) == until
