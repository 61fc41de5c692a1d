"""What each rule promises against liars, and where its promise ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gossipfl.aggregation import PRE, RULES, About, Budget, Correction, check, mix
from gossipfl.errors import ConfigError

Vector = npt.NDArray[np.float32]

F, D = 2, 6
FAR = np.float32(1e6)
SETS = [rule for rule, spec in RULES.items() if spec.is_set]
honest_rows = hnp.arrays(np.float32, st.tuples(st.integers(9, 12), st.just(D)), elements=st.floats(-8, 8, width=32))
lies = hnp.arrays(np.float32, (F, D), elements=st.floats(-(2.0**40), 2.0**40, width=32))


def about(n: int, liars: int = F) -> About:
    """Honest models do well on my examples; my update points where theirs do."""
    losses = np.where(np.arange(n) < liars, 9.0, 0.1)
    return About(round=1, rounds=10, own_norm=100.0, own_update=np.ones(D, np.float32), losses=losses, own_loss=1.0)


def mixed(z: Vector, rule: str, f: int = F, pre: tuple[str, ...] = (), liars: int = F) -> Correction:
    w = np.full(len(z), 1 / (len(z) + 1), np.float32)
    return mix(z, w, rule, Budget(f, clip_radius=3.0), about(len(z), liars), pre)


def crowd(honest: int, liars: int, seed: int = 0) -> tuple[Vector, float]:
    """Liars, all far off in one direction, and honest differences; and how far the furthest honest one is."""
    z = np.random.default_rng(seed).standard_normal((liars + honest, D)).astype(np.float32)
    z[:liars] = FAR + z[:liars]
    return z, float(np.linalg.norm(z[liars:], axis=1).max())


def length(correction: Correction) -> float:
    return float(np.linalg.norm(correction.vector))


WITHSTAND = [rule for rule in RULES if rule != "mean"]


@pytest.mark.parametrize("rule", WITHSTAND)
def test_as_many_far_liars_as_promised_do_not_take_me_beyond_the_honest(rule: str) -> None:
    for seed in range(5):
        z, furthest = crowd(honest=9, liars=F, seed=seed)
        assert length(mixed(z, rule)) <= max(3.0, 1.01 * furthest)


@pytest.mark.parametrize("pre", sorted(PRE))
@pytest.mark.parametrize("rule", SETS)
def test_nor_behind_what_is_done_before_a_rule(rule: str, pre: str) -> None:
    z, furthest = crowd(honest=20, liars=F)                               # 12 buckets: enough for bulyan
    assert length(mixed(z, rule, pre=(pre,))) <= max(3.0, 1.01 * furthest)


@pytest.mark.parametrize("pre", sorted(PRE))
@pytest.mark.parametrize("rule", SETS)
def test_nor_do_as_many_that_echo_my_model_where_they_are_just_few_enough(rule: str, pre: str) -> None:
    models = next(n for n in range(99) if PRE[pre].after(n, Budget(F)) >= RULES[rule].models_min(F))
    z, furthest = crowd(honest=models - 1 - F, liars=F)
    z[:F] = 0
    assert length(mixed(z, rule, pre=(pre,))) <= 1.01 * furthest


@pytest.mark.parametrize("rule", ["median", "mda", "dnc", "geometric_median", "centered_clipping"])
def test_whoever_arc_shortens_to_nothing_is_there_all_the_same(rule: str) -> None:
    z = np.array([[0, 0], [0, 0], [1, 0], [0, 1]], np.float32)            # of five, me and two echoes set the length
    assert mixed(z, rule, pre=("arc",)).kept.tolist() == [1, 1, 0, 0]


def test_one_liar_takes_the_mean_anywhere() -> None:
    assert length(mixed(crowd(9, 1)[0], "mean", f=0)) > FAR / 20


@pytest.mark.parametrize(
    "rule", ["median", "trimmed_mean", "meamed", "monna", "mda", "nna", "ios", "rtc", "dnc", "multi_krum"]
)
def test_many_more_liars_than_declared_take_me_far_away(rule: str) -> None:
    """Six among ten neighbors where two were declared: the rule keeps some of them, whole."""
    z, furthest = crowd(honest=4, liars=6)
    assert length(mixed(z, rule)) > 100 * furthest


@pytest.mark.parametrize("rule", ["clipping", "centered_clipping"])
def test_a_fixed_radius_holds_however_many_lie(rule: str) -> None:
    assert length(mixed(crowd(honest=1, liars=9)[0], rule)) <= 3.0 * 1.001


def test_cs_plus_moves_no_further_than_the_neighbors_that_it_does_not_clip() -> None:
    """Where NNA, with as many liars too many, follows them: clipping degrades, dropping breaks."""
    z, furthest = crowd(honest=7, liars=3)
    assert length(mixed(z, "cs_plus")) <= furthest
    assert length(mixed(z, "nna")) > 100 * furthest


def test_cs_plus_clips_the_2b_furthest_at_the_length_of_the_next() -> None:
    z = np.diag(np.array([1, 2, 3, 4, 5, 6], np.float32))
    kept = mix(z, np.full(6, 0.1, np.float32), "cs_plus", Budget(2)).kept
    np.testing.assert_allclose(kept, [1, 1, 2 / 3, 2 / 4, 2 / 5, 2 / 6], rtol=1e-6)


def test_krum_hands_out_the_row_that_it_chose_and_leaves_all_as_they_are() -> None:
    z = crowd(honest=9, liars=0)[0] + 5                                   # all far from me: a neighbor is chosen
    before = z.copy()
    found = mix(z, np.full(9, 0.1, np.float32), "krum", Budget(1))
    assert np.shares_memory(found.vector, z)
    np.testing.assert_array_equal(found.vector, before[int(found.kept.argmax())])
    np.testing.assert_array_equal(z, before)


@pytest.mark.parametrize(("rule", "rho"), [("cs_plus", 2), ("nna", 4)])
@given(data=st.data())
@settings(deadline=None)
def test_what_the_certificates_rest_on_holds_whatever_the_weights(rule: str, rho: int, data: st.DataObject) -> None:
    """|F - sum_honest w_j z_j|^2 <= rho B sum_honest w_j |z_j|^2 (Gaucher et al. 2025); mu > 2 rho B rests on it."""
    b = data.draw(st.integers(1, 2))
    degrees = data.draw(st.lists(st.integers(6, 20), min_size=2 * b + 1, max_size=9))
    w = (1 / (1 + np.array(degrees))).astype(np.float32)
    z = data.draw(hnp.arrays(np.float32, (len(w), 2), elements=st.sampled_from([-10, -3, -1, 0, 0, 0, 1, 2, 10])))
    honest = np.arange(len(w)) >= data.draw(st.integers(0, b))
    moved = mix(z, w, rule, Budget(b)).vector
    lengths = np.square(z[honest]).sum(axis=1)
    error = float(np.square(moved - w[honest] @ z[honest]).sum())
    assert error <= rho * b * w.max() * float(w[honest] @ lengths) * (1 + 1e-4) + 1e-6


def test_nna_drops_weight_and_the_neighbor_at_the_boundary_in_part() -> None:
    z = np.diag(np.array([1, 2, 3, 4], np.float32))
    w = np.array([0.1, 0.3, 0.2, 0.1], np.float32)                        # B = 0.3: the last two, whole
    np.testing.assert_allclose(mix(z, w, "nna", Budget(1)).kept, [1, 1, 0, 0], atol=1e-6)
    w = np.array([0.1, 0.3, 0.25, 0.1], np.float32)
    np.testing.assert_allclose(mix(z, w, "nna", Budget(1)).kept, [1, 1, 0.2, 0], atol=1e-6)


@given(honest_rows, lies)
@settings(max_examples=40)
def test_ranking_rules_stay_within_the_honest_range_of_every_coordinate(honest: Vector, lies: Vector) -> None:
    z = np.vstack([lies, honest])
    low, high = np.minimum(honest.min(axis=0), 0), np.maximum(honest.max(axis=0), 0)
    for rule in ("median", "trimmed_mean"):
        vector = mixed(z, rule).vector
        assert (low - 1e-5 <= vector).all()
        assert (vector <= high + 1e-5).all()


@given(honest_rows, lies)
@settings(max_examples=40)
def test_choosing_rules_stay_near_the_honest_ball(honest: Vector, lies: Vector) -> None:
    """A liar that is kept is no further from me than the honest neighbor that was dropped for it."""
    furthest = float(np.linalg.norm(honest, axis=1).max())
    z = np.vstack([lies, honest])
    for rule in ("cs_plus", "nna", "monna"):
        assert length(mixed(z, rule)) <= furthest + 1e-4
    for rule in ("multi_krum", "mda", "krum"):
        assert length(mixed(z, rule)) <= 4 * furthest * np.sqrt(len(z)) + 1e-4


@pytest.mark.parametrize(
    "rule", ["clipping", "clipping_adaptive", "cs_plus", "nna", "monna", "rtc", "multi_krum", "geometric_median"]
)
def test_a_liar_at_the_end_of_float32_is_refused_and_breaks_no_arithmetic(rule: str) -> None:
    z, furthest = crowd(honest=9, liars=F)
    z[0], z[1] = np.float32(3e38), np.float32(-3e38)
    correction = mixed(z, rule)
    assert length(correction) <= max(3.0, 1.01 * furthest)
    assert (correction.kept[:F] < 1e-3).all()


# ---- what i know myself -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["ubar", "balance", "fltrust"])
def test_surrounded_by_liars_i_keep_to_myself_and_not_to_the_closest(rule: str) -> None:
    z = np.full((4, D), -FAR, np.float32) + np.arange(4, dtype=np.float32)[:, None]
    correction = mixed(z, rule, f=1, liars=4)
    assert not correction.vector.any()
    assert not correction.kept.any()


def test_fltrust_shortens_the_longest_update_of_float32_to_mine() -> None:
    z = np.full((1, D), 3e38, np.float32)                                  # g_1 points where my g, all ones, does
    correction = mixed(z, "fltrust", f=1, liars=1)
    np.testing.assert_allclose(correction.vector, 0, atol=1e-6)            # (g + g) / 2 - g
    assert correction.kept.tolist() == [1]


def test_balance_becomes_choosier_from_round_to_round() -> None:
    z, w = np.full((1, 4), 10.0, np.float32), np.full(1, 0.5, np.float32)     # 20 away; the limit starts at 0.3 * 100
    early, late = (mix(z, w, "balance", Budget(), About(round=r, rounds=10, own_norm=100.0)) for r in (0, 9))
    np.testing.assert_allclose(early.vector, 5.0)
    assert not late.vector.any()


def test_clipping_with_decay_trusts_less_and_less() -> None:
    z, w = np.array([[4, 0]], np.float32), np.full(1, 0.5, np.float32)
    steps = [mix(z, w, "clipping", Budget(0, 2.0, 0.5), About(round=r)).vector[0] for r in range(3)]
    np.testing.assert_allclose(steps, [1.0, 0.5, 0.25])


# ---- what is done before ----------------------------------------------------------------------------------------


def test_buckets_are_dealt_anew_every_round_and_every_model_is_in_one() -> None:
    z = np.diag(np.arange(1, 8, dtype=np.float32))
    w = np.full(7, 0.1, np.float32)
    rounds = [mix(z, w, "trimmed_mean", Budget(0), About(round=r), ("bucketing",)).vector for r in range(5)]
    np.testing.assert_allclose(rounds, [np.arange(1, 8) / 8] * 5, rtol=1e-6)          # 8 models, 4 buckets of 2
    centers = [mix(z, w, "geometric_median", Budget(0), About(round=r), ("bucketing",)).vector for r in range(5)]
    assert len({vector.tobytes() for vector in centers}) > 1
    again = mix(z, w, "geometric_median", Budget(0), About(round=0), ("bucketing",)).vector
    np.testing.assert_array_equal(again, centers[0])


def test_dnc_drops_those_who_stand_out_together() -> None:
    z = np.random.default_rng(0).standard_normal((12, 500)).astype(np.float32)
    z[:3] += 2                                                            # near in every coordinate, far together
    correction = mix(z, np.full(12, 0.07, np.float32), "dnc", Budget(3))
    np.testing.assert_array_equal(correction.kept, [0, 0, 0, *[1] * 9])
    np.testing.assert_allclose(correction.vector, z[3:].sum(axis=0) / 10, atol=1e-6)


def test_bulyan_behind_buckets_of_so_few_is_refused() -> None:
    with pytest.raises(ConfigError, match="bulyan against 2 needs 11 models"):
        check("bulyan", ("bucketing",), 2, 15)
