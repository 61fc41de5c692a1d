"""One lying peer: the ordinary daemon around an attack's learner and examples.

    python -m gossipfl.scenario.liar_node --attack sign_flip --options '{"scale": 10}' \
        --federation F --state DIR --config node.toml

Started by processes.py, and by hand for whoever wants to see what a real network makes of a liar.  It takes everything
but the attack from the files that `gossipfl node` takes.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from gossipfl import config, federation
from gossipfl.errors import ConfigError, UserError
from gossipfl.scenario.liars import Attack, attack_named

if TYPE_CHECKING:
    from gossipfl.learning.data import Shard
    from gossipfl.learning.learner import Learner, LearnerContext


def main(arguments: list[str] | None = None) -> int:
    """Run the liar to its end and return the daemon's exit code; 2 with one sentence for a mistake in the arguments."""
    options = _parser().parse_args(arguments)
    try:
        return run(
            federation.load(options.federation),
            config.load(options.config, config.NodeConfig),
            options.state,
            read_attack(options.attack, options.options),
        )
    except UserError as error:
        print(f"liar_node: {error}", file=sys.stderr)
        return 2


def run(agreed: federation.Federation, node: config.NodeConfig, state: Path, attack: Attack) -> int:
    """The daemon, with `attack` between it and an honest learner."""
    from gossipfl.learning.learner import build
    from gossipfl.node.daemon import run_node

    def lying(context: LearnerContext) -> Learner:
        return attack.learner(build(context), context.stream)

    def tampered(shard: Shard) -> Shard:
        return attack.shard(shard, agreed.model.classes)

    return run_node(agreed, node, state, make_learner=lying, prepare_shard=tampered)


def read_attack(name: str, options: str) -> Attack:
    """The attack called `name` with its JSON options.  Raises ConfigError."""
    try:
        tables = msgspec.json.decode(options)
    except msgspec.DecodeError as error:
        raise ConfigError(f"not JSON: {error}", "options") from None
    return config.parse(tables, attack_named(name), f"attack {name}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gossipfl.scenario.liar_node", description="Run one lying peer.")
    parser.add_argument("--attack", required=True, help="a key of gossipfl.scenario.liars.ATTACKS")
    parser.add_argument("--options", default="{}", help="the attack's options, JSON")
    parser.add_argument("--federation", required=True, type=Path)
    parser.add_argument("--state", required=True, type=Path)
    parser.add_argument("--config", required=True, type=Path, help="node.toml")
    return parser


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)                                  # as cli/node.py, which says why
