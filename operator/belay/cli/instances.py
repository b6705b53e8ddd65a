"""`belay release`: let go of what Belay has paused; and reading the administrator's kinds."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import TypeAdapter, ValidationError

from belay.api.instance_kinds import SHIPPED, InstanceKind
from belay.core.workloads import OPTIONS
from belay.shell import orphans
from belay.shell.checks.egress import Guard
from belay.shell.checks.machinery import MachineryWatch
from belay.shell.cluster import Cluster
from belay.shell.engine.engines import Engines, open_engines
from belay.shell.errors import ApiError, NotFound
from belay.shell.resources import WORKFLOWS

_KINDS = TypeAdapter(list[InstanceKind])


def read_kinds(file: Path | None) -> tuple[InstanceKind, ...]:
    """The shipped kinds, and those of a file, which win. Raises BadParameter."""
    if file is None:
        return SHIPPED
    try:
        own = _KINDS.validate_python(yaml.safe_load(file.read_text()) or [])
    except (OSError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"{file}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise typer.BadParameter(f"{file}: {place}: {first['msg']}") from error
    kinds = {(k.group, k.kind): k for k in (*SHIPPED, *own)}
    return tuple(kinds.values())


def release(  # noqa: PLR0913, PLR0917
    everything: Annotated[
        bool, typer.Option("--all", help="Let go of whatever any Workflow has paused.")
    ] = False,
    workflow: Annotated[
        str | None, typer.Option(help="Let go of what this Workflow has paused.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Default: all, or with --workflow the context's."),
    ] = None,
    instance_kinds: Annotated[
        Path | None,
        typer.Option(envvar="BELAY_INSTANCE_KINDS", help="The file that `belay run` is given."),
    ] = None,
    backups: Annotated[
        Path | None,
        typer.Option(envvar="BELAY_BACKUPS", help="The folder that `belay run` is given, if any."),
    ] = None,
    kubeconfig: Annotated[
        str | None, typer.Option(envvar="BELAY_KUBECONFIG", help="Default: kubectl's.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(envvar="BELAY_CONTEXT", help="Context of the kubeconfig.")
    ] = None,
) -> None:
    """Let go of what Belay has paused: after it was uninstalled, or in an emergency.

    Engines are asked at the addresses of their pods: run it where those can be reached, such as in
    the operator's own pod.
    """
    if everything == (workflow is not None):
        raise typer.BadParameter("give either --all or --workflow NAME")
    kinds = read_kinds(instance_kinds)

    async def run() -> int:
        async with await Cluster.connect(kubeconfig, context) as cluster:
            guard = Guard()
            guard.machinery = await MachineryWatch(cluster, guard, [cluster.host]).look()
            engines = open_engines(cluster, guard, backups)
            try:
                return await _release(cluster, engines, kinds, Scope(workflow, namespace))
            finally:
                await engines.close()

    try:
        left = asyncio.run(run())
    except (ApiError, ConnectionError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    raise typer.Exit(1 if left else 0)


@dataclass(frozen=True, slots=True)
class Scope:
    """What to let go."""

    workflow: str | None
    namespace: str | None


async def _release(
    cluster: Cluster, engines: Engines, kinds: tuple[InstanceKind, ...], scope: Scope
) -> int:
    """How many could not be let go."""
    uid, namespace = None, scope.namespace
    if scope.workflow is not None:
        namespace = namespace or cluster.namespace
        uid = await _uid(cluster, namespace, scope.workflow)
    where = orphans.Kinds(kinds, OPTIONS, tried=True)
    search = await orphans.marked(cluster, where, (namespace,), uid)
    released = await orphans.release(cluster, engines, search.found)
    for told in released.done:
        typer.echo(told)
    for told in (*released.refused, *search.problems):
        typer.echo(told, err=True)
    if not search.found and not search.problems:
        typer.echo("nothing is paused by Belay")
    return len(released.refused) + len(search.problems)


async def _uid(cluster: Cluster, namespace: str, workflow: str) -> str:
    try:
        found = await cluster.get(WORKFLOWS, namespace, workflow)
    except NotFound as error:
        message = f"there is no Workflow {workflow} in {namespace}; --all lets go of everything"
        raise typer.BadParameter(message) from error
    return str(found["metadata"]["uid"])
