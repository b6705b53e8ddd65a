"""Whole rollouts, told in prose and compared with what was told before.

`pytest tests/scenario --update-stories` writes them anew; read the difference before you commit it.
"""

from pathlib import Path

import pytest
from tests.scenario.stage import STORIES, play

FOLDER = Path(__file__).parent / "stories"


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_story_goes_as_it_is_written(name: str, request: pytest.FixtureRequest) -> None:
    told = play(STORIES[name]).text
    file = FOLDER / f"{name}.md"
    if request.config.getoption("--update-stories"):
        file.write_text(told)
    assert told == file.read_text(), f"{file.name} differs: see --update-stories"


def test_every_written_story_is_played() -> None:
    assert {file.stem for file in FOLDER.glob("*.md")} == set(STORIES)
