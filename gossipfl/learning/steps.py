"""Local training and evaluation as two pure JAX functions of arrays: what jax_learner.py compiles for one peer and
the array engine maps over all peers.

Lengths that differ from peer to peer (examples, steps) arrive padded, with the true number as a scalar, so that one
compiled program serves many peers.  Which batches are drawn is decided by whoever calls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gossipfl.config import ModelConfig, TrainingConfig
from gossipfl.learning.data import PIXEL_MAX
from gossipfl.learning.models import MODELS, Apply, Params
from gossipfl.learning.optimizer import optimizer
from gossipfl.learning.vector import Layout

EVALUATE_ROWS = 64                              # examples per block; a cnn's activations then stay in the cache


class Trained(NamedTuple):
    vector: jax.Array                           # (d,)
    state: Any                                  # the optimizer's, a pytree
    loss: jax.Array                             # mean over the steps


TrainSteps = Callable[..., Trained]             # (vector, state, x, y, batches, steps)
Evaluate = Callable[..., tuple[jax.Array, jax.Array]]    # (vector, x, y, count) -> (correct, summed loss)


def train_steps(model: ModelConfig, training: TrainingConfig, layout: Layout) -> TrainSteps:
    """`steps` updates from `vector` (d,) on x (n, *inputs), y (n,): step s uses rows batches[s] of batches (S, B)."""
    apply, rule = MODELS[model.name].apply, optimizer(training)
    gradient = jax.value_and_grad(lambda params, x, y: cross_entropy(apply(params, x), y).mean())

    def train(vector: Any, state: Any, x: Any, y: Any, batches: Any, steps: Any) -> Trained:
        def step(s: Any, carry: tuple[Params, Any, jax.Array]) -> tuple[Params, Any, jax.Array]:
            params, state, loss_sum = carry
            rows = batches[s]                                       # (B,)
            loss, slopes = gradient(params, to_floats(x[rows]), y[rows])
            updates, state = rule.update(slopes, state, params)
            return optax.apply_updates(params, updates), state, loss_sum + loss

        start = (layout.unflatten(vector), state, jnp.float32(0))
        params, state, loss_sum = jax.lax.fori_loop(0, steps, step, start)
        return Trained(layout.flatten(params, jnp), state, loss_sum / steps)

    return train


def evaluation(model: ModelConfig, layout: Layout) -> Evaluate:
    """How many of the first `count` rows of x (n, *inputs) are classified as y, and their summed loss.

    n is a multiple of EVALUATE_ROWS.
    """
    apply: Apply = MODELS[model.name].apply

    def evaluate(vector: Any, x: Any, y: Any, count: Any) -> tuple[jax.Array, jax.Array]:
        params = layout.unflatten(vector)
        x, y = x.reshape(-1, EVALUATE_ROWS, *x.shape[1:]), y.reshape(-1, EVALUATE_ROWS)    # (blocks, rows, ...)

        def block(b: Any, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            correct, loss_sum = carry
            logits = apply(params, to_floats(x[b]))                 # (rows, classes)
            counted = b * EVALUATE_ROWS + jnp.arange(EVALUATE_ROWS) < count
            hits = counted & (logits.argmax(axis=1) == y[b])
            return correct + hits.sum(), loss_sum + jnp.where(counted, cross_entropy(logits, y[b]), 0).sum()

        blocks = (count + EVALUATE_ROWS - 1) // EVALUATE_ROWS
        correct, loss_sum = jax.lax.fori_loop(0, blocks, block, (jnp.int32(0), jnp.float32(0)))
        return correct, loss_sum

    return evaluate


def cross_entropy(logits: jax.Array, y: jax.Array) -> jax.Array:
    """(B,) negative log likelihood of the classes y (B,) under logits (B, classes)."""
    return jax.nn.logsumexp(logits, axis=1) - jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]


def to_floats(x: jax.Array) -> jax.Array:
    """As data.scaled, on the device."""
    return x.astype(jnp.float32) / PIXEL_MAX if x.dtype == jnp.uint8 else x
