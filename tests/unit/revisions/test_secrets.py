"""Secrets in clear: what is noticed, and how it is taken out."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.samples import EVERY_REAL_EXPORT, TRIAGE, real_export

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Format
from belay.core.revisions.document import Document, Refused
from belay.core.revisions.read import detect, parse
from belay.core.revisions.secrets import find_secrets
from belay.core.revisions.take_out import take_out

# Put together here, so that no scanner takes this file for a leak.
KEY = "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2"
JWT = "eyJ" + "hbGciOiJIUzI1NiJ9.eyJ" + "zdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz"
RANDOM = "9f86d081884c7d659a2feaa0c55ad015"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: AES\n\nMIIEow==\n-----END RSA PRIVATE KEY-----"


ONE_SECRET = "{workflow: {environment_variables: [{name: A, value_type: secret, value: long-one}]}}"


def read(value: Any) -> Document:
    return parse(json.dumps(value).encode(), Format.JSON)


def found_in(value: Any) -> list[str]:
    """The secret texts in a value."""
    return [
        str(secret.node.value)[start:end]
        for secret in find_secrets(read(value))
        if secret.node is not None
        for start, end in secret.spans
    ]


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ({"text": f"use {KEY} please"}, KEY),
        ({"a": "ghp_" + "x" * 36}, "ghp_" + "x" * 36),
        ({"a": "AKIA" + "ABCDEFGHIJKLMNOP"}, "AKIA" + "ABCDEFGHIJKLMNOP"),
        ({"a": "xoxb-" + "1234567890-abc"}, "xoxb-" + "1234567890-abc"),
        ({"a": "AIza" + "b" * 35}, "AIza" + "b" * 35),
        ({"a": [{"b": JWT}]}, JWT),
        ({"note": f"before\n{PEM}\nafter"}, PEM),
        ({"headers": "Accept: x\nAuthorization: Bearer abcdefgh1234567890"}, "abcdefgh1234567890"),
        ({"headers": "X-Api-Key:secret-4711"}, "secret-4711"),
        ({"authorization": "Basic dXNlcjpwYXNzd29yZA=="}, "dXNlcjpwYXNzd29yZA=="),
        ({"url": "https://bob:hunter2@example.com/x"}, "hunter2"),
        ({"url": "https://example.com/x?key=4f5a6b7c8d9e0f"}, "4f5a6b7c8d9e0f"),
        ({"code": 'api_key = "abcdef123456789"'}, "abcdef123456789"),
        ({"body": '{"token": "abcdef123456789"}'}, "abcdef123456789"),
        ({"apiKey": RANDOM}, RANDOM),
        ({"client-secret": RANDOM}, RANDOM),
        ({"password": "hunter2"}, "hunter2"),
        ({"name": "CRM_TOKEN", "value": RANDOM}, RANDOM),
        ({"authorization": {"config": {"api_key": "short"}}}, "short"),
    ],
)
def test_key_like_values_are_noticed(value: Any, secret: str) -> None:
    assert found_in(value) == [secret]


@pytest.mark.parametrize(
    "value",
    [
        {"api_key": "{{#env.CRM_KEY#}}"},
        {"authorization": {"config": {"api_key": "Bearer {{#env.CRM_KEY#}}"}}},
        {"authorization": {"config": {"api_key": ""}}},
        {"authorization": {"config": {"api_key": None}}},
        {"authorization": {"config": {"api_key": "*" * 20}}},
        {"api_key": "[__HIDDEN__]"},
        {"headers": "Authorization: Bearer {{#env.TOKEN#}}\nContent-Type: application/json"},
        {"password": "${PASSWORD}"},
        {"max_tokens": 1024, "token_limit": "1024"},
        {"key": "Content-Type", "value": "application/json"},
        {"key": "source_language"},
        {"text": "A bearer of responsibilities writes task-sk-ip lists."},
        {"url": "https://example.com/path?keyword=something-long-2024"},
        {"plugin_unique_identifier": f"a/b:0.0.1@{RANDOM}{RANDOM}"},
        {"dataset_ids": ["3fa85f64-5717-4562-b3fc-2c963f66afa6"]},
        {"variable": "password", "label": "password", "type": "text-input"},
    ],
)
def test_references_masks_and_plain_words_are_no_secrets(value: Any) -> None:
    assert found_in(value) == []


def environment(*variables: dict[str, Any]) -> dict[str, Any]:
    return {"workflow": {"environment_variables": list(variables)}}


def variable(name: str, value: Any, kind: str = "secret") -> dict[str, Any]:
    return {"name": name, "value": value, "value_type": kind}


@pytest.mark.parametrize(("value", "number"), [("x", 1), (4711, 1), ("", 0), ("*" * 20, 0)])
def test_any_value_of_a_secret_variable_is_a_secret(value: Any, number: int) -> None:
    assert len(find_secrets(read(environment(variable("A", value))))) == number


def test_places_are_called_as_people_know_them() -> None:
    node = {"data": {"type": "http-request", "title": "call crm"}}
    node["data"]["authorization"] = {"config": {"api_key": "k"}}  # type: ignore[assignment]
    document = environment(variable("HOST", "x", "string"), variable("CRM_KEY", "x"))
    document["workflow"]["graph"] = {"nodes": [node]}
    assert [str(secret) for secret in find_secrets(read(document))] == [
        'environment_variables[1] "CRM_KEY" (secret)',
        'node http-request "call crm" authorization.config.api_key (looks like a key)',
    ]


def test_a_secret_that_stands_elsewhere_too_is_noticed_and_shares_its_reference() -> None:
    document = environment(variable("CRM_KEY", "not-a-shape"))
    document["workflow"]["features"] = {"opening_statement": "Use not-a-shape."}
    assert [secret.why for secret in find_secrets(read(document))] == ["secret", "the same key"]
    taken = take_out(read(document), Format.JSON, "keys")
    assert [binding.name for binding in taken.bindings] == ["CRM_KEY"]
    assert '"Use {{#env.CRM_KEY#}}."' in taken.document.text


def test_comments_and_keys_are_looked_at_too() -> None:
    document = parse(f"a: 1  # {KEY}\n{KEY}: 2\n".encode(), Format.YAML)
    assert [secret.place.line for secret in find_secrets(document)] == [1, 2]
    with pytest.raises(Refused, match="line 1, outside of any value"):
        take_out(document, Format.YAML, "keys")


@pytest.mark.parametrize(
    "text",
    [
        f"a: |  # {KEY}\n  text\n",
        f"a: &x # {KEY}\n  text\nb: *x\n",
        f"a: &x\n  # {KEY}\n  text\n",
        f"a: !!str\n  # {KEY}\n  text\n",
        f"a: !!str &x # {KEY}\n  |- # more\n  text\n",
    ],
)
def test_a_comment_between_a_key_and_its_value_is_outside_of_the_value(text: str) -> None:
    document = parse(text.encode(), Format.YAML)
    assert [str(secret.node) for secret in find_secrets(document)] == ["None"]
    with pytest.raises(Refused, match="outside of any value"):
        take_out(document, Format.YAML, "keys")


def test_a_text_that_only_looks_like_the_start_of_a_value_is_inside() -> None:
    document = parse(f"a: |\n  # {KEY}\nb: '&x # {KEY}'\n".encode(), Format.YAML)
    assert [secret.label for secret in find_secrets(document)] == ["a", "b"]
    assert KEY not in take_out(document, Format.YAML, "keys").document.text


def test_a_text_that_references_make_too_large_is_refused_for_that() -> None:
    short = "ab1-" * 2
    many = {"workflow": {"environment_variables": [variable("A_RATHER_LONG_NAME", short)]}}
    text = json.dumps({**many, "text": f"{short} " * 95_000})
    assert len(text) < MAX_DELIVERED_BYTES
    document = parse(text.encode(), Format.JSON)
    with pytest.raises(Refused, match=r"too large with references .* at most 900 KiB"):
        take_out(document, Format.JSON, "keys")


def test_a_key_that_stands_inside_of_a_longer_word_too_is_left_to_people() -> None:
    document = parse(f'a: "{KEY} and x{KEY}"\n'.encode(), Format.YAML)
    with pytest.raises(Refused, match="cannot be told from the text around it"):
        take_out(document, Format.YAML, "keys")


def test_references_that_make_repeated_text_too_long_are_left_to_people() -> None:
    """Each stands once in the file, and as often as aliases repeat it in what is read."""
    keys = " ".join(["ab1-" * 2] * 4_000)
    variable = "{name: A_RATHER_LONG_NAME, value_type: secret, value: ab1-ab1-}"
    lines = [
        f"workflow: {{environment_variables: [{variable}]}}",
        f"a: &a [{json.dumps(keys)}]",
        f"b: [{', '.join(['*a'] * 100)}]",
    ]
    document = parse("\n".join(lines).encode(), Format.YAML)
    with pytest.raises(Refused, match="cannot be told from the text around it"):
        take_out(document, Format.YAML, "keys")


def test_a_secret_beside_the_value_of_a_variable_is_not_the_variable() -> None:
    host = {**variable("HOST", "crm:80", "string"), "description": f"use {KEY}"}
    taken = take_out(read(environment(host)), Format.JSON, "keys")
    (binding,) = taken.bindings
    assert binding.name != "HOST"
    assert '"crm:80"' in taken.document.text


def test_a_variable_without_a_name_has_its_secret_taken_out_by_its_place() -> None:
    nameless = {"value_type": "secret", "value": "long-enough"}
    document = environment(nameless, variable("B", "another-one"))
    taken = take_out(read(document), Format.JSON, "keys")
    assert [binding.name for binding in taken.bindings if binding.name == "B"]
    assert "long-enough" not in taken.document.text


FILE = f"""\
\ufeff# kept: a comment\r
app: {{mode: workflow}}\r
workflow:\r
  environment_variables:\r
  - {{name: CRM_KEY, value_type: secret, value: "s3cret"}}   # also kept\r
  - name: EMPTY\r
    value: ''\r
    value_type: secret\r
  graph:\r
    nodes:\r
    - id: '17'\r
      data:\r
        type: http-request\r
        title:   'call  crm'\r
        authorization: {{config: {{api_key: {RANDOM}}}}}\r
        headers: |\r
          Accept: text/plain\r
          X-Api-Key: {RANDOM}\r
        folded: >-\r
          some words and\r
          {KEY}\r
        block: |\r
          {PEM.splitlines()[0]}\r
          MIIEow==\r
          {PEM.splitlines()[-1]}\r
        last: plain {KEY} text\r
"""


def test_only_the_secrets_change_and_every_other_byte_stays() -> None:
    document = parse(FILE.encode(), Format.DIFY)
    taken = take_out(document, Format.DIFY, "keys")
    shared = "{{#env.API_KEY_17#}}"
    text = (
        FILE.replace('"s3cret"', "''")
        .replace(f"api_key: {RANDOM}", f"api_key: '{shared}'")
        .replace(f"X-Api-Key: {RANDOM}", f"X-Api-Key: {shared}")
        .replace(f"          {KEY}", "          {{#env.FOLDED_17#}}")
        .replace(f"last: plain {KEY} text", "last: 'plain {{#env.FOLDED_17#}} text'")
    )
    start, end = text.index("|\r\n          -----BEGIN"), text.index("        last")
    text = text[:start] + '"{{#env.BLOCK_17#}}\\n"\r\n' + text[end:]
    assert taken.document.text == text
    assert [binding.name for binding in taken.bindings] == [
        "API_KEY_17",
        "BLOCK_17",
        "CRM_KEY",
        "EMPTY",
        "FOLDED_17",
    ]
    assert all(
        binding.secret_key_ref is not None
        and (binding.secret_key_ref.name, binding.secret_key_ref.key) == ("keys", binding.name)
        for binding in taken.bindings
    )


def test_names_do_not_depend_on_the_order_of_nodes() -> None:
    def nodes(*ids: str) -> dict[str, Any]:
        keys = {"1": KEY, "2": KEY.replace("a1", "z9")}
        found = [{"id": name, "data": {"api_key": keys[name]}} for name in ids]
        return {"workflow": {"graph": {"nodes": found}}}

    one, two = (take_out(read(nodes(*ids)), Format.JSON, "keys") for ids in ("12", "21"))
    assert one.bindings == two.bindings
    first, second = (
        {node["id"]: node["data"] for node in graph["nodes"]}
        for taken in (one, two)
        for graph in [json.loads(taken.document.text)["workflow"]["graph"]]
    )
    assert first == second


def test_two_secrets_in_one_field_get_two_names() -> None:
    other = KEY.replace("a1", "z9")
    taken = take_out(read({"headers": f"A: {KEY}\nB: {other}"}), Format.JSON, "keys")
    names = [binding.name for binding in taken.bindings]
    assert len(names) == 2
    assert taken.document.value == {
        "headers": f"A: {{{{#env.{names[0]}#}}}}\nB: {{{{#env.{names[1]}#}}}}"
    }


def test_a_name_never_takes_that_of_a_variable() -> None:
    document = environment(variable("API_KEY_9", "plain", "string"))
    document["workflow"]["graph"] = {"nodes": [{"id": "9", "data": {"api_key": KEY}}]}
    taken = take_out(read(document), Format.JSON, "keys")
    assert [binding.name for binding in taken.bindings] == ["API_KEY_9_2"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (f"a: &x {KEY}\nb: *x", "no reference can stand here"),
        (f"a: !!str {KEY}", "no reference can stand here"),
        (f"a: {KEY}\nb: no-{KEY}", None),
        (
            f"workflow: {{conversation_variables: [{{name: a, value: {KEY}}}]}}",
            "no reference can stand here",
        ),
        ("workflow: {environment_variables: [{name: A, value_type: secret, value: [a]}]}", "hand"),
        (
            "workflow: {environment_variables: [{name: 'A b', value_type: secret, value: a}]}",
            "rename the variable",
        ),
        (
            f"{ONE_SECRET} # long-one",
            "in another place too",
        ),
        ("".join(f"k{i}: {{token: {RANDOM}{i}}}\n" for i in range(33)), "at most 32 bindings"),
    ],
)
def test_what_cannot_be_taken_out_stops_the_import(text: str, reason: str | None) -> None:
    document = parse(text.encode(), Format.YAML)
    if reason is None:
        assert find_secrets(take_out(document, Format.YAML, "keys").document) == []
        return
    with pytest.raises(Refused, match=reason):
        take_out(document, Format.YAML, "keys")


_WORDS = st.text("ab {}'\"\\:#-\n\té😀%&*!|>", max_size=10)
_VALUES = st.builds("{}{}{}".format, _WORDS, st.sampled_from([KEY, f" {JWT} ", RANDOM]), _WORDS)
_DOCUMENTS = st.dictionaries(
    st.sampled_from(["api_key", "text", "headers", "x y", "token"]),
    st.recursive(_VALUES | _WORDS, lambda below: st.lists(below, max_size=3), max_leaves=6),
    min_size=1,
)


@given(_DOCUMENTS, st.sampled_from([None, "'", '"', "|", ">"]), st.booleans())
def test_a_text_without_its_secrets_reads_as_the_same_document(
    value: dict[str, Any], style: str | None, flow: bool
) -> None:
    text = yaml.safe_dump(value, default_style=style, default_flow_style=flow, allow_unicode=True)
    document = parse(text.encode(), Format.YAML)
    secrets = [str(s.node.value)[a:b] for s in find_secrets(document) if s.node for a, b in s.spans]
    taken = take_out(document, Format.YAML, "keys")
    assert not any(secret in taken.document.text for secret in secrets)
    assert find_secrets(taken.document) == []
    again = yaml.safe_load(taken.document.text)
    assert _shape(again) == _shape(value)
    if not secrets:
        assert taken.document.text == text


def _shape(value: Any) -> Any:
    """The document with every text but its own length aside."""
    if isinstance(value, dict):
        return {key: _shape(member) for key, member in value.items()}
    return [_shape(item) for item in value] if isinstance(value, list) else type(value)


def test_the_key_in_a_real_export_is_noticed_and_taken_out() -> None:
    form, document = detect(real_export("operations-pipeline.yml").read_bytes())
    secrets = find_secrets(document)
    assert [secret.label for secret in secrets] == [
        f'node http-request "ImgRender - {number}" authorization.config.api_key'
        for number in (1, 2, 3, 4)
    ]
    taken = take_out(document, form, "keys")
    assert len(taken.bindings) == 1
    assert "ExampleExample" not in taken.document.text


@EVERY_REAL_EXPORT
def test_a_real_export_is_clean_or_can_be_cleaned(export: Path) -> None:
    form, document = detect(export.read_bytes())
    if not find_secrets(document):
        assert take_out(document, form, "keys").document.text == document.text
        return
    assert export.name == "operations-pipeline.yml"
    assert find_secrets(take_out(document, form, "keys").document) == []


@pytest.mark.parametrize("name", ["v1", "v2", "v3", "v4"])
def test_the_sample_holds_no_secrets(name: str) -> None:
    assert find_secrets(detect((TRIAGE / f"{name}.yml").read_bytes())[1]) == []
