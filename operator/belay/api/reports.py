"""Reports: how a pod tells which content it runs."""

from typing import Annotated, Final

from pydantic import Field

from belay.api.model import ApiModel, UrlPath, matches
from belay.api.peer import Port

_JSON_POINTER: Final = r"^(/([^~/]|~[01])*)*$"


class Reports(ApiModel):
    """One HTTP GET whose answer holds the contentDigest of what the pod runs."""

    port: Port
    """Container port, by number or name; the container must declare it."""
    path: UrlPath = "/"
    """Path and query of the request; starts with a slash. The answer has status 200 and is JSON."""
    json_pointer: Annotated[
        str,
        Field(
            max_length=256,
            pattern=_JSON_POINTER,
            json_schema_extra=matches(
                _JSON_POINTER,
                "write a JSON pointer (RFC 6901), such as /contentDigest or /belay/contentDigest",
            ),
        ),
    ] = "/contentDigest"
    """Where in the answer the contentDigest stands, as a JSON pointer (RFC 6901)."""
