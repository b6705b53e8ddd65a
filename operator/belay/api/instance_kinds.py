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
    condition: str | None = None
    """Type of a condition that its controller sets to True once the instance stands still."""
    restarts: bool = False
    """A pause ends its pods: to go on is to start anew from the last checkpoint."""
    default: Policy = Policy.PAUSE
    """What becomes of its instances where the Workflow does not say."""
    finished: Finished = Finished()
    cancel: Write | None = None
    """What ends one for good; without, `Cancel` is refused for this kind."""
    managed_label: str | None = None
    """An object with this label is suspended and resumed by another controller, which would undo
    a pause: it is not touched here, and paused as an instance of that controller's own kind.
    """

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
        condition="Suspended",
        restarts=True,
        default=Policy.PIN,
        finished=Finished(conditions=["Complete", "Failed"]),
        managed_label="kueue.x-k8s.io/queue-name",
    ),
    InstanceKind(group="batch", version="v1", resource="cronjobs", kind="CronJob"),
)
"""What every cluster has. A CronJob makes new instances: to suspend it closes the intake."""
