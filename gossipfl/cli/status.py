"""`gossipfl status`: what a running node sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer


def status(
    state: Annotated[Path, typer.Argument(metavar="STATE", help="The --state directory of a node on this machine.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Ask a running node on this machine who it is, how well it does and whom it averages with."""
    from gossipfl.errors import StateError
    from gossipfl.node.status import fetch, read_node_file

    url = read_node_file(state)["status"]
    if not url:
        raise StateError(f'the node of {state} serves no status: start it with --status 127.0.0.1:0')
    seen = {page: fetch(f"{url}/{page}") for page in ("status", "peers", "topology")}
    if as_json:
        typer.echo(json.dumps(seen))
    else:
        _print(seen)


def _print(seen: dict[str, Any]) -> None:
    from rich.console import Console

    from gossipfl.node.live import render

    Console().print(render(seen))
