"""The commands put together, and one place that turns errors into sentences and exit codes.

0 done, 1 ran but failed what it promised, 2 the user's turn (one sentence, no traceback), 130 interrupted.
A command imports what it works with inside its function: `--help` must not wait for jax.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gossipfl import __version__
from gossipfl.cli import federation, identity, node, scenario, status, topology
from gossipfl.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130

# Plain help: drawing it with rich takes three times as long as everything else that --help does.
app = typer.Typer(
    help="Federated learning with no server: peers find each other, exchange signed model deltas and average.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("node")(node.node)
app.add_typer(scenario.app, name="scenario")
app.add_typer(federation.app, name="federation")
app.add_typer(identity.app, name="identity")
app.command("status")(status.status)
app.add_typer(topology.app, name="topology")


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(help=app.info.help)
def _before_a_command(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_tell_version, help="Print the version.")
    ] = False,
) -> None:
    """Takes what stands before the command's name."""


def main() -> None:
    """Run the command that sys.argv names, and exit."""
    run(app, "gossipfl")


def run(commands: typer.Typer, name: str) -> None:
    """Run one of these commands, and exit; `name` is what the user typed."""
    try:
        commands(prog_name=name)
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        sys.exit(USER_ERROR)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
