"""`gossipfl identity`: a peer's key and the ID it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Make a peer's key, or show the ID it gives.", no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Key file to create, readable by you only.")],
    as_json: AsJson = False,
) -> None:
    """Create a key file and print its peer ID.  An existing file is never overwritten."""
    from gossipfl.identity import Identity

    identity = Identity.generate()
    identity.save(path)
    _print(str(identity.peer_id), path, as_json)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Key file, or the --state directory of a node.")],
    as_json: AsJson = False,
) -> None:
    """Print the peer ID of a key file.  The key itself is never shown."""
    from gossipfl.identity import Identity

    file = path / "key" if path.is_dir() else path
    _print(str(Identity.load(file).peer_id), file, as_json)


def _print(peer_id: str, path: Path, as_json: bool) -> None:
    typer.echo(json.dumps({"id": peer_id, "file": str(path)}) if as_json else peer_id)
