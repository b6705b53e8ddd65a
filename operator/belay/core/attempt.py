"""What was tried: the key of the quarantine."""

from typing import Any

from belay.api.status import Rollout
from belay.api.words import Trigger
from belay.api.workflow import WorkflowSpec
from belay.core.fingerprint import fingerprint


def attempt_digest(spec: WorkflowSpec, digest: str) -> str:
    """sha256 over the content's digest and all of the spec that bears on its proof.

    Defaults are left out, so that a new optional field releases no quarantine. So is what bears on
    no proof: how a proven revision goes on being checked.
    """
    tried: dict[str, Any] = {"v": 1, "digest": digest, "onFailure": spec.on_failure.value}
    checks = [check.plain() for check in spec.verification.checks]
    verification = spec.verification.model_copy(update={"checks": checks})
    parts = {"target": spec.target, "verification": verification, "instances": spec.instances}
    for part, value in parts.items():
        if value is None:
            continue
        tried[part] = value.model_dump(
            mode="json",
            by_alias=True,
            exclude_none=True,
            exclude_defaults=True,
            exclude={"steady"},
        )
    if spec.preview is spec.default_preview:
        tried["verification"].pop("preview", None)
    return fingerprint(tried)


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
