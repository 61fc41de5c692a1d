"""A sketch of 256 numbers tells distances between vectors of any length."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.learning.sketch import BLOCK, distance, sketch


def two_vectors(d: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    one = rng.normal(size=d).astype(np.float32)
    return one, one + rng.standard_t(3, size=d).astype(np.float32)      # heavy tails: a few coordinates move far


@given(st.integers(1, 400), st.integers(1, 64), st.integers(0, 2**32))
def test_a_sketch_is_linear_and_has_its_width(d, width, seed):
    one, other = two_vectors(d, 7)
    both = sketch(one + other, seed, width)
    assert both.shape == (width,)
    assert both.dtype == np.float32
    assert np.allclose(both, sketch(one, seed, width) + sketch(other, seed, width), atol=1e-3)


def test_the_squared_distance_is_unbiased_and_spreads_as_the_theory_says():
    one, other = two_vectors(3000, 0)
    true = float(np.linalg.norm(one - other)) ** 2
    ratios = [distance(sketch(one, seed), sketch(other, seed)) ** 2 / true for seed in range(400)]
    assert np.mean(ratios) == pytest.approx(1, abs=0.02)
    assert np.std(ratios) == pytest.approx(np.sqrt(2 / 256), rel=0.2)


def test_vectors_longer_than_a_block_are_told_apart_too():
    one, other = two_vectors(BLOCK + 1000, 1)
    assert distance(sketch(one, 5), sketch(other, 5)) == pytest.approx(float(np.linalg.norm(one - other)), rel=0.15)
    last = other.copy()
    last[-1] += 1000
    assert distance(sketch(last, 5), sketch(other, 5)) == pytest.approx(1000, rel=1e-3)


def test_equal_vectors_have_distance_zero_and_another_seed_another_sketch():
    one, _ = two_vectors(1000, 2)
    assert distance(sketch(one, 1), sketch(one, 1)) == 0
    assert not np.allclose(sketch(one, 1), sketch(one, 2))
