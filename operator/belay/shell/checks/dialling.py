"""What all checks that dial a pod have in common: may it be dialled, and what if that fails."""

import errno
import os
from datetime import datetime
from typing import Final

from belay.api.peer import Tls
from belay.core.evidence.probe import Answer, Probe, Sample
from belay.shell.checks.egress import Guard
from belay.shell.checks.trust import tls_trouble

MAX_GOT: Final = 256
OURS: Final = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EADDRNOTAVAIL,
        errno.EPERM,
        errno.EACCES,
    }
)
"""Errors of the machine that asks: they say nothing of the pod."""

Result = tuple[Answer, str]


def sampled(result: Result, at: datetime) -> Sample:
    answer, got = result
    return Sample(answer, got if len(got) <= MAX_GOT else got[: MAX_GOT - 1] + "…", at)


def undialled(probe: Probe, guard: Guard) -> str | None:
    """Why the pod cannot or may not be dialled; None where it may be."""
    if not probe.address:
        return f"pod {probe.pod} has no address yet"
    if probe.port is None:
        return f"port {probe.check.port} is not declared by the container"
    refusal = guard.refuse(
        probe.address, probe.port, hosts=probe.hosts, host_network=probe.host_network
    )
    return f"not dialled: {refusal}" if refusal is not None else None


def network_trouble(error: OSError, tls: Tls | None) -> Result:
    """What an error of the network, or of TLS on it, says of the pod."""
    if tls is not None:
        got = tls_trouble(error, tls)
        if got is not None:
            return Answer.WRONG, got
        if not error.errno:
            return Answer.NONE, "connection closed in the TLS handshake"
    if error.errno in OURS:
        return Answer.UNASKED, f"could not be asked: {_words(error)} where Belay runs"
    return Answer.NONE, _words(error)


def _words(error: OSError) -> str:
    """An error of the network without addresses: `connection refused`."""
    if not error.errno:
        return f"no connection ({type(error).__name__})"
    return os.strerror(error.errno).lower().replace(" by peer", "")
