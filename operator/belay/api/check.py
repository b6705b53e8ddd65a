"""Checks: how health is asked for."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import ConfigDict, Field

from belay.api.duration import Duration, bounds
from belay.api.model import SET, ApiModel, ObjectName, cel, list_map, validations
from belay.api.revision import KeyRef
from belay.api.words import Stage

MAX_BODY: Final = 4096


class Method(StrEnum):
    """HTTP methods of a check."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"


class HeaderSource(ApiModel):
    """Where the value of a header comes from."""

    secret_key_ref: KeyRef
    """A key of a Secret of type belay.dev/check-credentials. Grant Belay to read it: see docs/security.md."""


class Header(ApiModel):
    """One request header."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom")
        )
    )

    name: Annotated[
        str, Field(min_length=1, max_length=128, pattern=r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$")
    ]
    """Name of the header."""
    value: Annotated[str, Field(max_length=4096, pattern=r"^[^\r\n]*$")] | None = None
    """Value of the header, in clear. For credentials use valueFrom."""
    value_from: HeaderSource | None = None
    """Take the value from a Secret."""


class Expect(ApiModel):
    """What counts as a right answer."""

    status: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]],
        Field(min_length=1, max_length=16, json_schema_extra=SET),
    ] = [200]
    """Status codes that pass."""
    body_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the first 64 KiB of the body must contain, to the letter."""


class HttpCheck(ApiModel):
    """One HTTP request. Asked of each new pod by its address, or of the pods behind a Service."""

    port: Annotated[
        int | str,
        Field(
            json_schema_extra={
                "x-kubernetes-int-or-string": True,
                **validations(
                    cel(
                        "type(self) == int ? self >= 1 && self <= 65535 : self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$') && size(self) <= 63",
                        "must be a port number from 1 to 65535 or the name of a port",
                    )
                ),
            }
        ),
    ]
    """Container port, by number or name; it must be declared by the container. With `service`: a port of that Service."""
    service: ObjectName | None = None
    """Ask the target's new pods behind this Service instead of each pod. Not possible in the preview, which no Service selects."""
    method: Method = Method.GET
    """GET, HEAD, POST or PUT."""
    path: Annotated[str, Field(min_length=1, max_length=2048, pattern=r"^/[^\s#]*$")] = "/"
    """Path and query of the request; starts with a slash."""
    headers: Annotated[list[Header], Field(max_length=16, json_schema_extra=list_map("name"))] = []
    """Request headers."""
    body: Annotated[str, Field(max_length=MAX_BODY)] | None = None
    """Body of the request, at most 4096 characters."""
    expect: Expect = Expect()
    """What counts as a right answer; by default status 200."""


class Check(ApiModel):
    """One verification of health."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!(has(self.at) && has(self.http.service) && self.at.exists(s, s == 'Preview'))",
                "no Service selects the preview pod: leave out `service`, or take Preview out of `at`",
            ),
            cel(
                "has(self.http)",
                "set the kind of the check: http",
            ),
        )
    )

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Name of the check, as it stands in conditions and events."""
    at: Annotated[list[Stage], Field(min_length=1, max_length=3, json_schema_extra=SET)] | None = None
    """Stages at which it runs: Preview, Gate, Observation. By default all that are possible."""
    http: HttpCheck | None = None
    """Ask over HTTP."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3
    """Wrong answers in a row, of one pod, that make the verdict Fail."""
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 1
    """Right answers in a row, of each pod, that make the verdict Pass."""
    period: Annotated[Duration, Field(json_schema_extra=bounds("100ms", "10m"))] = "1s"
    """Time between two requests to one pod."""
    timeout: Annotated[Duration, Field(json_schema_extra=bounds("50ms", "60s"))] = "1s"
    """How long one request may take."""

    def stages(self) -> frozenset[Stage]:
        """Stages at which this check runs."""
        if self.at is not None:
            return frozenset(self.at)
        behind_service = self.http is not None and self.http.service is not None
        return frozenset(Stage) - ({Stage.PREVIEW} if behind_service else set())
