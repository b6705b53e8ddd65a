"""What the process is told when it starts."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """The options, each with the meaning that `--help` gives."""

    mount: Path
    host: str
    port: int
    admin_port: int
    token_file: Path | None
    env_folder: Path | None
    envelopes: Path | None
    max_runs: int
    workers: int
    grace: float
    keep_finished: int
    keep_revisions: int
    max_envelope: int
    max_definition: int
    http_allow: tuple[str, ...]
    http_seconds: float
    allow_code: bool
    code_seconds: float
    llm_url: str | None
    llm_key_file: Path | None
    llm_seconds: float


def read(arguments: Sequence[str] | None = None) -> Settings:
    """The settings of a command line; ends the process with its usage where that is wrong."""
    given = _parser().parse_args(arguments)
    values = vars(given)
    for name in ("max_envelope", "max_definition"):
        values[name] = int(values[name] * MIB)
    values["http_allow"] = tuple(values["http_allow"])
    return Settings(**values)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="belay-runner",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--mount", type=Path, default=Path("/etc/belay"), help="folder that Belay delivers into")
    add("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104 - a pod's own
    add("--port", type=int, default=8080, help="port for runs, in the shape of Dify's API")
    add("--admin-port", type=int, default=8081, help="port for Belay, probes and metrics")
    add("--token-file", type=Path, help="file with the bearer token of the admin port; without it "
        "the port answers probes and metrics only")  # fmt: skip
    add("--env-folder", type=Path, help="folder of files, each the value of env.<its name>")
    add("--envelopes", type=Path, help="folder that keeps paused runs over a restart; without it "
        "they are kept in memory, on SIGTERM until fetched or the grace ends")  # fmt: skip
    add("--max-runs", type=int, default=64, help="runs at once; more are answered 429")
    add("--workers", type=int, default=2, help="threads for the parallel branches of one run")
    add("--grace", type=float, default=25, help="seconds after SIGTERM until the process ends")
    add("--keep-finished", type=int, default=1000, help="ended runs that can be asked for")
    add("--keep-revisions", type=int, default=8, help="revisions kept without being in use")
    add("--max-envelope", type=float, default=8, help="MiB of a paused run that may leave")
    add("--max-definition", type=float, default=2, help="MiB of a definition")
    add("--http-allow", action="append", default=[], metavar="NAME|NETWORK", help="what HTTP nodes "
        "may call: a host, *.domain or *, with :port or without; and networks (CIDR) of addresses "
        "that are not public. Repeatable")  # fmt: skip
    add("--http-seconds", type=float, default=60, help="most that one call of a node takes")
    add("--allow-code", action="store_true", help="run code nodes in a process beside. That is no "
        "sandbox: give the pod no network and no account that matters")  # fmt: skip
    add("--code-seconds", type=float, default=10, help="most that a code node takes")
    add("--llm-url", help="base URL of an endpoint like OpenAI's, such as https://host/v1")
    add("--llm-key-file", type=Path, help="file with its key")
    add("--llm-seconds", type=float, default=300, help="most that one call of a model takes")
    return parser
