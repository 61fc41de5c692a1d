"""What liars see, drawn by a seed, and victims that answer by simple rules."""

import numpy as np

from gossipfl.scenario.liars import Sight


def draw(seed, honest=6, d=5, **changes):
    """A sight of `honest` models around a common one, told to one victim unless changed."""
    dice = np.random.default_rng(seed)
    common = dice.normal(size=d)
    models = (common + 0.5 * dice.normal(size=(honest + 3, d))).astype(np.float32)
    weights = np.full(honest, 1 / (honest + 3), np.float32)
    made = {
        "round": 3, "seed": 11, "own": models[-1], "before": models[-2], "start_norm": 1.5, "honest": models[:honest],
        "weights": weights, "share": 2 / (honest + 3), "liars": 2, "victim": models[-3],
    }  # fmt: skip
    return Sight(**made | changes)


def answering(sight, rule, liars=2):
    """`sight` with a victim that mixes all models in sight and the lie of `liars` by `rule`, (n, d) -> (d,)."""
    rows = sight.crowd

    def respond(lie):
        return np.asarray(rule(np.vstack([rows, *[lie] * liars]).astype(np.float64)), np.float64)

    return with_(sight, respond=respond)


def with_(sight, **changes):
    from dataclasses import replace

    return replace(sight, **changes)


def trimmed(rows):
    """The mean of each coordinate without its two lowest and two highest."""
    return np.sort(rows, axis=0)[2:-2].mean(axis=0)


def nearest(rows):
    """The mean of the victim's (before the two lies) nearest, without the two farthest."""
    distances = np.linalg.norm(rows - rows[-3], axis=1)
    return rows[np.argsort(distances, kind="stable")[:-2]].mean(axis=0)


def krum(rows):
    """The row with the smallest sum of squared distances to its n - 4 nearest others."""
    squares = np.square(rows[:, None] - rows[None]).sum(axis=2)
    return rows[np.argmin(np.sort(squares, axis=1)[:, 1 : len(rows) - 3].sum(axis=1))]


def clipped(rows):
    """Self-centered clipping with radius 1."""
    z = rows - rows[-3]
    lengths = np.maximum(np.linalg.norm(z, axis=1, keepdims=True), 1e-12)
    return rows[-3] + (z * np.minimum(1, 1 / lengths)).mean(axis=0)


RULES = {"mean": lambda rows: rows.mean(axis=0), "median": lambda rows: np.median(rows, axis=0), "trimmed": trimmed,
         "nearest": nearest, "krum": krum, "clipped": clipped}                                         # fmt: skip
