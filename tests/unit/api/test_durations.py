"""Durations: what the CRD admits, the program reads, to the same value as Go."""

import pytest

from belay.api.duration import seconds, spoken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30s", 30.0),
        ("1m30s", 90.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("0s", 0.0),
        ("2m1ms", 120.001),
    ],
)
def test_a_duration_is_read_as_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "30", "s", "-1s", "1d", "1s ", "1 s", "1e3s", "PT1M"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 30s, 1m30s or 500ms"):
        seconds(text)


@pytest.mark.parametrize(
    ("value", "expected"), [(2.13, "2.1 s"), (40, "40 s"), (119, "119 s"), (300, "5 min")]
)
def test_a_duration_is_spoken_with_as_many_digits_as_matter(value: float, expected: str) -> None:
    assert spoken(value) == expected
