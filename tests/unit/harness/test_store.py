"""Finished builds: made once, whole or not at all, verified on use."""

from pathlib import Path

import pytest
from tests.harness.store import Store, content_key


class Maker:
    """Counts how often it is asked to make a file."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, path: Path) -> None:
        self.calls += 1
        path.write_text("finished")


def test_a_file_is_made_once(tmp_path: Path) -> None:
    make = Maker()
    for _ in range(3):
        assert Store(tmp_path).get("tool", make).read_text() == "finished"
    assert make.calls == 1


@pytest.mark.parametrize("damage", ["finishe?", "", "finished and more"])
def test_a_damaged_file_is_made_again(tmp_path: Path, damage: str) -> None:
    make = Maker()
    path = Store(tmp_path).get("tool", make)
    path.write_text(damage)
    assert Store(tmp_path).get("tool", make).read_text() == "finished"
    assert make.calls == 2


def test_a_file_that_was_only_touched_is_kept(tmp_path: Path) -> None:
    make = Maker()
    Store(tmp_path).get("tool", make).touch()
    Store(tmp_path).get("tool", make)
    assert make.calls == 1


def test_an_interrupted_build_leaves_nothing_that_looks_finished(tmp_path: Path) -> None:
    def stopped_half_way(path: Path) -> None:
        path.write_text("fin")
        raise KeyboardInterrupt

    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        store.get("tool", stopped_half_way)
    assert store.missing(["tool"]) == ["tool"]
    assert store.get("tool", Maker()).read_text() == "finished"


def test_a_key_follows_names_content_and_order(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = content_key([tmp_path, "x"])
    assert content_key([tmp_path, "x"]) == before
    assert content_key(["x", tmp_path]) != before
    (tmp_path / "a").rename(tmp_path / "b")
    assert content_key([tmp_path, "x"]) != before
