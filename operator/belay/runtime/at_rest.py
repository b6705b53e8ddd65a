"""Tells from a raw Workflow whether its operator has anything left to do for it."""

from typing import Any, Final

from belay.api.names import ANNOTATION_ABORT, ANNOTATION_RETRY
from belay.api.words import Outcome

_OVER: Final = frozenset(Outcome)
_TOKENS: Final = {ANNOTATION_RETRY: "lastHandledRetry", ANNOTATION_ABORT: "lastHandledAbort"}


def is_at_rest(raw: Any) -> bool:
    """Whether the newest wish and all tokens were answered: it can wait until others were seen."""
    metadata, status = raw["metadata"], raw.get("status") or {}
    annotations = metadata.get("annotations") or {}
    return (
        "deletionTimestamp" not in metadata
        and status.get("observedGeneration") == metadata.get("generation")
        and status.get("phase") in _OVER
        and all(annotations.get(a) in (None, status.get(told)) for a, told in _TOKENS.items())
    )
