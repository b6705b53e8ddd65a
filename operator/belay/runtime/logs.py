"""Logging: one line per action, as text for people or as JSON lines for machines."""

import logging
import sys
from typing import Final

from pythonjsonlogger.json import JsonFormatter

from belay.runtime.config import LogFormat, LogLevel

FIELDS: Final = ("workflow", "rollout", "phase", "reason")
"""What a line may say beside its words, by `extra`."""
_QUIET: Final = {
    "aiohttp": logging.WARNING,
    "asyncio": logging.WARNING,
    "kopf": logging.WARNING,
    "kopf._core.reactor.observation": logging.ERROR,  # warns of missing CRDs: so does the resync
    "kopf._core.reactor.running": logging.ERROR,  # warns that signals are not its own: on purpose
    "kubernetes": logging.WARNING,
}


class TextFormatter(logging.Formatter):
    """`2026-08-22T17:09:57.123 INFO    words workflow=shop/triage rollout=12-1 phase=Verifying`."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        said = super().formatMessage(record)
        told = {name: getattr(record, name, None) for name in FIELDS}
        fields = [f"{name}={value}" for name, value in told.items() if value]
        return " ".join([said, *fields])


def json_formatter() -> logging.Formatter:
    return JsonFormatter(
        "%(levelname)s %(name)s %(message)s",
        rename_fields={"levelname": "level", "name": "logger"},
        timestamp="time",
    )


def set_up(form: LogFormat, level: LogLevel) -> None:
    """Send all logging to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(json_formatter() if form is LogFormat.JSON else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))
