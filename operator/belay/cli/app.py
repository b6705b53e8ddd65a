"""The `belay` command; `kubectl-belay` on the PATH makes it `kubectl belay`, too."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from belay import __version__
from belay.cli.instances import release
from belay.cli.snapshot import snapshot


class _Lazy(TyperGroup):
    """Loads `run` only when asked: the operator's libraries take most of a second."""

    @override
    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), "run"]

    @override
    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name == "run":
            return typer.main.get_command(import_module("belay.cli.run").app)
        return super().get_command(ctx, cmd_name)


app = typer.Typer(
    cls=_Lazy,
    help="Belay keeps AI workflows on a rope: immutable revisions, proven rollouts, reverts.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(snapshot)
app.command()(release)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"belay {__version__}")


def main() -> None:
    """The console script."""
    app()
