"""Building a WorkflowRevision, and proving that one is intact."""

import base64
import binascii
import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import rfc8785

from belay.api.names import MAX_DELIVERED_BYTES
from belay.api.revision import Binding, Encoding, Format, Source, WorkflowRevisionSpec
from belay.core.revisions.canonical import content_digest, digest
from belay.core.revisions.document import Document, Refused
from belay.core.revisions.read import parse

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a revision is made from: a document without secrets, and what people say of it."""

    workflow: str
    revision: str
    form: Format
    document: Document
    bindings: Sequence[Binding] = ()
    compress: bool = False
    author: str | None = None
    message: str | None = None
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """An intact revision: the bytes that pods get, and its digests."""

    content: bytes
    format: Format
    digest: str
    content_digest: str


@dataclass(frozen=True, slots=True)
class Damaged:
    """A revision that cannot be trusted, and one line that says why."""

    reason: str


def build(draft: Draft) -> WorkflowRevisionSpec:
    """The spec of a revision. Raises pydantic.ValidationError for names that the CRD refuses."""
    text = draft.document.text
    content = text.encode()
    return WorkflowRevisionSpec(
        workflow_name=draft.workflow,
        revision=draft.revision,
        definition=_compressed(content) if draft.compress else text,
        format=draft.form,
        media_type=draft.form.media_type,
        encoding=Encoding.GZIP if draft.compress else Encoding.IDENTITY,
        bindings=list(draft.bindings),
        author=draft.author,
        message=draft.message,
        source=draft.source,
        digest=digest(draft.form, draft.document.value, draft.bindings),
        content_digest=content_digest(content),
    )


def verify(spec: WorkflowRevisionSpec) -> Verified | Damaged:
    """Recompute both digests, with caps on size and depth. Total: any spec gives an answer."""
    content = _content(spec)
    if isinstance(content, Damaged):
        return content
    found = content_digest(content)
    if found != spec.content_digest:
        return _mismatch("contentDigest", spec.content_digest, found)
    try:
        document = parse(content, spec.format)
        found = digest(spec.format, document.value, spec.bindings)
    except (Refused, rfc8785.CanonicalizationError) as error:
        return Damaged(f"the definition is no {spec.format}: {error}")
    if found != spec.digest:
        return _mismatch("digest", spec.digest, found)
    return Verified(
        content=content,
        format=spec.format,
        digest=spec.digest,
        content_digest=spec.content_digest,
    )


def _mismatch(name: str, declared: str, found: str) -> Damaged:
    return Damaged(f"{name} says {declared[:15]}, the definition has {found[:15]}")


def _compressed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, mtime=0)).decode("ascii")


def _content(spec: WorkflowRevisionSpec) -> bytes | Damaged:
    try:
        content = (
            spec.definition.encode()
            if spec.encoding is Encoding.IDENTITY
            else _expanded(spec.definition)
        )
    except UnicodeEncodeError:
        return Damaged("the definition is not UTF-8 text")
    except (binascii.Error, ValueError, zlib.error):
        return Damaged("the definition is not base64 of gzip, as its encoding says")
    if len(content) > MAX_DELIVERED_BYTES:
        return Damaged(f"the definition has more than {MAX_DELIVERED_BYTES // 1024} KiB")
    return content


def _expanded(text: str) -> bytes:
    """One gzip member, read no further than one byte past the cap."""
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    content = unpacker.decompress(base64.b64decode(text, validate=True), MAX_DELIVERED_BYTES + 1)
    complete = unpacker.eof and not unpacker.unused_data
    if len(content) <= MAX_DELIVERED_BYTES and not complete:
        raise ValueError("not one whole gzip member")
    return content
