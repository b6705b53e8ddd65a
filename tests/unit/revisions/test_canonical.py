"""Digests: what they see and what they do not."""

import hashlib
import json
import struct
from pathlib import Path as FilePath
from typing import Any

import pytest
import rfc8785
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import EVERY_REAL_EXPORT
from tests.unit.revisions.graphs import (
    BEHAVIOUR_PATHS,
    DIFY,
    EDGE,
    LAYOUT_PATHS,
    NODE,
    VALUES,
    Path,
    graph_copy,
    put,
    reordered,
    with_nulls,
)

from belay.api.revision import Binding, Format, KeyRef
from belay.core.revisions.canonical import (
    behaviour_of_edge,
    behaviour_of_node,
    canonical,
    content_digest,
    digest,
)
from belay.core.revisions.document import Refused
from belay.core.revisions.read import detect, parse

PLAIN = digest(Format.DIFY, DIFY)


@given(st.sampled_from(LAYOUT_PATHS), VALUES)
def test_layout_does_not_count(path: Path, value: Any) -> None:
    assert digest(Format.DIFY, put(graph_copy(), path, value)) == PLAIN


@given(st.sampled_from(BEHAVIOUR_PATHS), VALUES)
def test_everything_else_counts(path: Path, value: Any) -> None:
    assert digest(Format.DIFY, put(graph_copy(), path, value)) != PLAIN


@given(reordered(DIFY))
def test_the_order_of_keys_does_not_count(document: Any) -> None:
    assert digest(Format.DIFY, document) == PLAIN


@given(st.permutations(range(4)), st.permutations(range(2)))
def test_the_order_of_nodes_and_edges_does_not_count(nodes: list[int], edges: list[int]) -> None:
    graph = graph_copy()["workflow"]["graph"]
    document = put(graph_copy(), NODE, [graph["nodes"][index] for index in nodes])
    document = put(document, EDGE, [graph["edges"][index] for index in edges])
    assert digest(Format.DIFY, document) == PLAIN


def test_the_order_of_branches_counts() -> None:
    two = [{"case_id": "a"}, {"case_id": "b"}]
    path = (*NODE, 1, "data", "cases")
    first = digest(Format.DIFY, put(graph_copy(), path, two))
    assert digest(Format.DIFY, put(graph_copy(), path, two[::-1])) != first


@given(with_nulls(DIFY), st.sampled_from(list(Format)))
def test_a_null_member_equals_absence(document: Any, form: Format) -> None:
    assert digest(form, document) == digest(form, DIFY)


def test_a_null_in_a_list_counts() -> None:
    assert digest(Format.JSON, {"a": [None]}) != digest(Format.JSON, {"a": []})


def test_the_format_counts() -> None:
    assert len({digest(form, {"a": 1}) for form in Format}) == 3


def test_bindings_count_by_name_and_not_by_order() -> None:
    one, two = (
        Binding(name=name, secret_key_ref=KeyRef(name="keys", key=name)) for name in ("A", "B")
    )
    moved = Binding(name="A", secret_key_ref=KeyRef(name="other", key="A"))
    assert digest(Format.JSON, {}, [one, two]) == digest(Format.JSON, {}, [two, one])
    assert len({digest(Format.JSON, {}, some) for some in ([], [one], [one, two], [moved])}) == 4


def test_the_digest_has_the_documented_form() -> None:
    binding = Binding(name="A", secret_key_ref=KeyRef(name="keys", key="k"))
    text = (
        '{"bindings":{"A":{"secretKeyRef":{"key":"k","name":"keys"}}},'
        '"definition":{"a":[1,null]},"format":"YAML","v":1}'
    )
    expected = "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert digest(Format.YAML, {"b": None, "a": [1.0, None]}, [binding]) == expected


def test_the_content_digest_is_over_the_bytes() -> None:
    assert content_digest(b"") == "sha256:" + hashlib.sha256(b"").hexdigest()
    assert content_digest(b"a\n") != content_digest(b"a\r\n")


def test_layout_names_outside_of_a_graph_count() -> None:
    paths: list[Path] = [("position",), ("workflow", "features", "position")]
    for path in [*paths, (*NODE, 2, "data", "extent")]:
        assert digest(Format.DIFY, put(graph_copy(), path, 1)) != PLAIN
    assert digest(Format.YAML, put(graph_copy(), (*NODE, 0, "width"), 1)) != digest(
        Format.YAML, DIFY
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["app", "workflow", "graph", "nodes", "edges", "id", "data", "type", "source"]
            ),
            below,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(_JSON)
def test_any_shape_has_a_digest_and_its_canonical_form_is_a_fixed_point(value: Any) -> None:
    once = canonical(Format.DIFY, value)
    assert rfc8785.dumps(canonical(Format.DIFY, once)) == rfc8785.dumps(once)
    assert digest(Format.DIFY, value) == digest(Format.DIFY, once)


@EVERY_REAL_EXPORT
def test_the_digest_of_a_real_export_survives_printing_and_parsing(export: FilePath) -> None:
    form, document = detect(export.read_bytes())
    before = digest(form, document.value)
    assert before.startswith("sha256:")
    for text in (
        yaml.safe_dump(document.value, sort_keys=False, allow_unicode=True),
        yaml.safe_dump(document.value, sort_keys=True, default_style='"'),
        json.dumps(document.value),
        json.dumps(document.value, ensure_ascii=False, indent=2),
    ):
        # JSON writes characters beyond 16 bits as surrogate pairs, which YAML 1.1 does not know.
        again = parse(text.encode(), Format.JSON if text.startswith("{") else form)
        assert digest(form, again.value) == before


# RFC 8785, appendix B: IEEE 754 doubles in hexadecimal, and how JSON writes them.
@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_written_as_rfc_8785_says(bits: str, text: str) -> None:
    number = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert rfc8785.dumps(number).decode() == text


def test_keys_and_texts_are_written_as_rfc_8785_says() -> None:
    # Section 3.2.3: keys sort by UTF-16 code units; section 3.2.2.2: only these are escaped.
    keys = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\x80": 6, "\xf6": 7}
    assert list(json.loads(rfc8785.dumps(keys)).values()) == [2, 4, 6, 7, 1, 5, 3]
    text = '\u20ac$\x0f\nA\'B"\\\\"/'
    assert rfc8785.dumps(text).decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'


def test_what_rfc_8785_cannot_hold_never_reaches_a_digest() -> None:
    for text in ("a: .inf", "a: 9007199254740992", "a: .nan"):
        with pytest.raises(Refused):
            parse(text.encode(), Format.YAML)


def test_a_node_that_is_no_mapping_has_no_layout_to_lose() -> None:
    assert behaviour_of_node("text") == "text"
    assert behaviour_of_node(None) is None
    assert behaviour_of_edge("text") == "text"


@pytest.mark.parametrize(("kind", "counts"), [("iteration", False), ("loop", False), ("llm", True)])
def test_the_size_of_a_container_is_layout(kind: str, counts: bool) -> None:
    narrow, wide = ({"data": {"type": kind, "width": size}} for size in (3, 4))
    assert (behaviour_of_node(narrow) != behaviour_of_node(wide)) is counts
