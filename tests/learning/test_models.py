"""Models begin alike everywhere, and their hand-written layers compute what the textbook says."""

import jax
import numpy as np
import pytest

from gossipfl.config import ModelConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.models import KERNEL, MODELS, _convolve, _group_norm, _max_pool

OPTIONS = {
    "softmax": ModelConfig(name="softmax", inputs=(64,), classes=7),
    "mlp": ModelConfig(name="mlp", inputs=(8, 8), hidden=(16, 12), classes=7),
    "cnn": ModelConfig(name="cnn", inputs=(9, 8, 2), hidden=(4, 6, 16), classes=7),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_seed_decides_every_initial_parameter(name):
    first, again, other = (MODELS[name].init(OPTIONS[name], seed) for seed in (1, 1, 2))
    assert all(array.dtype == np.float32 for array in first.values())
    assert all(np.array_equal(first[key], again[key]) for key in first)
    assert not all(np.array_equal(first[key], other[key]) for key in first)


@pytest.mark.parametrize("name", MODELS)
def test_logits_have_one_column_per_class(name):
    options = OPTIONS[name]
    logits = jax.jit(MODELS[name].apply)(MODELS[name].init(options, 0), np.ones((3, *options.inputs), np.float32))
    assert logits.shape == (3, 7)
    assert np.isfinite(logits).all()


def test_weights_begin_with_the_variance_of_he():
    weight = MODELS["mlp"].init(ModelConfig(inputs=(400,), hidden=(300,)), 0)["dense0.weight"]
    assert weight.var() == pytest.approx(2 / 400, rel=0.02)


def test_an_mlp_is_matrices_with_relu_between():
    options = OPTIONS["mlp"]
    params = MODELS["mlp"].init(options, 0)
    x = np.random.default_rng(0).normal(size=(5, 8, 8)).astype(np.float32)
    hidden = x.reshape(5, 64)
    for layer in range(2):
        hidden = np.maximum(hidden @ params[f"dense{layer}.weight"] + params[f"dense{layer}.bias"], 0)
    expected = hidden @ params["dense2.weight"] + params["dense2.bias"]
    assert np.allclose(jax.jit(MODELS["mlp"].apply)(params, x), expected, atol=1e-4)


def test_im2col_is_the_convolution_of_xla():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 7, 5, 3)).astype(np.float32)
    weight = rng.normal(size=(KERNEL, KERNEL, 3, 4)).astype(np.float32)
    expected = jax.lax.conv_general_dilated(x, weight, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    assert np.allclose(jax.jit(_convolve)(x, weight), expected, atol=1e-4)


def test_group_norm_brings_each_group_to_mean_0_and_variance_1():
    x = np.random.default_rng(0).normal(5, 3, size=(2, 6, 6, 8)).astype(np.float32)
    groups = np.asarray(jax.jit(_group_norm)(x, np.ones(8), np.zeros(8))).reshape(2, 36, 4, 2)
    assert np.allclose(groups.mean(axis=(1, 3)), 0, atol=1e-5)
    assert np.allclose(groups.var(axis=(1, 3)), 1, atol=1e-3)


def test_max_pool_drops_an_odd_last_row():
    x = np.arange(15, dtype=np.float32).reshape(1, 5, 3, 1)         # rows of three: 0 1 2 | 3 4 5 | ...
    assert np.ravel(jax.jit(_max_pool)(x)).tolist() == [4, 10]


@pytest.mark.parametrize(
    "options",
    [
        ModelConfig(name="cnn", inputs=(8, 8, 1), hidden=(0, 8)),
        ModelConfig(name="mlp", hidden=(16, 0)),
        ModelConfig(name="softmax", classes=0),
    ],
)
def test_models_that_cannot_be_are_refused(options):
    with pytest.raises(ConfigError, match="model"):
        MODELS[options.name].init(options, 0)
