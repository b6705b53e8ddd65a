"""Reading text: what is kept, what is refused, and where the message points."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import EVERY_REAL_EXPORT

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Format
from belay.core.revisions.document import MAX_DEPTH, MAX_NODES, Refused
from belay.core.revisions.read import detect, parse

_TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co", "Cn"]), max_size=8)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | _TEXT
_DOCUMENTS = st.dictionaries(
    _TEXT,
    st.recursive(
        _SCALARS | st.floats(allow_nan=False, allow_infinity=False),
        lambda below: st.lists(below, max_size=4) | st.dictionaries(_TEXT, below, max_size=4),
        max_leaves=12,
    ),
    max_size=4,
)


def refusal(text: str | bytes, form: Format = Format.YAML) -> str:
    with pytest.raises(Refused) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), form)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 2", 'line 2, column 1: the key "a" stands here twice'),
        ("a:\n  - b\n  - c: 2024-01-31", "line 3, column 8, a[1].c: 2024-01-31 is a date"),
        ("a: 2024-01-31 10:00:00Z", "line 1, column 4, a: 2024-01-31 10:00:00Z is a date"),
        ("a: .nan", "line 1, column 4, a: nan is no number"),
        ("a: -.INF", "line 1, column 4, a: -inf is no number"),
        ("a: 1.0e+999", "a: inf is no number"),
        ("a: 9007199254740992", "a: an integer beyond 2^53 loses digits"),
        ("a: -9007199254740992", "a: an integer beyond 2^53 loses digits"),
        ("a: 0xFFFFFFFFFFFFFFF", "a: an integer beyond 2^53 loses digits"),
        ("a: " + "9" * 5000, "a: a number beyond 2^53"),
        ("x: {1: a}", "line 1, column 5, x: the key 1 is not text; put it in quotes"),
        ("on: a", "the key on is not text; put it in quotes"),
        ("? [a]\n: b", "a key must be text"),
        ("a: !!binary aGk=", "a: aGk= is binary data"),
        ("a: !!int one", "a: one is no int"),
        ("a: !!bool perhaps", "a: perhaps is no bool"),
        ("a: !!python/object:os.system x", "the tag !!python/object:os.system is not known"),
        ("a: !secret x", "a: the tag !secret is not known"),
        ("a: !!set {x: null}", "a: the tag !!set is not known"),
        ("a: 1\n---\nb: 2", "line 2, column 1: more than one document in the file"),
        ("", "the file is empty"),
        ("# only a comment\n", "the file is empty"),
        ("just text", "the whole file is one value"),
        ("a: [1, 2", "not YAML"),
        ("a: 'x", "not YAML"),
        ("a: b: c", "line 1, column 5: not YAML: mapping values are not allowed"),
        ("a: \x01", "control characters are not allowed"),
        ("a: *b", "a: alias *b refers to itself or to nothing"),
        ("\ufeffab: *b", "line 1, column 5, ab: alias *b"),
        ("\ufeffab: [*", "line 1, column 7, ab[0]: not YAML"),
        ("a: &b [*b]", "a[0]: alias *b refers to itself or to nothing"),
        ("<<: 3\na: 1", "<< merges mappings only"),
        (b"a: \xff", "line 1, column 4: not UTF-8 text"),
        ("a: 1".encode("utf-16"), "not UTF-8 text"),
        ("a: x\0", "line 1, column 5: a NUL byte"),
    ],
)
def test_bad_yaml_is_refused_by_name_and_place(text: Any, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "a": 2}', 'line 1, column 10: the key "a" stands here twice'),
        ('{"a": NaN}', "line 1, column 7, a: nan is no number"),
        ('{"a": [1, -Infinity]}', "a[1]: -inf is no number"),
        ('{"a": 1e999}', "a: inf is no number"),
        ('{"a": {"b": 12345678901234567890}}', "a.b: an integer beyond 2^53"),
        ('{"a": ' + "9" * 5000 + "}", "a: a number beyond 2^53"),
        (r'{"a": "\ud800"}', "a: half a surrogate pair is no character"),
        ('{"a": 1,}', "not JSON"),
        ("{'a': 1}", "line 1, column 2: not JSON"),
        ("[" * 100_000, "nested deeper than 64 levels"),
        ('"text"', "the whole file is one value"),
    ],
)
def test_bad_json_is_refused_by_name_and_place(text: Any, message: str) -> None:
    assert message in refusal(text, Format.JSON)


def test_a_file_above_the_cap_is_refused_before_it_is_read() -> None:
    assert "too large: at most 900 KiB" in refusal(b"a" * (MAX_DELIVERED_BYTES + 1))


def _laughs() -> str:
    rows = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    rows += [
        f"{name}: &{name} [{', '.join([f'*{above}'] * 9)}]"
        for above, name in zip("abcdefgh", "bcdefghi", strict=True)
    ]
    return "\n".join(rows)


@pytest.mark.parametrize(
    ("bomb", "message"),
    [
        (_laughs(), f"expands to more than {MAX_NODES} values"),
        (f"s: &s {'x' * 500_000}\nl: [{', '.join(['*s'] * 50)}]", "more than 4 MiB of text"),
        ("[" * 50_000, f"nested deeper than {MAX_DEPTH} levels"),
        ("a: &a0 [1]\n" + "".join(f"k{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 99)), "deeper"),
        ("a: [" + "1," * (MAX_NODES + 1) + "]", "expands to more than"),
        (
            "m0: &m0 {a: 1}\n"
            + "".join(f"m{i}: &m{i} {{k{i}: *m{i - 1}, <<: *m{i - 1}}}\n" for i in range(1, 60)),
            "expands to more than",
        ),
    ],
    ids=["laughs", "long text", "depth", "depth by aliases", "count", "merges"],
)
def test_a_bomb_is_refused_quickly(bomb: str, message: str) -> None:
    began = time.process_time()
    assert message in refusal(bomb)
    assert time.process_time() - began < 10


def test_the_depth_that_is_allowed_is_read_in_both_formats() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse(text.encode(), Format.YAML).value == parse(text.encode(), Format.JSON).value
    assert "deeper" in refusal(f"[{text}]")
    assert "deeper" in refusal(f"[{text}]", Format.JSON)


def test_merge_keys_follow_yaml_1_1() -> None:
    text = "base: &b {x: 1, y: 2}\nother: &o {y: 3, z: 4}\nall: {<<: [*b, *o], x: 9}"
    assert parse(text.encode(), Format.YAML).value == yaml.safe_load(text)


def test_a_merge_key_that_stands_as_a_value_is_text() -> None:
    assert parse(b"a: <<\nb: [<<]", Format.YAML).value == {"a": "<<", "b": ["<<"]}


@given(_DOCUMENTS)
def test_yaml_reads_as_the_safe_loader_reads_it(value: Any) -> None:
    text = yaml.safe_dump(value, allow_unicode=True)
    assert parse(text.encode(), Format.YAML).value == yaml.safe_load(text)


@given(_DOCUMENTS)
def test_json_reads_as_the_standard_library_reads_it(value: Any) -> None:
    text = "\ufeff" + json.dumps(value)
    assert parse(text.encode(), Format.JSON).value == value


@given(st.sampled_from(["", "\ufeff"]), _DOCUMENTS, st.sampled_from(["'", '"']))
def test_every_text_in_yaml_knows_its_characters(bom: str, value: Any, style: str) -> None:
    text = bom + yaml.safe_dump(value, default_style=style, allow_unicode=True)
    for node in parse(text.encode(), Format.YAML).root.members.values():
        if isinstance(node.value, str) and node.style != "&":
            assert yaml.safe_load(text[node.start : node.end]) == node.value


@given(_DOCUMENTS)
def test_every_scalar_knows_its_characters(value: Any) -> None:
    text = json.dumps(value, ensure_ascii=False)
    document = parse(text.encode(), Format.JSON)
    assert json.loads(text[document.root.start : document.root.end]) == value
    for key, node in document.root.members.items():
        assert json.loads(text[node.start : node.end]) == value[key]


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for form in Format:
        try:
            parse(content, form)
        except Refused as error:
            message = str(error)
        else:
            message = ""
        assert "\n" not in message


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("app: {mode: workflow}\nworkflow: {}", Format.DIFY),
        ("app: {mode: nonsense}\nworkflow: {}", Format.DIFY),
        ("app: {mode: chat}\nmodel_config: {}", Format.DIFY),
        ("kind: app\nworkflow: {}", Format.DIFY),
        ('{"app": {"mode": "workflow"}, "workflow": {}}', Format.DIFY),
        ('{"steps": []}', Format.JSON),
        ("\ufeff[1]", Format.JSON),
        ("{steps: []}", Format.YAML),
        ("app: triage\nsteps: []", Format.YAML),
        ("app: {mode: [workflow]}", Format.YAML),
    ],
)
def test_the_format_is_told_by_content(text: str, form: Format) -> None:
    assert detect(text.encode())[0] is form


@EVERY_REAL_EXPORT
def test_a_real_export_reads_as_the_safe_loader_reads_it(export: Path) -> None:
    form, document = detect(export.read_bytes())
    assert form is Format.DIFY
    assert document.value == yaml.safe_load(export.read_text())


def test_a_refusal_of_no_place_tells_the_problem_alone() -> None:
    assert str(Refused("too much")) == "too much"
