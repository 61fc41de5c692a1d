"""The net of Karimireddy, He, Jaggi 2022 (ICLR), section 6, with a quarter of its channels: 300,000 parameters.

Two convolutions of 3 x 3 without padding, one pooling, a dense layer, and dropout before and behind it; pixels are
standardized and parameters begin as PyTorch begins them.  Dropout is no ornament here: without
it the same net, at the published radius, falls to chance under ALIE, as gossipfl's own does without GroupNorm; with
GroupNorm that one reaches 93 %.  Under labels so uneven, what clients' gradients have in common is small beside what
parts them, and a net that overshoots is lost.
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gossipfl.config import ModelConfig
from gossipfl.learning.models import MODELS, Model, Params

NAME = "published"
CHANNELS = (8, 16)                           # theirs: 32, 64
KERNEL, WIDTH = 3, 128
MEAN, DEVIATION = 0.1307, 0.3081             # of MNIST's pixels
DROPPED = (0.25, 0.5)                        # of the channels before the dense layer, of its outputs


def model() -> ModelConfig:
    """The net for MNIST."""
    return ModelConfig(name=NAME, inputs=(28, 28, 1), hidden=(*CHANNELS, WIDTH))  # type: ignore[arg-type]


def init(model: ModelConfig, seed: int) -> Params:
    height, width, fan = model.inputs
    *channels, dense = model.hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, count in enumerate(channels):
        shapes[f"conv{layer}"] = (KERNEL, KERNEL, fan, count)
        height, width, fan = height - KERNEL + 1, width - KERNEL + 1, count
    shapes["dense0"], shapes["dense1"] = (height // 2 * (width // 2) * fan, dense), (dense, model.classes)
    dice = np.random.default_rng(seed)
    params: Params = {}
    for name, shape in shapes.items():
        bound = 1 / math.sqrt(math.prod(shape[:-1]))
        params[f"{name}.weight"] = dice.uniform(-bound, bound, shape).astype(np.float32)
        params[f"{name}.bias"] = dice.uniform(-bound, bound, shape[-1]).astype(np.float32)
    return params


def apply(params: Params, x: jax.Array) -> jax.Array:
    """Logits (B, classes) of x (B, 28, 28, 1) in 0..1."""
    return _forward(params, x, None)


def noisy(params: Params, x: jax.Array, key: jax.Array) -> jax.Array:
    """The same with dropout, as it is trained."""
    return _forward(params, x, key)


def _forward(params: Params, x: jax.Array, key: jax.Array | None) -> jax.Array:
    x = (x - MEAN) / DEVIATION
    x = jax.nn.relu(_convolved(x, params, "conv0"))
    x = _pooled(_convolved(x, params, "conv1"))
    x = _dropped(x, DROPPED[0], (len(x), 1, 1, x.shape[-1]), key, 0).reshape(len(x), -1)
    x = jax.nn.relu(x @ params["dense0.weight"] + params["dense0.bias"])
    x = _dropped(x, DROPPED[1], x.shape, key, 1)
    return x @ params["dense1.weight"] + params["dense1.bias"]


def _convolved(x: jax.Array, params: Params, name: str) -> jax.Array:
    """(B, H, W, C) -> (B, H - 2, W - 2, D), as im2col and a product."""
    weight, bias = params[f"{name}.weight"], params[f"{name}.bias"]
    _, height, width, c = x.shape
    shifts = [
        x[:, i : i + height - KERNEL + 1, j : j + width - KERNEL + 1] for i in range(KERNEL) for j in range(KERNEL)
    ]
    return jnp.concatenate(shifts, axis=-1) @ weight.reshape(KERNEL * KERNEL * c, -1) + bias


def _pooled(x: jax.Array) -> jax.Array:
    b, height, width, c = x.shape
    return x.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4))


def _dropped(x: jax.Array, share: float, shape: tuple[int, ...], key: Any, place: int) -> jax.Array:
    if key is None:
        return x
    return x * jax.random.bernoulli(jax.random.fold_in(key, place), 1 - share, shape) / (1 - share)


MODELS[NAME] = Model(init, apply)
