"""Where a check connects to, and whom it believes there."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from belay.api.model import ApiModel, cel, matches, validations
from belay.api.revision import KeyRef

_SERVER_NAME: Final = r"^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$"

Port = Annotated[
    int | str,
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            # A pattern speaks of texts only. In CEL it would cost too much: no bound counts
            # there for what may be an integer.
            "pattern": r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
            "maxLength": 63,
            **validations(
                cel(
                    "type(self) != int || (self >= 1 && self <= 65535)",
                    "write a port number from 1 to 65535, or the name of a port, such as http",
                )
            ),
        }
    ),
]


class Scheme(StrEnum):
    """How an HTTP check speaks to the pod."""

    HTTP = "HTTP"
    """In clear."""
    HTTPS = "HTTPS"
    """By TLS; the certificate is always verified."""


class Tls(ApiModel):
    """How the pod's certificate is verified. There is no way around the verification."""

    server_name: Annotated[
        str,
        Field(
            min_length=1,
            max_length=253,
            pattern=_SERVER_NAME,
            json_schema_extra=matches(
                _SERVER_NAME, "write the name in the certificate, such as triage.shop.svc"
            ),
        ),
    ]
    """Name that the certificate must be for. Pods are dialled by their address, which is rarely in
    a certificate.
    """
    ca_config_map_key_ref: KeyRef | None = None
    """Key of a ConfigMap with the certificates (PEM, at most 256 KiB) of the authorities to
    believe. By default those of the operator's own system.
    """
