"""`gossipfl node`: run one peer."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gossipfl.config import NodeConfig
    from gossipfl.federation import Federation
    from gossipfl.learning.learner import Learner, LearnerContext


def node(
    federation: Annotated[Path, typer.Option(help="The federation's file.")],
    state: Annotated[Path, typer.Option(help="Directory of this peer's key, history and model; made if missing.")],
    data: Annotated[str | None, typer.Option(help="digits, mnist, or a path: IDX folder, .npz, .csv.")] = None,
    config: Annotated[Path | None, typer.Option(help="node.toml with any further options.")] = None,
    listen: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 = any.")] = None,
    peer: Annotated[
        list[str] | None, typer.Option(metavar="ADDRESS", help="PEERID@host:port or host:port; may be repeated.")
    ] = None,
    rounds: Annotated[int | None, typer.Option(min=0, help="Stop after so many; 0 = never.")] = None,
    learner: Annotated[
        str | None, typer.Option(metavar="MODULE:FACTORY", help="Train with your own code instead of the model's.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="How neighbors' models are averaged.")] = None,
    byzantine_max: Annotated[int | None, typer.Option(min=0, help="Lying neighbors to withstand.")] = None,
    no_mdns: Annotated[bool, typer.Option("--no-mdns", help="Find peers by address only.")] = False,
    status: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help='Status page, on this machine only; "" = none.')
    ] = None,
    label: Annotated[str | None, typer.Option(metavar="COLUMN", help="CSV: the column that holds the class.")] = None,
    wait_for: Annotated[int | None, typer.Option(min=0, help="Begin when so many neighbors are there.")] = None,
) -> None:
    """Run one peer: find the others, train on private data, exchange model deltas and average."""
    from gossipfl.federation import load

    agreed = load(federation)
    given = {
        "listen": listen,
        "status": status,
        "data.source": data,
        "data.label": label,
        "round.rounds": rounds,
        "round.start_neighbors": wait_for,
        "aggregation.rule": rule,
        "aggregation.byzantine_max": byzantine_max,
        "discovery.peers": peer or None,
        "discovery.mdns": False if no_mdns else None,
    }
    options = _options(config, {path: value for path, value in given.items() if value is not None})
    code = _run(agreed, options, state, learner)
    # All is on the disk.  Taking down an interpreter with jax in it, module by module, costs 0.3 s of a core.
    sys.stdout.flush()
    os._exit(code)


def _options(file: Path | None, given: dict[str, Any]) -> NodeConfig:
    """The options of `file`, with those given on the command line in their place."""
    from gossipfl.config import NodeConfig, parse, read_toml
    from gossipfl.errors import ConfigError

    tables = read_toml(file) if file is not None else {}
    if "data.source" not in given and "data" not in tables:
        raise ConfigError("this peer has no examples: name them with --data, or in [data] of the --config file")
    for path, value in given.items():
        section, _, key = path.rpartition(".")
        (tables.setdefault(section, {}) if section else tables)[key] = value
    return parse(tables, NodeConfig, str(file) if file is not None else "command line")


def _run(agreed: Federation, options: NodeConfig, state: Path, learner: str | None) -> int:
    from gossipfl.node import daemon

    make_learner = None if learner is None else partial(_build_own, learner)
    return daemon.run_node(agreed, options, state, make_learner=make_learner, live=sys.stdout.isatty())


def _build_own(name: str, context: LearnerContext) -> Learner:
    """A learner of the user's own factory, whatever model the federation names; its vector must have that length."""
    import msgspec

    from gossipfl.learning.learner import build

    model = msgspec.structs.replace(context.model, name="custom", learner=name)
    return build(replace(context, model=model))
