"""Approximate consensus: peers that learn nothing and only try to agree, the cheapest test of what theory promises.

Two groups start apart, 2 * APART in the first coordinate, on the two sides of the graph's weakest cut; a rule that
keeps to its own group, or a liar that holds the groups apart, shows at once.  Worlds are world.py's, rounds are
rounds.py's.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gossipfl.scenario.arena.rounds import Match, Trainer, play
from gossipfl.scenario.arena.world import World
from gossipfl.scenario.liars.attack import Vector

WIDTH = 5                                                # d
APART = 5.0                                              # from 0, in standard deviations of each group
_LOST = 1e12                                             # of the initial variance: nothing will bring them back


class Agreement(NamedTuple):
    """Of the honest peers, as shares of the variance that they began with."""

    error: float                                         # mean square distance to the mean of the beginning: 0 is best
    disagreement: float                                  # mean square distance to their present mean


def positions(world: World, seed: int) -> Vector:
    """(n, 5): N(0, I) +- 5 e_1, the sign by the side of the honest graph's weakest cut; liars at N(0, I)."""
    models = np.random.default_rng(seed).standard_normal((world.n, WIDTH)).astype(np.float32)
    side = np.where(world.fiedler > np.median(world.fiedler), 1, -1)
    for peer, sign in zip(world.honest, side, strict=True):
        models[peer, 0] += APART * sign
    return models


def noise(scale: float, seed: int) -> Trainer:
    """Stands for training: normal noise of deviation `scale` on each model and round; 0 leaves them alone."""
    def train(models: Vector, round: int) -> Vector:
        if not scale:
            return models
        dice = np.random.default_rng((seed, round, 7))
        return models + np.float32(scale) * dice.standard_normal(models.shape, np.float32)

    return train


def agree(match: Match, noise_scale: float = 0.0) -> Agreement:
    """How near the honest peers come to the mean of what they began with, after match.rounds rounds."""
    honest = list(match.world.honest)
    begin = positions(match.world, match.seed)
    middle = begin[honest].astype(np.float64).mean(axis=0)
    variance = _mean_square(begin[honest] - middle)

    def is_lost(round: int, models: Vector) -> bool:
        return not _mean_square(models[honest] - middle) < _LOST * variance

    end = play(match, begin, noise(noise_scale, match.seed), is_lost)[honest].astype(np.float64)
    return Agreement(_mean_square(end - middle) / variance, _mean_square(end - end.mean(axis=0)) / variance)


def _mean_square(differences: Vector) -> float:
    return float(np.square(differences, dtype=np.float64).sum(axis=1).mean())
