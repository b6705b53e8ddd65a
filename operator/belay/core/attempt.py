"""What was tried: the key of the quarantine."""

from belay.api.status import Rollout
from belay.api.words import Trigger
from belay.api.workflow import WorkflowSpec
from belay.core.fingerprint import fingerprint, sha256


def attempt_digest(spec: WorkflowSpec, digest: str) -> str:
    """sha256 over the content's digest and all of the spec that bears on its proof.

    It is the fingerprint of both as one object, in which `digest` is the first of the sorted keys.
    """
    return sha256(f'{{"digest":"{digest}",{spec.tried[1:]}')


def is_wished(spec: WorkflowSpec, rollout: Rollout) -> bool:
    """Whether the rollout tries exactly what the spec asks for now."""
    return (
        spec.active_revision == rollout.to.revision
        and attempt_digest(spec, rollout.to.digest) == rollout.attempt_digest
    )


def unwished(digest: str) -> str:
    """Of what was found running while something else is wished for: equal to no wish."""
    return fingerprint({"v": 1, "found": digest})


def only_found(spec: WorkflowSpec, rollout: Rollout) -> bool:
    """Whether the rollout proves what was found running, and something else is wished for."""
    return rollout.trigger is Trigger.ADOPTION and (
        spec.active_revision != rollout.to.revision
        or rollout.attempt_digest == unwished(rollout.to.digest)
    )
