"""Which of the components that start does answer already."""

import json
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass, field

from tests.harness.certificates import Certificates
from tests.harness.components import NODE_NAME

UNVERIFIED = ssl._create_unverified_context()
"""For components on loopback that make their own certificates."""


@dataclass(frozen=True)
class Api:
    """The administrator's look at the API server."""

    server: str
    certificates: Certificates
    tls: ssl.SSLContext = field(init=False)

    def __post_init__(self) -> None:
        path = self.certificates.path
        tls = ssl.create_default_context(cafile=path("ca.crt"))
        tls.load_cert_chain(path("admin.crt"), path("admin.key"))
        object.__setattr__(self, "tls", tls)

    def has(self, path: str) -> bool:
        """Whether a GET of this path is answered well."""
        return answers(f"{self.server}{path}", self.tls)

    def node_ready(self) -> bool:
        """Whether the node says that it can run pods."""
        body = _open(f"{self.server}/api/v1/nodes/{NODE_NAME}", self.tls)
        conditions = json.loads(body)["status"].get("conditions", []) if body else []
        return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def answers(url: str, tls: ssl.SSLContext | None = None) -> bool:
    """Whether a GET is answered well; no answer is just not yet."""
    return _open(url, tls) is not None


def _open(url: str, tls: ssl.SSLContext | None) -> bytes | None:
    """The body of a good answer; None for any other answer, or none."""
    handlers = [urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)]
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=2) as answer:
            return bytes(answer.read())
    except (OSError, urllib.error.HTTPError):
        return None
