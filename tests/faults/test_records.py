"""What a full run keeps: it adds up over interruptions, and what was wrong is played again."""

from pathlib import Path

import pytest
from tests.faults import report
from tests.faults.records import Line, Records

WRONG = Line("plan", "promote: 503 at call 4", "503", ("it ends Held",))
RIGHT = Line("plan", "promote: 503 at call 3", "503", came_to_pass=False)


def test_a_run_goes_on_where_another_one_was_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "build/results.jsonl"
    first = Records(file)
    first.count("promote", ["GET", "PATCH"], 3)
    first.add(RIGHT)
    first.add(WRONG)
    second = Records(file)
    second.count("promote", ["GET", "PATCH", "GET"], 4)
    assert second.calls == {"promote": (["GET", "PATCH"], 3)}
    assert second.done("plan") == {RIGHT.name}
    assert second.done("bug") == set()


def test_what_was_wrong_counts_until_it_is_played_again(tmp_path: Path) -> None:
    file = tmp_path / "results.jsonl"
    Records(file).add(WRONG)
    assert "| 503 | 1 | 1 | 1 |" in report.text(_with_another_kind(file))
    Records(file).add(Line("plan", WRONG.name, "503"))
    assert "| 503 | 1 | 1 | 0 |" in report.text(_with_another_kind(file))


def _with_another_kind(file: Path) -> Records:
    found = Records(file)
    found.lines.append(Line("plan", "promote: 409 at call 1", "409"))
    return found


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "docs.md"
    file.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    records = Records()
    records.count("first", ["GET", "PATCH"], 1)
    records.add(RIGHT)
    for _ in range(2):
        report.write(file, report.text(records))
    lines = file.read_text().splitlines()
    assert (lines[0], lines[-1], lines.count(report.BEGIN)) == ("before", "after", 1)
    assert "old" not in lines
    assert any(line.startswith("| **one fault at one call or event** | 1 of ") for line in lines)


def test_docs_without_a_place_for_the_table_are_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "docs.md"
    file.write_text("before\n")
    with pytest.raises(SystemExit, match="no place for the table"):
        report.write(file, "table")
    assert file.read_text() == "before\n"
