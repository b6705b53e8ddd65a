"""Building and verifying revisions."""

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.samples import EVERY_REAL_EXPORT

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Binding, Encoding, Format, KeyRef, WorkflowRevisionSpec
from belay.core.revisions.read import detect, parse
from belay.core.revisions.revision import Damaged, Draft, Verified, build, verify

ZERO = "sha256:" + "0" * 64


def spec_of(text: str, form: Format = Format.YAML, **more: Any) -> WorkflowRevisionSpec:
    document = parse(text.encode(), form)
    return build(Draft(workflow="triage", revision="v1", form=form, document=document, **more))


def packed(content: bytes) -> str:
    return base64.b64encode(content).decode()


@pytest.mark.parametrize("compress", [False, True])
def test_a_revision_gives_back_the_very_bytes(compress: bool) -> None:
    text = "\ufeffa: 1\r\nb: 'é😀'\r\n\r\n"
    spec = spec_of(text, compress=compress)
    assert verify(spec) == Verified(
        content=text.encode(),
        format=Format.YAML,
        digest=spec.digest,
        content_digest=spec.content_digest,
    )


def test_a_definition_is_packed_the_same_way_every_time() -> None:
    assert spec_of("a: 1", compress=True) == spec_of("a: 1", compress=True)


def test_layout_changes_one_digest_and_behaviour_both() -> None:
    base, layout, behaviour = (
        spec_of(f"app: {{mode: workflow}}\nworkflow: {{graph: {graph}}}", Format.DIFY)
        for graph in ("{viewport: 1}", "{viewport: 2}", "{viewport: 1, x: 1}")
    )
    assert base.digest == layout.digest != behaviour.digest
    assert len({each.content_digest for each in (base, layout, behaviour)}) == 3


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"digest": ZERO}, "digest says sha256:00000000, the definition has sha256:"),
        ({"content_digest": ZERO}, "contentDigest says sha256:00000000, the definition has"),
        ({"definition": "a: 2"}, "contentDigest says"),
        ({"format": Format.DIFY}, "digest says"),
        ({"format": Format.JSON}, "the definition is no JSON: line 1, column 1: not JSON"),
        (
            {"bindings": [Binding(name="A", secret_key_ref=KeyRef(name="k", key="A"))]},
            "digest says",
        ),
        ({"encoding": Encoding.GZIP}, "not base64 of gzip"),
        ({"definition": "\ud800"}, "not UTF-8"),
        ({"definition": "a" * (MAX_DELIVERED_BYTES + 1)}, "more than 900 KiB"),
    ],
)
def test_a_damaged_revision_is_told_in_one_line(change: dict[str, Any], reason: str) -> None:
    verdict = verify(spec_of("a: 1").model_copy(update=change))
    assert isinstance(verdict, Damaged)
    assert reason in verdict.reason
    assert "\n" not in verdict.reason


WHOLE = gzip.compress(b"a: 1", mtime=0)


@pytest.mark.parametrize(
    "definition",
    [
        "not base64!",
        packed(b"no gzip"),
        packed(WHOLE[:-4]),
        packed(WHOLE + WHOLE),
        packed(WHOLE + b"rest"),
        packed(b""),
    ],
)
def test_gzip_must_be_one_whole_member(definition: str) -> None:
    verdict = verify(spec_of("a: 1", compress=True).model_copy(update={"definition": definition}))
    assert verdict == Damaged("the definition is not base64 of gzip, as its encoding says")


def test_a_gzip_bomb_is_not_unpacked() -> None:
    bomb = packed(gzip.compress(b" " * 200_000_000, mtime=0))
    assert len(bomb) < 1_300_000
    verdict = verify(spec_of("a: 1", compress=True).model_copy(update={"definition": bomb}))
    assert verdict == Damaged("the definition has more than 900 KiB")


@given(st.text(max_size=80), st.sampled_from(Format), st.sampled_from(Encoding))
def test_any_definition_gets_a_verdict(text: str, form: Format, encoding: Encoding) -> None:
    spec = spec_of("a: 1").model_copy(
        update={"definition": text, "format": form, "encoding": encoding}
    )
    assert isinstance(verify(spec), Verified | Damaged)


@given(
    st.dictionaries(st.text("abc", min_size=1), st.integers(-9, 9) | st.text("xyz \n"), min_size=1),
    st.booleans(),
)
def test_what_was_built_verifies_also_after_the_api_server(value: Any, compress: bool) -> None:
    spec = spec_of(json.dumps(value), Format.JSON, compress=compress)
    stored = WorkflowRevisionSpec.model_validate(json.loads(json.dumps(spec.to_api())))
    assert isinstance(verify(stored), Verified)


@pytest.mark.parametrize("bad", [{"revision": "v-1"}, {"revision": "V1"}, {"workflow": "a.b"}])
def test_names_that_the_crd_refuses_are_refused_here(bad: dict[str, str]) -> None:
    draft: dict[str, Any] = {"workflow": "triage", "revision": "v1", **bad}
    with pytest.raises(ValidationError):
        build(Draft(form=Format.YAML, document=parse(b"a: 1", Format.YAML), **draft))


@EVERY_REAL_EXPORT
@pytest.mark.parametrize("compress", [False, True], ids=["plain", "gzip"])
def test_a_real_export_verifies(export: Path, compress: bool) -> None:
    form, document = detect(export.read_bytes())
    draft = Draft(workflow="w", revision="v1", form=form, document=document, compress=compress)
    verified = verify(build(draft))
    assert isinstance(verified, Verified)
    assert verified.content == export.read_bytes()
