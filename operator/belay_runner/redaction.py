"""Texts that leave the process: cut to a length that fits a status, and free of secrets."""

import re
from collections.abc import Iterable

LIMIT = 500
"""Characters of an error that are told. The contract says so."""
_SHORTEST = 4
"""A shorter value would blank out half of every text."""
_HIDDEN = "***"
_AUTHORITY = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(r"(https?://[^\s?'\"<>]+)\?[^\s'\"<>]*")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[-._~+/=A-Za-z0-9]{6,}")
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):.*?\n(?=\S)", re.DOTALL)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """The text without the frames of tracebacks, without credentials and the queries of URLs."""
    told = _TRACEBACK.sub("", text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            told = told.replace(secret, _HIDDEN)
    told = _QUERY.sub(rf"\1?{_HIDDEN}", _AUTHORITY.sub(f"{_HIDDEN}@", told))
    told = " ".join(_BEARER.sub(rf"\1 {_HIDDEN}", told).split())
    return told if len(told) <= LIMIT else f"{told[: LIMIT - 1]}…"
