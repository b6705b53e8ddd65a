"""Whole rollouts, told in prose and compared with what was told before.

`pytest tests/scenario --update-stories` writes them anew; read the difference before you commit it.
"""

from pathlib import Path

import pytest
from tests import lua
from tests.kstatus import awaited, compute
from tests.scenario.readers import read
from tests.scenario.stage import STORIES, Run, play

FOLDER = Path(__file__).parent / "stories"


@pytest.fixture(scope="module", params=sorted(STORIES))
def played(request: pytest.FixtureRequest) -> tuple[str, Run]:
    """A story and how it went; played once for all that is asked of it."""
    return request.param, play(STORIES[request.param])


def test_a_story_goes_as_it_is_written(
    played: tuple[str, Run], request: pytest.FixtureRequest
) -> None:
    name, run = played
    file = FOLDER / f"{name}.md"
    if request.config.getoption("--update-stories"):
        file.write_text(run.text)
    assert run.text == file.read_text(), f"{file.name} differs: see --update-stories"


def test_other_tools_read_each_state_of_a_story_right(played: tuple[str, Run]) -> None:
    assert played[1].states
    for state in played[1].states:
        meant = read(state)
        health, message = lua.health(state)
        assert (health, compute(state)) == (meant.health, meant.kstatus), message
        assert meant.message in message
        assert awaited(state, "Ready") is meant.proven
        assert awaited(state, "Stalled") is (meant.kstatus == "Failed")
        assert ("abort" in lua.offered(state)) is meant.abortable


def test_every_written_story_is_played() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == set(STORIES)
