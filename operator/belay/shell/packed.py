"""JSON as it is kept in the binaryData of a ConfigMap: compressed, and bounded when read."""

import base64
import gzip
import json
import zlib
from typing import Any, Final

_MOST: Final = 64 * 1024 * 1024


def pack(told: Any) -> str:
    """The same bytes for the same value."""
    text = json.dumps(told, separators=(",", ":")).encode()
    return base64.b64encode(gzip.compress(text, 6, mtime=0)).decode()


def unpack(packed: str) -> Any:
    """Raises `ValueError` for what is damaged, or unpacks to more than 64 MiB."""
    try:
        unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return json.loads(unpacker.decompress(base64.b64decode(packed, validate=True), _MOST))
    except zlib.error as error:
        raise ValueError(str(error)) from error
