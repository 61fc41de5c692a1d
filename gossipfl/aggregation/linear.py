"""Rules that are weighted sums of the neighbors' differences: the mean and self-centered clipping.

The weights come from overlay/weights.py by way of the caller; rules that rank coordinates are in coordinate.py.
"""

from __future__ import annotations

import numpy as np

from gossipfl.aggregation.rule import SPAN, Array, Budget, Correction, Vector, on_host
from gossipfl.aggregation.screen import norm


def mean(z: Array, w: Array, budget: Budget) -> Correction:
    """Plain gossip: sum_j w_j z_j.  Keeps the average of all models, and follows a single liar anywhere."""
    return _weighted_sum(z, w, (w > 0).astype(np.float32))


def clipping(z: Array, w: Array, budget: Budget) -> Correction:
    """Self-centered clipping, sum_j w_j clip(z_j, tau): no neighbor moves me by more than w_j tau.

    clip(z, tau) = z min(1, tau / |z|), with a fixed radius tau (He, Karimireddy, Jaggi 2022).
    """
    return _weighted_sum(z, w, _clip_factors(z, w > 0, budget.clip_radius))


def _clip_factors(z: Array, present: Array, tau: float) -> Array:
    """min(1, tau / |z_j|) of each present row, 0 of the others, (n,) float32."""
    if on_host(z):
        factors = [tau / max(tau, norm(row)) if here else 0 for row, here in zip(z, present, strict=True)]
        return np.array(factors, np.float32)
    import jax.numpy as jnp

    squares = jnp.sum(z * z, axis=1)                                       # (n,); inf for the far-off: factor 0
    return jnp.where(present, tau / jnp.maximum(tau, jnp.sqrt(squares)), 0)


def _weighted_sum(z: Array, w: Array, factors: Array) -> Correction:
    """sum_j factor_j w_j z_j.  An absent row may hold anything, NaN included, and is never multiplied."""
    weights = w * factors
    if on_host(z):
        return Correction(_host_sum(z, weights.astype(np.float32)), factors)
    import jax.numpy as jnp

    # One row at a time: XLA fuses this into one loop, while its product of matrices is ten times slower here.
    total = jnp.zeros_like(z[0])
    for row, weight in zip(z, weights, strict=True):
        total += jnp.where(weight > 0, weight * row, 0)
    return Correction(total, factors)


def _host_sum(z: Vector, weights: Vector) -> Vector:
    present = np.flatnonzero(weights)
    if len(present) == len(z):
        return weights @ z
    total, weights = np.empty(z.shape[1], np.float32), weights[present]
    for start in range(0, len(total), SPAN):                               # in spans: no copy of all present rows
        total[start : start + SPAN] = weights @ z[present, start : start + SPAN]
    return total
