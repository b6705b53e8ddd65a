"""Names that other objects carry for Belay: group, annotations, labels, field managers."""

from typing import Final

GROUP: Final = "belay.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"

ANNOTATION_WORKFLOW: Final = "belay.dev/workflow"
"""On a target: its owner's consent to be moved by the Workflow named here."""
ANNOTATION_RETRY: Final = "belay.dev/retry"
ANNOTATION_ABORT: Final = "belay.dev/abort"
ANNOTATION_RESTORE: Final = "belay.dev/restore"
"""`<backup>[/all][/<token>]`: give runs of this backup that are in no pod to a pod once more."""
ANNOTATION_CURRENT: Final = "belay.dev/current"
"""On a pod template: the pointer {digest, contentDigest, file}, projected as current.json."""
ANNOTATION_CONTENT_DIGEST: Final = "belay.dev/content-digest"
ANNOTATION_REVISION: Final = "belay.dev/revision"
"""On a pod template and a delivered ConfigMap: the name under which this content came first."""

LABEL_WORKFLOW: Final = "belay.dev/workflow"
LABEL_MANAGED: Final = "belay.dev/managed"
LABEL_PREVIEW: Final = "belay.dev/preview"
LABEL_PAUSED_BY: Final = "belay.dev/paused-by"
"""On an instance that Belay paused: UID of the Workflow."""
LABEL_PAUSED_AGAIN: Final = "belay.dev/paused-again"
"""On one that somebody else had resumed meanwhile: id of the rollout that paused it once more."""

LABEL_RECORD_OF: Final = "belay.dev/record-of"
"""On the account of a rollout's instances: name of the Workflow."""

MANAGER_DELIVERY: Final = "belay-delivery"
MANAGER_PAUSE: Final = "belay-pause"
MANAGER_STATUS: Final = "belay-status"

VOLUME: Final = "belay"
"""The one projected volume that a delivery adds to a pod template."""
POINTER_FILE: Final = "current.json"
POINTER_SUFFIX: Final = "-current"
"""Of the name of the ConfigMap that workloads updated in place watch."""
DEFAULT_MOUNT_PATH: Final = "/etc/belay"
CREDENTIALS_SECRET_TYPE: Final = "belay.dev/check-credentials"  # noqa: S105
CREDENTIALS_ROLE: Final = "belay-check-credentials"
BACKUP_SECRET_TYPE: Final = "belay.dev/backup"  # noqa: S105
LABEL_BACKUP_OF: Final = "belay.dev/backup-of"
"""On what is kept of a Workflow's runs: its name."""
LABEL_BACKUP: Final = "belay.dev/backup"
"""On each part of a backup: the name of the backup, without that of its Workflow."""
ANNOTATION_ENGINE: Final = "belay.dev/engine"
"""On a target whose engine is paused: how that engine is spoken with."""
ANNOTATION_RUNS: Final = "belay.dev/runs"
"""On the same: of which Workflow its runs are, and the names of their record and backup."""

MAX_DELIVERED_BYTES: Final = 900 * 1024
"""A ConfigMap ends at 1 MiB; the rest is for its metadata."""
CLIENT_SIDE_APPLY_BYTES: Final = 250 * 1024
"""Above this the last-applied annotation of a plain `kubectl apply` does not fit (256 KiB)."""
