"""Closed lists of words: phases, outcomes, reasons, condition types.

The same word stands in conditions, events, metrics, logs and runbooks.
"""

from enum import StrEnum


class Phase(StrEnum):
    """Where a rollout is; `status.rollout.phase`."""

    PENDING = "Pending"
    """Waiting for something that has not appeared yet."""
    GATING = "Gating"
    """Deciding whether to start, before anything is touched."""
    PREVIEWING = "Previewing"
    """Trying the revision in one pod that no Service selects."""
    PAUSING = "Pausing"
    """Stopping running instances at a safe point."""
    BACKING_UP = "BackingUp"
    """Storing what runs now."""
    DELIVERING = "Delivering"
    """Bringing the revision to the target's pods."""
    VERIFYING = "Verifying"
    """The gate: synthetic checks of the delivered revision."""
    RESUMING = "Resuming"
    """Letting instances go on."""
    OBSERVING = "Observing"
    """Watching real traffic for the window."""
    REVERTING = "Reverting"
    """Putting the stable revision back."""
    SUSPENDED = "Suspended"
    """A person took over by spec.suspend."""


class Outcome(StrEnum):
    """How a rollout ended."""

    PROMOTED = "Promoted"
    """Proven; it is the stable revision now."""
    REVERTED = "Reverted"
    """Not proven; the stable revision runs."""
    HELD = "Held"
    """Not proven; left as it is for a person to decide."""
    FAILED = "Failed"
    """Not proven, and there was nothing to revert to."""
    SUPERSEDED = "Superseded"
    """A newer wish took its place."""
    REFUSED = "Refused"
    """Not started; nothing was touched."""
    ABORTED = "Aborted"
    """Stopped by a person; the stable revision runs."""
    REVERT_FAILED = "RevertFailed"
    """Neither the new nor the stable revision is healthy; hands off."""


class Reason(StrEnum):
    """Why something is as it is."""

    # Waiting
    REVISION_NOT_FOUND = "RevisionNotFound"
    TARGET_NOT_FOUND = "TargetNotFound"
    PROGRESSING = "Progressing"
    SUSPENDED = "Suspended"
    PROBING_SUSPENDED = "ProbingSuspended"

    # Good ends and milestones
    ROLLOUT_STARTED = "RolloutStarted"
    ACTIVATED = "Activated"
    PROMOTED = "Promoted"
    SAME_CONTENT = "SameContent"
    AVAILABILITY_ONLY = "AvailabilityOnly"
    CHECK_PASSED = "CheckPassed"
    ADOPTED = "Adopted"
    PUT_BACK = "PutBack"
    RESTORED = "Restored"

    # Refused before anything was touched
    REVISION_INVALID = "RevisionInvalid"
    DIGEST_MISMATCH = "DigestMismatch"
    REVISION_REPLACED = "RevisionReplaced"
    QUARANTINED = "Quarantined"
    TARGET_NOT_CONSENTING = "TargetNotConsenting"
    TARGET_UNSUPPORTED = "TargetUnsupported"
    INSTANCES_UNSUPPORTED = "InstancesUnsupported"
    CONTAINER_AMBIGUOUS = "ContainerAmbiguous"
    MOUNT_PATH_NOT_ALLOWED = "MountPathNotAllowed"
    MOUNT_PATH_TAKEN = "MountPathTaken"
    PREVIEW_IMPOSSIBLE = "PreviewImpossible"
    CHECK_INVALID = "CheckInvalid"
    CHECK_CREDENTIALS = "CheckCredentials"
    CHECK_FORBIDDEN = "CheckForbidden"
    DELIVERY_CONFLICT = "DeliveryConflict"
    DELIVERY_DENIED = "DeliveryDenied"

    # The revision's own fault: quarantined
    CHECK_FAILED = "CheckFailed"
    CRASH_LOOP = "CrashLoop"
    NOT_READY = "NotReady"
    CONTAINER_RESTARTED = "ContainerRestarted"
    WRONG_CONTENT = "WrongContent"
    REVISION_REJECTED = "RevisionRejected"

    # Trouble around it: not quarantined
    ENVIRONMENT_CONFIGURATION = "EnvironmentConfiguration"
    ENVIRONMENT_FORBIDDEN = "EnvironmentForbidden"
    ENVIRONMENT_IMAGE = "EnvironmentImage"
    ENVIRONMENT_MOUNT = "EnvironmentMount"
    ENVIRONMENT_QUOTA = "EnvironmentQuota"
    ENVIRONMENT_SCHEDULING = "EnvironmentScheduling"
    ENVIRONMENT_TARGET_GONE = "EnvironmentTargetGone"
    TARGET_CHANGED = "TargetChanged"
    PAUSE_TIMEOUT = "PauseTimeout"
    PAUSE_CONTESTED = "PauseContested"
    BACKUP_FAILED = "BackupFailed"
    ENGINE_UNREACHABLE = "EngineUnreachable"
    INCONCLUSIVE = "Inconclusive"
    NO_PODS = "NoPods"

    # People and ways back
    DRIFTED = "Drifted"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"
    STABLE_FAILING = "StableFailing"
    REVERT_TIMEOUT = "RevertTimeout"
    RESTORE_FAILED = "RestoreFailed"
    STABLE_REVISION_DELETED = "StableRevisionDeleted"


class ConditionType(StrEnum):
    """Conditions of a Workflow; kstatus words where kstatus has them."""

    READY = "Ready"
    """The wanted revision is active and proven."""
    ACTIVE = "Active"
    """The wanted revision is delivered and through the gate."""
    SERVING = "Serving"
    """What runs now is proven, and its last check passed."""
    RECONCILING = "Reconciling"
    """Moving or waiting; absent at rest."""
    STALLED = "Stalled"
    """Someone must act; absent when fine."""
    DRIFTED = "Drifted"
    """The targets do not carry what is active; absent when fine."""


class RolloutKind(StrEnum):
    """Which way a rollout goes."""

    ROLLOUT = "Rollout"
    """The target revision was not active before."""
    ROLLBACK = "Rollback"
    """The target revision was active before."""


class Trigger(StrEnum):
    """Who asked for a rollout."""

    SPEC = "Spec"
    """A change of the Workflow's spec."""
    RETRY = "Retry"
    """The annotation belay.dev/retry."""
    ADOPTION = "Adoption"
    """The target was found to carry a delivery that the status knew nothing of."""
    DRIFT = "Drift"
    """Somebody took the delivery out of the target."""


class Stage(StrEnum):
    """When a check runs."""

    PREVIEW = "Preview"
    """Before anything live is touched, in a pod that no Service selects."""
    GATE = "Gate"
    """As soon as the revision is delivered."""
    OBSERVATION = "Observation"
    """After the gate, on real traffic, for the window."""


class Verdict(StrEnum):
    """What a check says."""

    PASS = "Pass"  # noqa: S105
    """The right answer."""
    FAIL = "Fail"
    """A wrong answer, or none where one was due."""
    INCONCLUSIVE = "Inconclusive"
    """No evidence either way."""
