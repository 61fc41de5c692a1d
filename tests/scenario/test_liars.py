"""Each attack does what it says, and nothing else."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as stn
from made import Steps

from gossipfl.learning.data import Examples, Shard
from gossipfl.learning.learner import Learner, TrainReport
from gossipfl.scenario.liars import ATTACKS
from gossipfl.scenario.liars.learning import Gaussian, LabelFlip, SignFlip

vectors = stn.arrays(np.float32, 5, elements=st.floats(-100, 100, width=32))


@given(vectors, vectors, st.floats(0.5, 100, width=32))
def test_sign_flip_shows_minus_scale_times_what_it_trained(start, step, scale):
    liar = SignFlip(scale=scale).learner(Steps(start, step), seed=1)
    liar.train(0)
    np.testing.assert_array_equal(liar.vector(), -np.float32(scale) * (start + step))


@given(vectors, st.integers(0, 2**32))
def test_gaussian_is_the_same_noise_for_one_seed_and_round_and_other_noise_otherwise(start, seed):
    def shown(seed, round):
        liar = Gaussian(sigma=2.0).learner(Steps(start, np.float32(0)), seed)
        liar.train(round)
        return liar.vector()

    np.testing.assert_array_equal(shown(seed, 3), shown(seed, 3))
    assert not np.array_equal(shown(seed, 3), shown(seed, 4))
    assert not np.array_equal(shown(seed, 3), shown(seed + 1, 3))


def test_gaussian_noise_has_the_spread_that_it_names():
    start = np.ones(100_000, np.float32)
    liar = Gaussian(sigma=2.0).learner(Steps(start, np.float32(0)), seed=1)
    liar.train(0)
    noise = liar.vector() - start
    assert abs(noise.mean()) < 0.05
    assert abs(noise.std() - 2.0) < 0.05


@given(st.lists(st.integers(0, 9), min_size=1), st.just(10))
def test_label_flip_mirrors_training_labels_and_leaves_the_rest(labels, classes):
    y = np.array(labels, np.int32)
    shard = Shard(Examples(np.zeros((len(y), 4), np.float32), y), Examples(np.zeros((1, 4), np.float32), y[:1]))
    lied = LabelFlip().shard(shard, classes)
    np.testing.assert_array_equal(lied.train.y, 9 - y)
    assert lied.train.y.dtype == np.int32
    assert lied.train.x is shard.train.x
    assert lied.test is shard.test
    np.testing.assert_array_equal(LabelFlip().shard(lied, classes).train.y, y)


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_every_attack_speaks_as_a_learner_that_begins_like_everybody(name):
    start = np.array([1, -2, 3], np.float32)
    liar = ATTACKS[name]().learner(Steps(start, np.float32(1)), seed=1)
    assert isinstance(liar, Learner)
    assert liar.size == 3
    np.testing.assert_array_equal(liar.vector(), start)


@pytest.mark.parametrize("name", sorted(ATTACKS.keys() - {"free_rider"}))
def test_every_attack_but_the_free_rider_trains(name):
    honest = Steps(np.array([1, -2, 3], np.float32), np.float32(1))
    assert ATTACKS[name]().learner(honest, seed=1).train(0) == TrainReport(1.0, 1, 10)
    np.testing.assert_array_equal(honest.x, np.array([2, -1, 4], np.float32))


def test_a_liar_goes_on_from_a_mix_that_is_nearer_to_its_own_model_than_to_its_lie():
    honest = Steps(np.array([1.0, 0.0], np.float32), np.float32(0))
    liar = SignFlip(scale=10.0).learner(honest, seed=1)
    liar.train(0)                                            # holds (1, 0), shows (-10, 0)
    liar.load(np.array([-0.4, 0.5], np.float32))             # what a mean over eight would make of it
    np.testing.assert_array_equal(honest.x, np.array([-0.4, 0.5], np.float32))
    liar.train(1)
    np.testing.assert_array_equal(liar.vector(), -10 * honest.x)


def test_a_liar_never_feeds_its_lie_back_to_itself():
    honest = Steps(np.array([1.0, 0.0], np.float32), np.float32(0))
    liar = SignFlip(scale=10.0).learner(honest, seed=1)
    for round in range(50):                                  # a rule that hardly moves the liar from what it shows
        liar.train(round)
        liar.load(liar.vector() + np.float32(0.1))
    np.testing.assert_array_equal(honest.x, np.array([1.0, 0.0], np.float32))


def test_a_liar_keeps_to_itself_how_good_its_own_model_is():
    liar = SignFlip().learner(Steps(np.ones(2, np.float32), np.float32(0)), seed=1)
    liar.train(0)
    assert liar.evaluate().accuracy == 1.0
