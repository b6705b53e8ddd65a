"""`belay run`: the operator itself."""

import asyncio
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated

import typer

from belay.api.names import DEFAULT_MOUNT_PATH
from belay.cli.instances import read_kinds
from belay.core.workloads import OPTIONS
from belay.runtime import app as operator
from belay.runtime.assembly import make_reconciler
from belay.runtime.config import Config, Election, LogFormat, LogLevel, new_identity
from belay.runtime.logs import set_up
from belay.runtime.resync import ResyncSettings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


def _networks(given: list[str] | None) -> list[str] | None:
    for text in given or ():
        try:
            ip_network(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return given


def _known_kinds(given: list[str] | None) -> list[str] | None:
    for kind in given or ():
        if kind not in OPTIONS:
            raise typer.BadParameter(f"{kind} is none of {', '.join(sorted(OPTIONS))}")
    return given


@app.command()
def run(  # noqa: PLR0913, PLR0917
    namespace: Annotated[
        list[str] | None,
        typer.Option("--namespace", "-n", envvar="BELAY_NAMESPACES",
                     help="Serve this namespace only; may be given several times. Default: all."),
    ] = None,
    kubeconfig: Annotated[
        str | None,
        typer.Option(envvar="BELAY_KUBECONFIG",
                     help="Path of a kubeconfig. Default: the pod's ServiceAccount, or kubectl's."),
    ] = None,
    context: Annotated[
        str | None, typer.Option(envvar="BELAY_CONTEXT", help="Context of the kubeconfig.")
    ] = None,
    leader_election: Annotated[
        bool,
        typer.Option(envvar="BELAY_LEADER_ELECTION",
                     help="Wait for a Lease before working, so that one process leads at a time."),
    ] = True,
    lease_name: Annotated[
        str, typer.Option(envvar="BELAY_LEASE_NAME", help="Name of the Lease.")
    ] = "belay",
    lease_namespace: Annotated[
        str | None,
        typer.Option(envvar="BELAY_LEASE_NAMESPACE",
                     help="Namespace of the Lease. Default: that of the pod or the context."),
    ] = None,
    identity: Annotated[
        str | None,
        typer.Option(envvar="BELAY_IDENTITY",
                     help="Name of this process in the Lease; must be unique. Default: made up."),
    ] = None,
    health_address: Annotated[
        str,
        typer.Option(envvar="BELAY_HEALTH_ADDRESS",
                     help="Address on which /livez, /readyz and /metrics are served."),
    ] = "0.0.0.0",  # noqa: S104
    health_port: Annotated[
        int,
        typer.Option(envvar="BELAY_HEALTH_PORT", min=0, max=65535,
                     help="Port for these; 0 takes a free one and logs it."),
    ] = 8080,
    log_format: Annotated[
        LogFormat, typer.Option(envvar="BELAY_LOG_FORMAT", help="How log lines look.")
    ] = LogFormat.TEXT,
    log_level: Annotated[
        LogLevel, typer.Option(envvar="BELAY_LOG_LEVEL", help="Least serious lines to write.")
    ] = LogLevel.INFO,
    workers: Annotated[
        int,
        typer.Option(envvar="BELAY_WORKERS", min=1, max=256,
                     help="Workflows that are worked on at once."),
    ] = 32,
    resync_seconds: Annotated[
        float,
        typer.Option(envvar="BELAY_RESYNC_SECONDS", min=1,
                     help="Seconds between two lists that repair what events lost."),
    ] = 60.0,
    mount_path: Annotated[
        list[str] | None,
        typer.Option(envvar="BELAY_MOUNT_PATHS",
                     help="Folder at or below which a Workflow may mount; may be given several "
                     f"times. Default: {DEFAULT_MOUNT_PATH}."),
    ] = None,
    allow_host_network: Annotated[
        bool,
        typer.Option(envvar="BELAY_ALLOW_HOST_NETWORK",
                     help="Let checks ask pods on the host network, at their node's address."),
    ] = False,
    pod_network: Annotated[
        list[str] | None,
        typer.Option(envvar="BELAY_POD_NETWORKS", callback=_networks,
                     help="Network that the pods live in, such as 10.244.0.0/16; may be given "
                     "several times. Checks then ask no address outside."),
    ] = None,
    backups: Annotated[
        Path | None,
        typer.Option(envvar="BELAY_BACKUPS", exists=True, file_okay=False, writable=True,
                     help="Folder, such as a mounted volume, that keeps backups of runs. Without, "
                     "they are Secrets beside each Workflow."),
    ] = None,
    target_kind: Annotated[
        list[str] | None,
        typer.Option(envvar="BELAY_TARGET_KINDS", callback=_known_kinds,
                     help="Kind of target to allow besides those of apps/v1; may be given several "
                     f"times. Known: {', '.join(sorted(OPTIONS))}."),
    ] = None,
    instance_kinds: Annotated[
        Path | None,
        typer.Option(envvar="BELAY_INSTANCE_KINDS",
                     help="YAML file of kinds of running instances that can be paused, besides Job "
                     "and CronJob."),
    ] = None,
) -> None:  # fmt: skip
    """Run the operator until SIGTERM."""
    set_up(log_format, log_level)
    config = Config(
        namespaces=tuple(namespace or ()),
        kubeconfig=kubeconfig,
        context=context,
        election=Election(
            enabled=leader_election,
            lease_name=lease_name,
            lease_namespace=lease_namespace,
            identity=identity or new_identity(),
        ),
        health_address=health_address,
        health_port=health_port,
        log_format=log_format,
        log_level=log_level,
        workers=workers,
        resync=ResyncSettings(period=resync_seconds),
        mount_paths=tuple(mount_path or (DEFAULT_MOUNT_PATH,)),
        allow_host_network=allow_host_network,
        pod_networks=tuple(pod_network or ()),
        target_kinds=tuple(target_kind or ()),
        backups=backups,
        instance_kinds=read_kinds(instance_kinds),
    )
    raise typer.Exit(asyncio.run(operator.run(config, make_reconciler)))
