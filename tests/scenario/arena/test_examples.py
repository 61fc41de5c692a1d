"""The splits of published experiments: disjoint, seeded, and skewed as their papers say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.errors import ConfigError
from gossipfl.scenario.arena.examples import DEALERS, deal

LABELS = np.random.default_rng(0).integers(0, 10, 600).astype(np.int32)


@given(kind=st.sampled_from([*DEALERS, "iid"]), peers=st.integers(2, 12), seed=st.integers(0, 3))
def test_nobody_has_what_somebody_else_has_and_nobody_has_nothing(kind, peers, seed):
    parts = deal(kind, LABELS, peers, seed)
    everything = np.concatenate(parts)
    assert len(set(everything.tolist())) == len(everything)
    assert len(parts) == peers
    assert all(len(part) for part in parts)


def test_sorted_by_label_a_peer_has_two_classes_at_most():
    assert max(len(set(LABELS[part])) for part in deal("sorted", LABELS, 20, 0)) <= 2


def test_each_half_of_the_peers_has_its_half_of_the_classes():
    parts = deal("halves", LABELS, 6, 0)
    assert {int(label) for part in parts[:3] for label in LABELS[part]} == {0, 1, 2, 3, 4}
    assert {int(label) for part in parts[3:] for label in LABELS[part]} == {5, 6, 7, 8, 9}


def test_a_split_that_does_not_exist_is_the_users_mistake():
    with pytest.raises(ConfigError, match="no split 'by_star_sign'"):
        deal("by_star_sign", LABELS, 4, 0)
