"""Parts of a status, as the API server stores them."""

from typing import Any

WHEN = "2026-03-01T12:00:00Z"
REF = {
    "revision": "v2",
    "digest": "sha256:" + "a" * 64,
    "contentDigest": "sha256:" + "b" * 64,
    "uid": "u",
    "format": "YAML",
}
ROLLOUT: dict[str, Any] = {
    "id": "3-1",
    "kind": "Rollout",
    "trigger": "Spec",
    "to": REF,
    "attemptDigest": "sha256:" + "c" * 64,
    "phase": "Verifying",
    "startedAt": WHEN,
    "phaseStartedAt": WHEN,
}
HISTORY: dict[str, Any] = {
    "id": "2-1",
    "kind": "Rollout",
    "revision": "v2",
    "digest": "sha256:" + "a" * 12,
    "outcome": "Promoted",
    "reason": "Promoted",
    "startedAt": WHEN,
    "endedAt": WHEN,
}
