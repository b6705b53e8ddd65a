"""Checks: how health is asked for."""

from enum import StrEnum
from typing import Annotated, Final, NamedTuple

from pydantic import ConfigDict, Field

from belay.api.duration import DURATION_PATTERN, Duration, bounds, seconds
from belay.api.model import (
    SET,
    ApiModel,
    LabelName,
    ObjectName,
    UrlPath,
    cel,
    list_map,
    matches,
    validations,
)
from belay.api.peer import Port, Scheme, Tls
from belay.api.revision import KeyRef
from belay.api.ways import ExecCheck, GrpcCheck, JobCheck
from belay.api.words import Stage

MAX_BODY: Final = 4096

_HEADER_NAME: Final = r"^[-!#$%&'*+.^_`|~0-9A-Za-z]+$"
_HEADER_VALUE: Final = r"^[^\x00-\x08\x0a-\x1f\x7f]*$"


class _Pace(NamedTuple):
    period: str
    timeout: str


_PACE: Final = {
    "http": _Pace("1s", "1s"),
    "grpc": _Pace("1s", "1s"),
    "exec": _Pace("5s", "5s"),
    "job": _Pace("10s", "2m"),
}
_ALL: Final = frozenset(Stage)
_LIVE: Final = _ALL - {Stage.PREVIEW}


class Method(StrEnum):
    """HTTP methods of a check."""

    GET = "GET"
    """Read."""
    HEAD = "HEAD"
    """Read the head of the answer only."""
    POST = "POST"
    """Send the body."""
    PUT = "PUT"
    """Store the body."""


class HeaderSource(ApiModel):
    """Where the value of a header comes from."""

    secret_key_ref: KeyRef
    """A key of a Secret of type belay.dev/check-credentials. Let Belay read it by a Role and a
    RoleBinding that name this Secret.
    """


class Header(ApiModel):
    """One request header."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel("has(self.value) != has(self.valueFrom)", "set exactly one of value and valueFrom"),
            cel(
                "!(self.name.lowerAscii() in "
                "['connection', 'content-length', 'transfer-encoding'])",
                "leave out Connection, Content-Length and Transfer-Encoding: Belay sets them",
            ),
        )
    )

    name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=128,
            pattern=_HEADER_NAME,
            json_schema_extra=matches(
                _HEADER_NAME, "name a header without spaces and colons, such as X-Tenant"
            ),
        ),
    ]
    """Name of the header."""
    value: (
        Annotated[
            str,
            Field(
                max_length=4096,
                pattern=_HEADER_VALUE,
                json_schema_extra=matches(
                    _HEADER_VALUE, "write the value on one line, without control characters"
                ),
            ),
        ]
        | None
    ) = None
    """Value of the header, in clear. For credentials use valueFrom."""
    value_from: HeaderSource | None = None
    """Take the value from a Secret."""


class Expect(ApiModel):
    """What counts as a right answer."""

    status: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]],
        Field(min_length=1, max_length=16, json_schema_extra=SET),
    ] = [200]
    """Status codes that pass, each from 100 to 599."""
    body_contains: Annotated[str, Field(min_length=1, max_length=1024)] | None = None
    """Text that the first 64 KiB of the body must contain, to the letter."""


class HttpCheck(ApiModel):
    """One HTTP request. Asked of each new pod by its address, or of the pods behind a Service."""

    model_config = ConfigDict(
        json_schema_extra=validations(
            cel(
                "!(self.method == 'HEAD' && has(self.expect.bodyContains))",
                "an answer to HEAD has no body: take GET, or leave out bodyContains",
            ),
            cel(
                "has(self.tls) == (self.scheme == 'HTTPS')",
                "scheme: HTTPS and tls go together: set both, such as "
                "tls: {serverName: triage.shop.svc}, or none",
            ),
        )
    )

    port: Port
    """Container port, by number or name; the container must declare it. With `service`: a port of
    that Service.
    """
    service: ObjectName | None = None
    """Ask the target's new pods behind this Service instead of each pod. Not possible in the
    preview, which no Service selects.
    """
    scheme: Scheme = Scheme.HTTP
    """How to speak to the pod."""
    tls: Tls | None = None
    """How the pod's certificate is verified; for the scheme HTTPS."""
    method: Method = Method.GET
    """Method of the request."""
    path: UrlPath = "/"
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
                "!(has(self.at) && 'Preview' in self.at "
                "&& has(self.http) && has(self.http.service))",
                "no Service selects the preview pod: leave out service, or take Preview out of at",
            ),
            cel(
                "[has(self.http), has(self.grpc), has(self.exec), has(self.job)]"
                ".filter(one, one).size() == 1",
                "say what to ask: set exactly one of http, grpc, exec and job, such as "
                "http: {port: 8080, path: /healthz}",
            ),
            cel(
                "has(self.job) || !has(self.timeout) "
                f"|| !self.timeout.matches(r'{DURATION_PATTERN}') "
                "|| duration(self.timeout) <= duration('60s')",
                "set a timeout of at most 60s; only a job may take longer, up to 30m",
            ),
            cel(
                "!has(self.job) || !has(self.timeout) "
                f"|| !self.timeout.matches(r'{DURATION_PATTERN}') "
                "|| duration(self.timeout) >= duration('1s')",
                "a job takes a pod: set a timeout of at least 1s, better 2m",
            ),
        )
    )

    name: Annotated[LabelName, Field(max_length=40)]
    """Name of the check, as it stands in conditions and events."""
    at: Annotated[list[Stage], Field(min_length=1, max_length=3, json_schema_extra=SET)] | None = (
        None
    )
    """Stages at which it runs. By default all that are possible."""
    http: HttpCheck | None = None
    """Ask over HTTP."""
    grpc: GrpcCheck | None = None
    """Ask by the gRPC health protocol: SERVING is right."""
    exec: ExecCheck | None = None
    """Run a command inside the pod: exit code 0 is right."""
    job: JobCheck | None = None
    """Run a Job beside the pod: complete is right. One at a time for each pod."""
    failure_threshold: Annotated[int, Field(ge=1, le=100)] = 3
    """Wrong answers in a row, of one pod, that make the verdict Fail."""
    success_threshold: Annotated[int, Field(ge=1, le=100)] = 1
    """Right answers in a row, of each pod, that make the verdict Pass."""
    period: Annotated[Duration, Field(json_schema_extra=bounds("100ms", "10m"))] | None = None
    """Time between two requests to one pod. By default 1s; for exec 5s, for job 10s."""
    timeout: Annotated[Duration, Field(json_schema_extra=bounds("50ms", "30m"))] | None = None
    """How long one request may take. By default 1s; for exec 5s, for job 2m."""

    @property
    def type(self) -> str:
        """How it asks, as metrics tell it."""
        return next((name for name in _PACE if getattr(self, name) is not None), "http")

    def plain(self) -> "Check":
        """This check, without a pace that it would have anyway."""
        if self.period is None and self.timeout is None:
            return self
        usual = _PACE[self.type]
        dull = {
            field: None
            for field in ("period", "timeout")
            if (told := getattr(self, field)) and seconds(told) == seconds(getattr(usual, field))
        }
        return self.model_copy(update=dull)

    @property
    def every(self) -> float:
        """Seconds between two requests to one pod."""
        return seconds(self.period or _PACE[self.type].period)

    @property
    def limit(self) -> float:
        """Seconds that one request may take."""
        return seconds(self.timeout or _PACE[self.type].timeout)

    @property
    def port(self) -> int | str | None:
        """The port that it dials."""
        dialling = self.http or self.grpc
        return dialling.port if dialling is not None else None

    @property
    def tls(self) -> Tls | None:
        """How the certificate of what it dials is verified, where it dials by TLS."""
        dialling = self.http or self.grpc
        return dialling.tls if dialling is not None else None

    def stages(self) -> frozenset[Stage]:
        """Stages at which this check runs."""
        if self.at is not None:
            return frozenset(self.at)
        behind_service = self.http is not None and self.http.service is not None
        return _LIVE if behind_service else _ALL
