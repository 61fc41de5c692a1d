"""What is refused before anything is written: codecs that do not exist, rules that lack models."""

from __future__ import annotations

from gossipfl.config import AggregationConfig
from gossipfl.errors import ConfigError


def check_codec(name: str) -> None:
    """Raises ConfigError unless there is a codec called `name`."""
    from gossipfl.codec import CODECS

    if name not in CODECS:
        raise ConfigError(f"there is no codec {name!r}; there are {', '.join(CODECS)}", "codec")


def check_rule(aggregation: AggregationConfig, neighbors: int, remedy: str) -> None:
    """Raises ConfigError if the rule needs more models than `neighbors` and oneself, or does not exist.

    Against f liars a trimmed mean or a median needs n > 2f models; with fewer it would promise what it cannot keep.
    `remedy` says how to come by more neighbors.
    """
    from gossipfl.aggregation import rule_named

    need = rule_named(aggregation.rule).models_min(aggregation.byzantine_max)
    if neighbors + 1 < need:
        raise ConfigError(
            f"{aggregation.rule} against {aggregation.byzantine_max} needs {need} models, a peer's own included, and "
            f"the overlay promises {neighbors + 1}: {remedy}, or lower byzantine_max",
            "aggregation.byzantine_max",
        )

