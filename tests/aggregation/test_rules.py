"""The table of rules and its door."""

from __future__ import annotations

import numpy as np
import pytest

from gossipfl.aggregation import RULES, Budget, differences, mix, rule_named
from gossipfl.errors import ConfigError, TooFewPeers

every_rule = pytest.mark.parametrize("rule", RULES)


def equal_weights(n: int) -> np.ndarray:
    return np.full(n, 1 / (n + 1), np.float32)


@every_rule
def test_peers_that_agree_stay_where_they_are(rule: str) -> None:
    correction = mix(np.zeros((4, 3), np.float32), equal_weights(4), rule, Budget(1))
    assert not correction.vector.any()
    np.testing.assert_array_equal(correction.kept, np.ones(4))


@every_rule
def test_a_rule_moves_with_the_models_wherever_they_lie(rule: str) -> None:
    rng = np.random.default_rng(0)
    own, others = (rng.integers(-50, 50, shape).astype(np.float32) for shape in ((6,), (5, 6)))
    here = mix(differences(own, list(others)), equal_weights(5), rule, Budget(2, 10.0))
    far = np.float32(2**20)                                               # whole numbers: additions are exact
    there = mix(differences(own + far, list(others + far)), equal_weights(5), rule, Budget(2, 10.0))
    np.testing.assert_array_equal(here.vector, there.vector)


@every_rule
def test_corrections_and_shares_are_float32_of_the_right_shape(rule: str) -> None:
    correction = mix(np.ones((4, 7), np.float32), equal_weights(4), rule, Budget(1))
    assert (correction.vector.dtype, correction.vector.shape) == (np.float32, (7,))
    assert (correction.kept.dtype, correction.kept.shape) == (np.float32, (4,))
    assert ((correction.kept >= 0) & (correction.kept <= 1)).all()


@pytest.mark.parametrize("rule", ["median", "trimmed_mean"])
def test_too_few_present_for_the_promise_are_refused_with_both_numbers(rule: str) -> None:
    w = equal_weights(4) * np.array([1, 1, 1, 0], np.float32)
    with pytest.raises(TooFewPeers, match=f"{rule} needs 5 models, my own included, and has 4"):
        mix(np.ones((4, 2), np.float32), w, rule, Budget(2))
    mix(np.ones((4, 2), np.float32), equal_weights(4), rule, Budget(2))


@pytest.mark.parametrize("rule", ["mean", "clipping"])
def test_a_single_neighbor_is_enough_for_a_weighted_sum(rule: str) -> None:
    correction = mix(np.full((1, 2), 0.5, np.float32), np.full(1, 0.5, np.float32), rule, Budget(3))
    np.testing.assert_allclose(correction.vector, [0.25, 0.25])


def test_an_unknown_rule_is_the_users_to_correct() -> None:
    with pytest.raises(ConfigError, match=r"aggregation.rule: no rule 'avg'; there are mean, "):
        rule_named("avg")


def test_differences_start_on_a_cache_line_and_overflow_without_a_word() -> None:
    z = differences(np.full(3, -3e38, np.float32), [np.full(3, 3e38, np.float32), np.zeros(3, np.float32)])
    assert z.ctypes.data % 64 == 0
    np.testing.assert_array_equal(z, [[np.inf] * 3, [np.float32(3e38)] * 3])
