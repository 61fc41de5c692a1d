"""The built-in models: how parameters begin, and logits from parameters and inputs.

Initial parameters come from NumPy, the same on every machine for one seed; jax.random would compile for seconds to
draw them.  Convolutions are written as im2col and a matrix product, because XLA runs convolution operators inside
loops about ten times slower on CPUs (jax issue 12868).  No batch statistics anywhere: averaging them across peers
with different data spoils a model.  A new model is a pair of functions and a line in MODELS.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import gcd, prod
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import numpy.typing as npt

from gossipfl.config import ModelConfig
from gossipfl.errors import ConfigError

Params = dict[str, Any]                         # name -> float32 array
Apply = Callable[[Params, jax.Array], jax.Array]

KERNEL = 3                                      # side of a convolution's window
GROUPS_MAX = 4                                  # of GroupNorm (Wu & He 2018); guess, few because channels are few
VARIANCE_MIN = 1e-5                             # GroupNorm's epsilon


class Model(NamedTuple):
    init: Callable[[ModelConfig, int], dict[str, npt.NDArray[np.float32]]]      # (model, seed) -> params
    apply: Apply                                # (params, x (B, *inputs) float32) -> logits (B, classes)


def _init_softmax(model: ModelConfig, seed: int) -> Params:
    return _init_dense([prod(model.inputs), model.classes], np.random.default_rng(seed))


def _init_mlp(model: ModelConfig, seed: int) -> Params:
    return _init_dense([prod(model.inputs), *model.hidden, model.classes], np.random.default_rng(seed))


def _init_cnn(model: ModelConfig, seed: int) -> Params:
    """Blocks of convolution, GroupNorm, relu and 2x2 max pooling, then a dense head of width hidden[-1]."""
    if min(model.hidden) < 1:
        raise ConfigError(f"every layer must be at least 1 wide, not {list(model.hidden)}", "model.hidden")
    rng = np.random.default_rng(seed)
    height, width, fan = model.inputs
    params: Params = {}
    for layer, channels in enumerate(model.hidden[:-1]):
        params[f"conv{layer}.weight"] = _he(rng, KERNEL * KERNEL * fan, (KERNEL, KERNEL, fan, channels))
        params[f"conv{layer}.scale"] = np.ones(channels, np.float32)
        params[f"conv{layer}.bias"] = np.zeros(channels, np.float32)
        height, width, fan = height // 2, width // 2, channels
    return params | _init_dense([height * width * fan, model.hidden[-1], model.classes], rng)


def _init_dense(widths: list[int], rng: np.random.Generator) -> Params:
    if min(widths) < 1:
        raise ConfigError(f"every layer must be at least 1 wide; the widths are {widths}", "model")
    params: Params = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(widths)):
        params[f"dense{layer}.weight"] = _he(rng, fan_in, (fan_in, fan_out))
        params[f"dense{layer}.bias"] = np.zeros(fan_out, np.float32)
    return params


def _he(rng: np.random.Generator, fan_in: int, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Normal with variance 2 / fan_in (He et al. 2015)."""
    return rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / fan_in))


def _apply_dense(params: Params, x: jax.Array) -> jax.Array:
    """Dense layers with relu between them; softmax regression is the case of one."""
    x = x.reshape(len(x), -1)                           # (B, features)
    layers = sum(name.startswith("dense") for name in params) // 2
    for layer in range(layers):
        x = x @ params[f"dense{layer}.weight"] + params[f"dense{layer}.bias"]
        if layer < layers - 1:
            x = jax.nn.relu(x)
    return x


def _apply_cnn(params: Params, x: jax.Array) -> jax.Array:
    for layer in range(sum(name.startswith("conv") for name in params) // 3):
        x = _convolve(x, params[f"conv{layer}.weight"])
        x = _group_norm(x, params[f"conv{layer}.scale"], params[f"conv{layer}.bias"])
        x = _max_pool(jax.nn.relu(x))
    return _apply_dense(params, x)


def _convolve(x: jax.Array, weight: jax.Array) -> jax.Array:
    """x (B, H, W, C) with weight (k, k, C, D), zero padded: (B, H, W, D)."""
    k, _, c, d = weight.shape
    _, height, width, _ = x.shape
    padded = jnp.pad(x, ((0, 0), (k // 2, k // 2), (k // 2, k // 2), (0, 0)))
    shifts = [padded[:, i : i + height, j : j + width] for i in range(k) for j in range(k)]
    return jnp.concatenate(shifts, axis=-1) @ weight.reshape(k * k * c, d)      # (B, H, W, kkC) @ (kkC, D)


def _group_norm(x: jax.Array, scale: jax.Array, bias: jax.Array) -> jax.Array:
    """x (B, H, W, C), each example and group of channels brought to mean 0 and variance 1, then scaled and shifted."""
    centered = x - _group_means(x)
    return centered * (jax.lax.rsqrt(_group_means(centered * centered) + VARIANCE_MIN) * scale) + bias


def _group_means(x: jax.Array) -> jax.Array:
    """(B, 1, 1, C): the mean of x (B, H, W, C) over pixels and over the channels of each group.

    Pixels first, then the few channels: XLA's one reduction over a five-dimensional view makes a cnn 1.4 times slower.
    """
    b, _, _, c = x.shape
    groups = gcd(c, GROUPS_MAX)
    means = x.reshape(b, -1, c).mean(axis=1).reshape(b, groups, -1).mean(axis=2)        # (B, G)
    return jnp.repeat(means, c // groups, axis=1)[:, None, None, :]


def _max_pool(x: jax.Array) -> jax.Array:
    """x (B, H, W, C) halved in height and width; an odd last row or column is dropped."""
    b, height, width, c = x.shape
    even = x[:, : height // 2 * 2, : width // 2 * 2]
    return even.reshape(b, height // 2, 2, width // 2, 2, c).max(axis=(2, 4))


MODELS: dict[str, Model] = {
    "softmax": Model(_init_softmax, _apply_dense),
    "mlp": Model(_init_mlp, _apply_dense),
    "cnn": Model(_init_cnn, _apply_cnn),
}
