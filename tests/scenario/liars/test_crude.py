"""Crude lies say what they say they do, free riders do nothing, and old news is as old as it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import Steps
from sights import draw, with_

from gossipfl.scenario.liars.learning import BitFlip, FixedBias, FreeRider, Gaussian, SignFlip, Stale
from gossipfl.scenario.liars.updates import Nan
from gossipfl.scenario.liars.witness import KEPT, FalseWitness, Seen

seeds = st.integers(0, 10_000)


class Looking:
    """Eyes on these models, of which a test can change the rows."""

    def __init__(self, rows):
        self.rows = np.array(rows, np.float32)

    def look(self, d):
        return Seen(self.rows, np.full(len(self.rows), 0.1, np.float32), share=0.1)


@given(seeds, st.floats(0.5, 50, width=32))
def test_bit_flip_undoes_what_was_learned_and_sign_flip_turns_the_whole_model(seed, scale):
    sight = draw(seed)
    own, before = sight.own.astype(np.float64), sight.before.astype(np.float64)
    np.testing.assert_allclose(BitFlip(scale=scale).craft(sight), before - scale * (own - before), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(SignFlip(scale=scale).craft(sight), -scale * own, rtol=1e-5, atol=1e-5)


@given(seeds)
def test_fixed_bias_is_one_direction_for_all_liars_and_rounds_and_as_long_as_told(seed):
    sight = draw(seed)
    steps = [FixedBias(strength=2.5).craft(one) - one.own for one in (sight, with_(sight, seed=99, round=7))]
    np.testing.assert_allclose(steps[0], steps[1], rtol=1e-3, atol=1e-4)
    assert np.linalg.norm(steps[0]) == pytest.approx(2.5 * sight.start_norm, rel=1e-3)
    other = FixedBias(strength=2.5, direction=1).craft(sight) - sight.own
    assert not np.allclose(other, steps[0], atol=1e-3)


def test_a_fixed_bias_is_one_even_where_all_begin_with_zeros():
    sight = draw(0, start_norm=0.0)
    step = FixedBias(strength=2.0).craft(sight) - sight.own
    assert np.linalg.norm(step) == pytest.approx(2 * np.linalg.norm(sight.own), rel=1e-3)


@given(seeds)
def test_a_free_rider_echoes_the_mean_or_adds_noise_of_a_believable_length(seed):
    sight = draw(seed)
    crowd = sight.crowd.astype(np.float64)
    np.testing.assert_allclose(FreeRider().craft(sight), crowd.mean(axis=0), rtol=1e-4, atol=1e-4)
    noise = FreeRider(what="noise").craft(sight) - sight.before
    lengths = [np.linalg.norm(model - sight.before) for model in crowd]
    assert np.linalg.norm(noise) == pytest.approx(np.median(lengths), rel=1e-3)


def test_a_free_rider_never_trains():
    honest = Steps()
    liar = FreeRider().learner(honest, 1, Looking([[1, 2, 3], [3, 4, 5]]))
    report = liar.train(0)
    assert (honest.trained, report.steps) == (0, 0)
    np.testing.assert_array_equal(liar.vector(), np.array([2, 3, 4], np.float32))


def test_a_stale_model_is_as_many_rounds_old_as_it_says_or_the_oldest_there_is():
    liar = Stale(age=2).learner(Steps(), 1)
    shown = []
    for round in range(5):
        liar.train(round)
        shown.append(float(liar.vector()[0]))
    assert shown == [0.0, 1.0, 1.0, 2.0, 3.0]                    # honest would be 1, 2, 3, 4, 5


def test_a_liar_keeps_so_many_old_models_and_no_more():
    with pytest.raises(ValueError, match="at most"):
        Stale(age=KEPT + 1)
    liar = Stale(age=KEPT).learner(Steps(), 1)
    for round in range(3 * KEPT):
        liar.train(round)
    assert float(liar.vector()[0]) == 2 * KEPT


def test_stale_of_no_age_is_honest_but_for_the_number_of_its_round():
    sight = draw(1)
    np.testing.assert_array_equal(Stale(age=0, claims=3).craft(sight), sight.own)


@pytest.mark.parametrize(("value", "is_poison"), [("nan", np.isnan), ("inf", np.isinf), ("huge", lambda x: x > 1e38)])
def test_a_number_that_is_none_is_in_the_model(value, is_poison):
    sight = draw(1)
    assert is_poison(Nan(value=value).craft(sight)).any()
    assert np.isfinite(sight.own).all()


def test_a_witness_goes_on_from_the_mean_of_what_it_has_and_sees():
    honest, eyes = Steps(), Looking([[4, 4, 4], [7, 7, 7]])
    liar = FalseWitness(honest, SignFlip(scale=3.0), 1, eyes)
    liar.train(0)                                                # has (1, 1, 1), shows (-3, -3, -3)
    np.testing.assert_array_equal(liar.vector(), np.full(3, -3, np.float32))
    liar.load(np.full(3, 100, np.float32))                       # whatever its own rule made of the lie
    np.testing.assert_array_equal(honest.x, np.full(3, 4, np.float32))


def test_a_witness_tells_its_attack_what_it_sees_now():
    seen = []

    class Nosy(Gaussian):
        def craft(self, sight):
            seen.append(sight)
            return sight.own

    eyes = Looking([[4, 4, 4]])
    liar = Nosy().learner(Steps(), 7, eyes)
    liar.train(0)
    eyes.rows = eyes.rows + 1
    liar.train(1)
    assert [sight.round for sight in seen] == [0, 1]
    assert [float(sight.honest[0, 0]) for sight in seen] == [4.0, 5.0]
    assert [float(sight.before[0]) for sight in seen] == [0.0, 1.0]
    assert [len(sight.past) for sight in seen] == [0, 1]
    assert seen[1].seed == 7


def test_a_witness_can_gauge_if_its_learner_can():
    class Gauging(Steps):
        def gauge(self, vectors, round):
            return [float(vector.sum()) for vector in vectors]

    assert SignFlip().learner(Gauging(), 1).gauge([np.ones(3)], 0) == [3.0]
    assert FreeRider().learner(Gauging(), 1).gauge([np.ones(3)], 0) == [3.0]
    assert not hasattr(SignFlip().learner(Steps(), 1), "gauge")
