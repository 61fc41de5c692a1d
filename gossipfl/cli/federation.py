"""`gossipfl federation`: the file that peers agree on before they meet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gossipfl.config import ModelConfig
    from gossipfl.federation import Federation

app = typer.Typer(help="Make or show a federation's agreement.", no_args_is_help=True, rich_markup_mode=None)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def new(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="File to create, readable by you only.")],
    name: Annotated[str, typer.Option(help="What people call this federation.")],
    model: Annotated[str, typer.Option(help="softmax, mlp, cnn or custom.")] = "mlp",
    inputs: Annotated[str, typer.Option(help="Shape of one example: 64 or 28,28,1.")] = "64",
    hidden: Annotated[str, typer.Option(help='Widths of the hidden layers: 64 or 128,64; "" = none.')] = "64",
    classes: Annotated[int, typer.Option(min=2, help="How many classes.")] = 10,
    learner: Annotated[str, typer.Option(help="custom model: package.module:factory.")] = "",
    codec: Annotated[str, typer.Option(help="How deltas travel.")] = "float32",
    seed: Annotated[int, typer.Option(min=0, help="Of the initial model.")] = 0,
    is_open: Annotated[bool, typer.Option("--open", help="No key: whoever knows the id may join.")] = False,
    as_json: AsJson = False,
) -> None:
    """Write a new agreement with a random id and, unless --open, a random key.  Hand the file to each peer."""
    from gossipfl import federation
    from gossipfl.codec import check_codec
    from gossipfl.errors import ConfigError

    check_codec(codec)
    if not name.strip():
        raise ConfigError("must not be empty: people tell federations apart by it", "--name")
    tables = {"name": model, "inputs": _numbers(inputs), "hidden": _numbers(hidden), "classes": classes}
    agreed = federation.new(
        name, model=_model(tables | {"learner": learner}), codec=codec, seed=seed, is_open=is_open
    )
    federation.save(agreed, path)
    _print(agreed, as_json, reveal_key=False)


@app.command()
def show(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A federation file.")],
    reveal_key: Annotated[bool, typer.Option("--reveal-key", help="Print the key that admits peers as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print what a federation agrees on.  Its key stays hidden unless asked for."""
    from gossipfl import federation

    _print(federation.load(path), as_json, reveal_key)


def _numbers(text: str) -> list[int]:
    from gossipfl.errors import ConfigError

    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise ConfigError(f"{text!r} is no list of numbers such as 128,64") from None


def _model(tables: dict[str, Any]) -> ModelConfig:
    from gossipfl.config import ModelConfig, parse
    from gossipfl.errors import ConfigError

    try:
        return parse(tables, ModelConfig, "command line")
    except ConfigError as error:
        option = error.path.partition("[")[0]
        raise ConfigError(error.reason, "--model" if option in {"", "name"} else f"--{option}") from None


def _print(agreed: Federation, as_json: bool, reveal_key: bool) -> None:
    facts = {
        "name": agreed.name,
        "id": agreed.id,
        "admission": "whoever holds the key" if agreed.key else "open",
        "trains": agreed.summary,
        "codec": agreed.codec,
        "seed": agreed.seed,
        "terms": agreed.terms.hex(),
        "fingerprint": agreed.fingerprint.hex(),
    }
    if reveal_key:
        facts["key"] = agreed.key
    typer.echo(json.dumps(facts) if as_json else "\n".join(f"{key:<12} {value}" for key, value in facts.items()))
