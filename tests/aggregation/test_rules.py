"""The table of rules and its door."""

from __future__ import annotations

import numpy as np
import pytest

from gossipfl.aggregation import RULES, About, Budget, check, differences, mix, rule_named
from gossipfl.aggregation.coordinate import sample_of
from gossipfl.errors import ConfigError, TooFewPeers

every_rule = pytest.mark.parametrize("rule", RULES)


def equal_weights(n: int) -> np.ndarray:
    return np.full(n, 1 / (n + 1), np.float32)


def anything(n: int, d: int) -> About:
    """Whatever a rule may need to know, of a peer that trusts everybody."""
    return About(rounds=10, own_norm=1e3, own_update=np.ones(d, np.float32), losses=np.zeros(n), own_loss=1.0)


@every_rule
def test_peers_that_agree_stay_where_they_are(rule: str) -> None:
    correction = mix(np.zeros((7, 3), np.float32), equal_weights(7), rule, Budget(1), anything(7, 3))
    assert np.abs(correction.vector).max() < 1e-6
    assert correction.kept.sum() >= (0 if rule == "krum" else 2)          # krum may choose me


@every_rule
def test_a_rule_moves_with_the_models_wherever_they_lie(rule: str) -> None:
    rng = np.random.default_rng(0)
    own, others = (rng.integers(-50, 50, shape).astype(np.float32) for shape in ((6,), (7, 6)))
    about = anything(7, 6)
    here = mix(differences(own, list(others)), equal_weights(7), rule, Budget(1, 10.0), about)
    far = np.float32(2**20)                                               # whole numbers: additions are exact
    there = mix(differences(own + far, list(others + far)), equal_weights(7), rule, Budget(1, 10.0), about)
    np.testing.assert_array_equal(here.vector, there.vector)


@every_rule
def test_corrections_and_shares_are_float32_of_the_right_shape(rule: str) -> None:
    z = np.random.default_rng(0).standard_normal((7, 5)).astype(np.float32)
    correction = mix(z, equal_weights(7), rule, Budget(1), anything(7, 5))
    assert (correction.vector.dtype, correction.vector.shape) == (np.float32, (5,))
    assert (correction.kept.dtype, correction.kept.shape) == (np.float32, (7,))
    assert ((correction.kept >= 0) & (correction.kept <= 1)).all()


@every_rule
def test_a_rule_says_how_few_models_it_starts_with(rule: str) -> None:
    for f in range(4):
        need = RULES[rule].models_min(f)
        check(rule, (), f, need - 1)
        if need > 1:
            with pytest.raises(ConfigError, match=f"{rule} against {f} needs {need} models.*make {need - 1}"):
                check(rule, (), f, need - 2)


def test_buckets_leave_a_rule_fewer_models_and_both_numbers_are_told() -> None:
    check("krum", ("bucketing",), 1, 8)                                   # 9 models, 5 buckets
    with pytest.raises(ConfigError, match=r"krum against 1 needs 5 models.* make 8, of which bucketing leave 4"):
        check("krum", ("bucketing",), 1, 7)
    with pytest.raises(TooFewPeers, match="krum needs 5 models, my own included, and has 4"):
        mix(np.ones((7, 2), np.float32), equal_weights(7), "krum", Budget(1), pre=("bucketing",))


def test_what_cannot_be_composed_is_refused_with_what_can() -> None:
    with pytest.raises(ConfigError, match=r"aggregation.pre: nnm treats me like anybody, cs_plus does not; it goes"):
        check("cs_plus", ("nnm",), 1, 20)
    with pytest.raises(ConfigError, match=r"no 'mixing' to do before a rule; there are nnm, "):
        check("median", ("mixing",), 1, 20)


@pytest.mark.parametrize(
    ("rule", "missing"), [("ubar", "loss"), ("fltrust", "my update"), ("balance", "the length of my model")]
)
def test_a_rule_that_was_not_told_what_it_needs_says_so_instead_of_guessing(rule: str, missing: str) -> None:
    with pytest.raises(ConfigError, match=f"{rule} needs .*{missing}"):
        mix(np.ones((4, 2), np.float32), equal_weights(4), rule, Budget(1), About(rounds=10))


def test_balance_needs_to_know_the_last_round() -> None:
    with pytest.raises(ConfigError, match=r"round\.rounds"):
        mix(np.ones((4, 2), np.float32), equal_weights(4), "balance", Budget(1), About(own_norm=1.0, rounds=0))


def test_mda_refuses_to_try_more_subsets_than_it_can() -> None:
    with pytest.raises(ConfigError, match="leave out 10 of 31 models, 44352165 in all"):
        mix(np.ones((30, 2), np.float32), equal_weights(30), "mda", Budget(10))


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
    with pytest.raises(ConfigError, match=r"aggregation.rule: no rule 'medain'; did you mean median\?"):
        mix(np.ones((3, 2), np.float32), equal_weights(3), "medain", Budget())
    with pytest.raises(ConfigError, match=r"aggregation.rule: no rule 'avg'; there are mean, .*, auto"):
        rule_named("avg")


def test_differences_start_on_a_cache_line_and_overflow_without_a_word() -> None:
    z = differences(np.full(3, -3e38, np.float32), [np.full(3, 3e38, np.float32), np.zeros(3, np.float32)])
    assert z.ctypes.data % 64 == 0
    np.testing.assert_array_equal(z, [[np.inf] * 3, [np.float32(3e38)] * 3])


def test_mda_is_refused_before_it_starts_where_its_neighbors_make_too_many_subsets() -> None:
    check("mda", (), 7, 19)
    with pytest.raises(ConfigError, match="480700 in all"):
        check("mda", (), 7, 24)


@pytest.mark.parametrize("rule", ["trimmed_mean", "median"])
def test_whoever_is_honest_in_the_columns_of_some_verdicts_is_not_in_those_of_others(rule: str) -> None:
    d, dice = 20_000, np.random.default_rng(0)
    z = dice.standard_normal((9, d)).astype(np.float32)
    known = sample_of(np.empty(9, np.float32), d, About(seed=1))
    z[8] = np.where(np.isin(np.arange(d), known), z[8], 9)
    kept = [mix(z, equal_weights(9), rule, Budget(1), About(seed=seed)).kept for seed in (1, 2, 3)]
    assert kept[0][8] > 0.1
    assert kept[1][8] < 0.02
    assert kept[2][8] < 0.02
