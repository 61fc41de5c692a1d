"""The published net computes what its layers say, and drops only while it is trained."""

import sys
from pathlib import Path

import jax
import numpy as np
import pytest

TOOLS = str(Path(__file__).parents[2] / "tools")


@pytest.fixture
def net(monkeypatch):
    monkeypatch.setattr(sys, "path", [TOOLS, *sys.path])
    from studies import published_net

    return published_net


@pytest.fixture
def params(net):
    return net.init(net.model(), 0)


X = np.random.default_rng(0).random((5, 28, 28, 1), np.float32)


def convolved(x, params, name):
    dims = ("NHWC", "HWIO", "NHWC")
    found = jax.lax.conv_general_dilated(x, params[f"{name}.weight"], (1, 1), "VALID", dimension_numbers=dims)
    return found + params[f"{name}.bias"]


def test_logits_are_those_of_the_convolution_operator(net, params):
    x = jax.nn.relu(convolved((X - net.MEAN) / net.DEVIATION, params, "conv0"))
    x = convolved(x, params, "conv1")
    x = jax.lax.reduce_window(x, -np.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID").reshape(len(X), -1)
    x = jax.nn.relu(x @ params["dense0.weight"] + params["dense0.bias"])
    np.testing.assert_allclose(net.apply(params, X), x @ params["dense1.weight"] + params["dense1.bias"], atol=1e-5)


def test_dropout_is_drawn_by_its_key_and_changes_nothing_on_average(net, params):
    noisy = jax.jit(net.noisy)
    drawn = np.array([noisy(params, X, jax.random.PRNGKey(seed)) for seed in range(400)])
    np.testing.assert_array_equal(drawn[3], noisy(params, X, jax.random.PRNGKey(3)))
    assert drawn.std(axis=0).min() > 0.01
    off = np.abs(drawn.mean(axis=0) - net.apply(params, X)).max()
    assert off < 5 * drawn.std(axis=0).max() / np.sqrt(400) + 0.02, "the relu between the two bends it a little"


def test_it_begins_as_pytorch_does(params):
    sizes = [(9 + 1) * 8, (9 * 8 + 1) * 16, (12 * 12 * 16 + 1) * 128, (128 + 1) * 10]
    assert sum(np.size(one) for one in params.values()) == sum(sizes)
    for name, one in params.items():
        layer = params[f"{name.partition('.')[0]}.weight"]
        assert np.abs(one).max() <= 1 / np.sqrt(np.prod(layer.shape[:-1]))
