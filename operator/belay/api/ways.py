"""Ways to ask besides HTTP."""

from typing import Annotated, Final

from pydantic import Field

from belay.api.model import ATOMIC, ApiModel, LabelName, ObjectName, matches
from belay.api.peer import Port, Tls

_SERVICE: Final = r"^[-A-Za-z0-9._/]*$"


class GrpcCheck(ApiModel):
    """The gRPC health protocol (grpc.health.v1.Health/Check), asked of each new pod."""

    port: Port
    """Container port, by number or name; the container must declare it."""
    service: Annotated[
        str,
        Field(
            max_length=200,
            pattern=_SERVICE,
            json_schema_extra=matches(
                _SERVICE, "write the name under which the server registered it, such as shop.Triage"
            ),
        ),
    ] = ""
    """Service whose health is asked for, as the server registered it. By default that of the
    server as a whole.
    """
    tls: Tls | None = None
    """Speak TLS, and how the pod's certificate is verified. By default in clear."""


class ExecCheck(ApiModel):
    """A command that runs inside each new pod. Exit code 0 is right.

    Let Belay run it by a Role on pods/exec in the namespace: deploy/samples/check-exec-role.yaml.
    """

    command: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=1024)]],
        Field(min_length=1, max_length=16, json_schema_extra=ATOMIC),
    ]
    """Program and arguments; no shell is involved. Its output is read by nobody. A command that
    hangs goes on in the container after the timeout, so give it one of its own.
    """
    container: LabelName | None = None
    """Container to run it in. By default the one that gets the mounted folder."""


class JobCheck(ApiModel):
    """A Job for each new pod, made from the template of a CronJob. Complete is right.

    Its containers know the pod by the environment: BELAY_POD_IP, BELAY_POD_NAME, BELAY_STAGE,
    BELAY_REVISION and BELAY_CONTENT_DIGEST.
    """

    from_: Annotated[ObjectName, Field(alias="from", max_length=52)]
    """Name of a CronJob in the namespace. It is suspended, and consents by the annotation
    belay.dev/workflow with the name of the Workflow.
    """
