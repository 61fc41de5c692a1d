"""Which examples the peers of a published experiment hold: its splits, of a data set on this disk.

learning/split.py has the splits that a user of federations wants; here are those that papers sort by hand: by label
("sorted"), and halves of the classes ("halves").  Seeded, disjoint.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from gossipfl.config import DataConfig, ModelConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.data import Examples, load_shard
from gossipfl.learning.split import SPLITTERS, split

Labels = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]
Dealer = Callable[[Labels, int, np.random.Generator], list[Rows]]


def load(source: str, model: ModelConfig) -> tuple[Examples, Examples]:
    """(training examples, common test set).  Raises DataError where the data is not on this disk."""
    whole = load_shard(DataConfig(source=source), model)
    return whole.train, whole.test


def deal(kind: str, labels: Labels, peers: int, seed: int, *, alpha: float = 0.5) -> tuple[Rows, ...]:
    """Each peer's rows of labels (N,).  Raises ConfigError for a kind that does not exist or cannot be."""
    if kind in DEALERS:
        if peers > len(labels):
            raise ConfigError(f"{len(labels)} examples are too few for {peers} peers", "data.split")
        return tuple(DEALERS[kind](labels, peers, np.random.default_rng(seed)))
    if kind not in SPLITTERS:
        raise ConfigError(f"no split {kind!r}; there are {', '.join((*DEALERS, *SPLITTERS))}", "data.split")
    return tuple(split(labels, DataConfig(split=kind, peers=peers, seed=seed, alpha=alpha)))  # type: ignore[arg-type]


def by_label(labels: Labels, peers: int, dice: np.random.Generator) -> list[Rows]:
    """Sorted by label and cut into runs: nearly every peer has one class (Karimireddy, He, Jaggi 2022)."""
    shuffled = dice.permutation(len(labels))
    return list(np.array_split(shuffled[np.argsort(labels[shuffled], kind="stable")], peers))


def by_halves(labels: Labels, peers: int, dice: np.random.Generator) -> list[Rows]:
    """The first half of the peers shares the lower half of the classes, the second the upper: a dumbbell's cliques."""
    half, middle = (peers + 1) // 2, (int(labels.max()) + 1) // 2
    low, high = dice.permutation(np.flatnonzero(labels < middle)), dice.permutation(np.flatnonzero(labels >= middle))
    return [*np.array_split(low, half), *np.array_split(high, peers - half)]


DEALERS: dict[str, Dealer] = {"sorted": by_label, "halves": by_halves}
