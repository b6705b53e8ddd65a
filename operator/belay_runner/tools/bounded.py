"""Answers from elsewhere, read whole or not at all: bounded in bytes and in time."""

import time

import httpx


class TooMuch(Exception):
    """More than may be read; the message says of what."""


def content(response: httpx.Response, seconds: float, most_bytes: int) -> bytes:
    """The body. Raises `TooMuch`."""
    until, parts, size = time.monotonic() + seconds, [], 0
    for part in response.iter_bytes():  # as it comes: to wait for whole chunks forgets the time
        size += len(part)
        if size > most_bytes:
            raise TooMuch(f"the answer has more than {most_bytes} bytes")
        if time.monotonic() > until:
            raise TooMuch(f"the answer took longer than {seconds:g} s")
        parts.append(part)
    return b"".join(parts)
