"""What a pod reports, and what of it reaches people."""

import json
from typing import Any

import pytest

from belay.core.evidence.probe import Answer, Report
from belay.shell.checks.report import at_pointer, reported

WANTED, OTHER = ("sha256:" + digit * 64 for digit in "ab")
DOCUMENT = {"foo": ["bar", {"x": 1}], "": 0, "a/b": 1, "m~n": 8, "~1": 9, "00": 5}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("", DOCUMENT), ("/foo", ["bar", {"x": 1}]), ("/foo/0", "bar"), ("/foo/1/x", 1), ("/", 0),
        ("/a~1b", 1), ("/m~0n", 8), ("/~01", 9), ("/00", 5),
    ],
)  # fmt: skip
def test_a_pointer_names_what_rfc_6901_says(pointer: str, value: Any) -> None:
    assert at_pointer(DOCUMENT, pointer) == value


@pytest.mark.parametrize("pointer", ["/no", "/foo/2", "/foo/-", "/foo/00", "/foo/-1", "/a~1b/x"])
def test_a_pointer_to_nothing_is_told(pointer: str) -> None:
    with pytest.raises(LookupError):
        at_pointer(DOCUMENT, pointer)


@pytest.mark.parametrize(
    ("body", "answer", "got"),
    [
        ({"contentDigest": WANTED}, Answer.RIGHT, "sha256:aaaaaaaaaaaa"),
        ({"contentDigest": OTHER}, Answer.WRONG, "sha256:bbbbbbbbbbbb"),
        ({"contentDigest": None}, Answer.WRONG, "no digest at /contentDigest"),
        ({"contentDigest": "sha256:secret"}, Answer.WRONG, "no digest at /contentDigest"),
        ({"other": 1}, Answer.WRONG, "no /contentDigest in its JSON"),
        ([], Answer.WRONG, "no /contentDigest in its JSON"),
    ],
)
def test_only_a_digest_is_told_of_what_a_pod_reports(body: Any, answer: Answer, got: str) -> None:
    report = Report("/contentDigest", WANTED)
    assert reported(json.dumps(body).encode(), report) == (answer, got)


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[" * 60_000, b"sha256:aa"])
def test_what_is_no_json_is_a_wrong_answer(body: bytes) -> None:
    assert reported(body, Report("", WANTED)) == (Answer.WRONG, "something that is no JSON")


def test_the_whole_answer_may_be_the_digest() -> None:
    assert reported(json.dumps(WANTED).encode(), Report("", WANTED))[0] is Answer.RIGHT
