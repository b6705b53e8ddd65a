"""What the runner finds in the folder that Belay delivers into."""

import json
from pathlib import Path

import pytest
from tests.runner.process import digest, mount

from belay_runner.mounted import Damaged, Delivered, delivered, values


def beside(folder: Path, text: str, told: str) -> None:
    """Pointer and definition side by side, as in the ConfigMap of a workload updated in place."""
    folder.mkdir(exist_ok=True)
    (folder / "definition.json").write_text(text)
    pointer = {"digest": "sha256:0", "contentDigest": told, "file": "definition.json"}
    (folder / "current.json").write_text(json.dumps(pointer))


def test_the_definition_is_found_in_its_own_folder_and_beside_the_pointer(tmp_path: Path) -> None:
    mount(tmp_path / "rolled", "a")
    beside(tmp_path / "in-place", "a", digest("a"))
    for folder in ("rolled", "in-place"):
        assert delivered(tmp_path / folder) == Delivered(digest("a"), "a")


def test_no_pointer_is_no_revision(tmp_path: Path) -> None:
    assert delivered(tmp_path) is None
    assert delivered(tmp_path / "not-there") is None


@pytest.mark.parametrize("pointer", ["", "[]", "{}", '{"contentDigest": 1, "file": "../x"}'])
def test_a_pointer_that_points_nowhere_is_damaged(tmp_path: Path, pointer: str) -> None:
    (tmp_path / "current.json").write_text(pointer)
    with pytest.raises(Damaged):
        delivered(tmp_path)


def test_other_bytes_than_promised_are_damaged(tmp_path: Path) -> None:
    beside(tmp_path, "b", digest("a"))
    with pytest.raises(Damaged, match="is not what"):
        delivered(tmp_path)


def test_line_ends_and_marks_of_the_file_count(tmp_path: Path) -> None:
    text = "\ufeffa: 1\r\n"
    (tmp_path / "definition.yaml").write_bytes(text.encode())
    pointer = {"contentDigest": digest(text), "file": "definition.yaml"}
    (tmp_path / "current.json").write_text(json.dumps(pointer))
    assert delivered(tmp_path) == Delivered(digest(text), text)


def test_a_binding_of_the_revision_wins_over_the_folder_for_all(tmp_path: Path) -> None:
    env = tmp_path / "env"
    (env / "..data").mkdir(parents=True)
    for name in ("A", "B", ".hidden"):
        (env / name).write_text("all")
    mount(tmp_path / "mount", "text", {"B": "own"})
    found = values(tmp_path / "mount", digest("text"), env)
    assert found == {"A": "all", "B": "own"}
    assert values(tmp_path / "mount", digest("other"), None) == {}
