"""A pod's report of the content that it runs. Nothing of it reaches a person but a digest."""

import json
import re
from typing import Any, Final

from belay.api.model import DIGEST_PATTERN
from belay.core.evidence.probe import Answer, Report

_DIGEST: Final = re.compile(DIGEST_PATTERN)
_SHOWN: Final = 19


def reported(body: bytes, report: Report) -> tuple[Answer, str]:
    """Whether an answer reports the wanted content."""
    try:
        found = at_pointer(json.loads(body), report.pointer)
    except (ValueError, RecursionError):
        return Answer.WRONG, "something that is no JSON"
    except LookupError:
        return Answer.WRONG, f"no {report.pointer or 'digest'} in its JSON"
    if not isinstance(found, str) or not _DIGEST.fullmatch(found):
        return Answer.WRONG, f"no digest at {report.pointer or 'the root'}"
    return Answer.RIGHT if found == report.wanted else Answer.WRONG, found[:_SHOWN]


def at_pointer(document: Any, pointer: str) -> Any:
    """What a JSON pointer (RFC 6901) names. Raises `LookupError` where there is nothing."""
    for token in pointer.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document[name]
        elif isinstance(document, list) and re.fullmatch(r"0|[1-9][0-9]{0,9}", name):
            document = document[int(name)]
        else:
            raise LookupError(name)
    return document
