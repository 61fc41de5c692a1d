"""The optimizers are optax's, begun without compiling anything."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gossipfl.config import TrainingConfig
from gossipfl.learning.optimizer import OPTIMIZERS, initial_state, optimizer


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_initial_state_is_optax_s_own(name):
    params = {"a": np.ones((2, 3), np.float32), "b": np.ones(4, np.float32)}
    rule = optimizer(TrainingConfig(optimizer=name))
    own, theirs = initial_state(rule, params), rule.init(jax.tree.map(jnp.asarray, params))
    assert jax.tree.structure(own) == jax.tree.structure(theirs)
    for mine, other in zip(jax.tree.leaves(own), jax.tree.leaves(theirs), strict=True):
        assert mine.dtype == other.dtype
        assert np.array_equal(mine, other)


def test_momentum_adds_up_a_constant_gradient():
    rule = optimizer(TrainingConfig(learning_rate=0.5, momentum=0.9))
    state, moves = initial_state(rule, np.zeros(1, np.float32)), []
    for _ in range(3):
        move, state = rule.update(jnp.ones(1), state)
        moves.append(float(move[0]))
    assert moves == pytest.approx([-0.5, -0.95, -1.355])


def test_no_momentum_needs_no_state():
    assert jax.tree.leaves(initial_state(optimizer(TrainingConfig(momentum=0.0)), np.zeros(3, np.float32))) == []
