"""Ways to ask besides HTTP."""

from typing import Annotated, Final

from pydantic import Field

from belay.api.model import ApiModel, matches
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
