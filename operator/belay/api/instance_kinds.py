"""Kinds of instances that can be paused: the administrator's configuration."""

from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, field_validator

from belay.api.instances import Policy
from belay.api.model import ApiModel

Scalar = bool | int | str
_PATH: Final = r"^[a-z][A-Za-z0-9]*(\.[a-z][A-Za-z0-9]*)*$"
Path = Annotated[str, Field(pattern=_PATH)]


class _Strict(ApiModel):
    model_config = ConfigDict(extra="forbid")


class Finished(_Strict):
    """How a finished instance is known; it is neither touched nor counted."""

    conditions: list[str] = []
    """Types of status.conditions, one of which is True."""
    path: Path | None = None
    """Field whose value tells."""
    values: list[str] = []
    """Its values when finished."""


class Stands(_Strict):
    """How its controller says that an instance stands still; all that is given must hold."""

    conditions: list[str] = []
    """Types of status.conditions that are all True."""
    without: list[str] = []
    """Types of status.conditions of which none is True."""
    path: Path | None = None
    """Field whose value tells."""
    values: list[str] = []
    """Its values then."""


class ManagedBy(_Strict):
    """A kind with one object for each instance, by which its controller suspends and resumes it."""

    group: str
    kind: str
    label: str
    """Label on such an object whose value is the UID of the instance."""


class Write(_Strict):
    """One field and what to write there."""

    path: Path
    value: Scalar


class InstanceKind(_Strict):
    """One kind, and how it is paused: by the value of one field, which Belay gives up again."""

    group: str = ""
    version: str
    resource: str
    """Plural name, as in the API's path."""
    kind: str
    path: Path = "spec.suspend"
    """Field that pauses."""
    paused_value: Scalar = True
    """Its value then."""
    pod_label: str | None = None
    """Label whose value on a pod is the instance's name: paused means that no such pod is left."""
    stands: Stands = Stands()
    """What its controller says once the instance stands still."""
    restarts: bool = False
    """A pause ends its pods: to go on is to start anew from the last checkpoint."""
    default: Policy = Policy.PAUSE
    """What becomes of its instances where the Workflow does not say."""
    finished: Finished = Finished()
    cancel: Write | None = None
    """What ends one for good; without, `Cancel` is refused for this kind."""
    managed_label: str | None = None
    """An object with this label may be suspended and resumed by another controller, which would
    undo a pause.
    """
    managed_by: ManagedBy | None = None
    """What is paused instead where there is that label; without, such objects are not touched."""

    @field_validator("paused_value", mode="before")
    @classmethod
    def _scalar(cls, value: Any) -> Any:
        if not isinstance(value, bool | int | str):
            raise ValueError("write true, false, a number or a text")  # noqa: TRY004
        return value

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


SHIPPED: Final = (
    InstanceKind(
        group="batch",
        version="v1",
        resource="jobs",
        kind="Job",
        pod_label="batch.kubernetes.io/job-name",
        stands=Stands(conditions=["Suspended"]),
        restarts=True,
        default=Policy.PIN,
        finished=Finished(conditions=["Complete", "Failed"]),
        managed_label="kueue.x-k8s.io/queue-name",
        managed_by=ManagedBy(
            group="kueue.x-k8s.io", kind="Workload", label="kueue.x-k8s.io/job-uid"
        ),
    ),
    InstanceKind(group="batch", version="v1", resource="cronjobs", kind="CronJob"),
)
"""What every cluster has. A CronJob makes new instances: to suspend it closes the intake."""
