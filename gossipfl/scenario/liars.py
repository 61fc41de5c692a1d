"""The attacks: what a liar does instead of honest learning, as a wrapper around its learner or its examples.

An attack is one class, one line in ATTACKS and one test.  A liar runs the same daemon as everybody; the rest of the
house has no line about attacks.  Who lies is decided in plan.py, the process that runs a liar is liar_node.py.
Sources of the attacks: Blanchard et al. 2017 (gaussian), Li et al. 2019, RSA (sign flip), Biggio et al. 2012 (labels).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gossipfl.config import Options
from gossipfl.errors import ConfigError

if TYPE_CHECKING:
    from gossipfl.learning.data import Shard
    from gossipfl.learning.learner import Learner, Metrics, TrainReport

Vector = npt.NDArray[np.float32]


class Attack(Options):
    """The options of an attack are its fields.  An attack replaces the learner, the examples, or both."""

    def learner(self, honest: Learner, seed: int) -> Learner:
        """What trains and speaks for the liar.  `seed` is the liar's own."""
        return honest

    def shard(self, shard: Shard, classes: int) -> Shard:
        """The examples that the liar trains on."""
        return shard


class SignFlip(Attack):
    """Show the own trained model with its sign turned and its length stretched: -scale * x.

    A plain mean of n honest models and this one is (n - scale) / (n + 1) of the honest mean, so the default turns the
    sign of everybody's model for up to nine honest ones in a neighborhood (degree 6, or ten peers that all hear all).
    """

    scale: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.scale < float("inf"):
            raise ValueError(f"scale must be positive and finite, is {self.scale}")

    def learner(self, honest: Learner, seed: int) -> Learner:
        return FalseWitness(honest, lambda truth, _: -np.float32(self.scale) * truth)


class Gaussian(Attack):
    """Show the own trained model under normal noise of standard deviation `sigma` in each of its d coordinates."""

    sigma: float = 10.0

    def __post_init__(self) -> None:
        if not 0.0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be positive and finite, is {self.sigma}")

    def learner(self, honest: Learner, seed: int) -> Learner:
        def drown(truth: Vector, round: int) -> Vector:
            noise = np.random.default_rng((seed, round)).standard_normal(len(truth), dtype=np.float32)
            return truth + np.float32(self.sigma) * noise

        return FalseWitness(honest, drown)


class LabelFlip(Attack):
    """Learn the mirror image, class c as `classes - 1 - c`, and take part honestly in everything else."""

    def shard(self, shard: Shard, classes: int) -> Shard:
        mirrored = (classes - 1 - shard.train.y).astype(shard.train.y.dtype)
        return replace(shard, train=replace(shard.train, y=mirrored))


ATTACKS: dict[str, type[Attack]] = {
    "gaussian": Gaussian,
    "label_flip": LabelFlip,
    "sign_flip": SignFlip,
}


def attack_named(name: str) -> type[Attack]:
    """The attack called `name`.  Raises ConfigError naming those that exist."""
    if name not in ATTACKS:
        raise ConfigError(f"there is no attack {name!r}; there are {', '.join(sorted(ATTACKS))}", "attack")
    return ATTACKS[name]


class FalseWitness:
    """A learner that trains and, once trained, shows a lie about the result.

    It goes on from the mix of its lie with the others' models where that mix is nearer to its own model than to the
    lie: so its lies follow the others, and a plain mean cannot learn to make up for them.  A rule that stays near its
    owner's model would only feed the lie back into the next one until the numbers overflow; then it trains alone.
    """

    def __init__(self, honest: Learner, lie: Callable[[Vector, int], Vector]) -> None:
        self._honest = honest
        self._lie = lie
        self._shown = honest.vector()               # before any training everybody holds this one

    @property
    def size(self) -> int:
        return self._honest.size

    def vector(self) -> Vector:
        """(d,) float32: the lie of the newest round."""
        return self._shown.copy()

    def load(self, vector: Vector) -> None:
        """Take the mix as the truth to lie about, or leave it."""
        truth = self._honest.vector()
        if np.linalg.norm(vector - truth) < np.linalg.norm(vector - self._shown):
            self._honest.load(vector)

    def train(self, round: int) -> TrainReport:
        report = self._honest.train(round)
        self._shown = self._lie(self._honest.vector(), round)
        return report

    def evaluate(self) -> Metrics:
        """How good the model is that the liar keeps to itself."""
        return self._honest.evaluate()
