"""Every split is a partition, is repeatable, and does what its name says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.config import DataConfig
from gossipfl.errors import ConfigError
from gossipfl.learning.split import SPLITTERS, hold_out, split

LABELS = np.repeat(np.arange(10, dtype=np.int32), 60)   # 600 examples, ten even classes


def a_split(kind: str, **options: object) -> list[np.ndarray]:
    return split(LABELS, DataConfig(**{"split": kind, "peers": 6} | options))


def classes_of(part: np.ndarray) -> set[int]:
    return set(LABELS[part].tolist())


@st.composite
def labels_and_options(draw: st.DrawFn) -> tuple[np.ndarray, DataConfig]:
    classes = draw(st.integers(1, 6))
    labels = draw(st.lists(st.integers(0, classes - 1), min_size=12, max_size=150))
    present, peers = len(set(labels)), draw(st.integers(1, 8))
    least = draw(st.integers(1, len(labels) // peers))
    return np.array(labels, np.int32), DataConfig(
        split=draw(st.sampled_from(sorted(SPLITTERS))),
        alpha=draw(st.sampled_from([0.01, 0.1, 0.5, 5.0])),
        shards_per_peer=draw(st.integers(1, len(labels) // peers)),
        classes_per_peer=draw(st.integers(-(-present // peers), present)),
        peers=peers,
        seed=draw(st.integers(0, 99)),
        examples_min=least,
    )


@given(labels_and_options())
def test_parts_are_disjoint_complete_and_large_enough(case):
    labels, data = case
    try:
        parts = split(labels, data)
    except ConfigError:
        assert data.split in ("by_class", "minority")   # which refuse rather than mix classes in
        return
    assert len(parts) == data.peers
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(labels)))
    assert min(map(len, parts)) >= data.examples_min
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("kind", sorted(SPLITTERS))
def test_a_seed_repeats_a_split_and_another_changes_it(kind):
    first, again, other = (a_split(kind, seed=seed) for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


@pytest.mark.parametrize("kind", sorted(SPLITTERS))
def test_my_own_number_does_not_move_the_others(kind):
    zero, five = (a_split(kind, part=part) for part in (0, 5))
    assert all(np.array_equal(one, two) for one, two in zip(zero, five, strict=True))


def test_no_split_leaves_everything_to_one():
    assert [part.tolist() for part in a_split("none")] == [list(range(600))]


def test_iid_parts_differ_by_one_example_and_hold_all_classes():
    parts = a_split("iid", peers=7)
    assert {len(part) for part in parts} == {85, 86}
    assert all(len(classes_of(part)) == 10 for part in parts)


def test_small_alpha_concentrates_classes():
    def largest_share(alpha: float) -> float:
        parts = a_split("dirichlet", alpha=alpha)
        return float(np.mean([np.bincount(LABELS[part]).max() / len(part) for part in parts]))

    assert largest_share(0.1) > 0.35 > 0.15 > largest_share(100)


def test_shards_give_each_peer_few_classes():
    assert all(len(classes_of(part)) <= 2 for part in a_split("shards", peers=10))     # 20 runs, each of one class


def test_by_class_gives_each_peer_exactly_its_number_of_classes():
    assert [len(classes_of(part)) for part in a_split("by_class", classes_per_peer=3)] == [3] * 6


def test_a_minority_alone_has_its_classes_and_nothing_else():
    *others, minority = a_split("minority")
    assert classes_of(minority) == {8, 9}
    assert [classes_of(part) for part in others] == [set(range(8))] * 5
    assert max(map(len, others)) - min(map(len, others)) <= 1
    assert classes_of(a_split("minority", classes_per_peer=3)[-1]) == {7, 8, 9}


def test_quantity_varies_sizes_but_not_classes():
    sizes = sorted(map(len, a_split("quantity", alpha=1.0)))
    assert sizes[-1] > 4 * sizes[0]


def test_the_richest_gives_to_those_who_would_have_too_little():
    sizes = [len(part) for part in a_split("quantity", alpha=0.05, examples_min=40)]
    assert min(sizes) == 40


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"split": "iid", "peers": 0}, "data.peers"),
        ({"split": "iid", "part": 6}, "data.part"),
        ({"split": "iid", "examples_min": 101}, "data.examples_min"),
        ({"split": "iid", "examples_min": 0}, "data.examples_min"),
        ({"split": "dirichlet", "alpha": 0.0}, "data.alpha"),
        ({"split": "shards", "shards_per_peer": 101}, "data.shards_per_peer"),
        ({"split": "by_class", "classes_per_peer": 1}, "data.classes_per_peer"),
        ({"split": "by_class", "classes_per_peer": 11}, "data.classes_per_peer"),
        ({"split": "by_class", "classes_per_peer": 2, "examples_min": 90}, "data.split"),
        ({"split": "minority", "peers": 1}, "data.classes_per_peer"),
        ({"split": "minority", "classes_per_peer": 10}, "data.classes_per_peer"),
        ({"split": "minority", "examples_min": 100}, "data.split"),
    ],
)
def test_the_impossible_is_refused_by_name(options, path):
    with pytest.raises(ConfigError) as caught:
        split(LABELS, DataConfig(**{"peers": 6} | options))
    assert caught.value.path == path


def test_hold_out_takes_the_same_share_of_every_class():
    test, rest = hold_out(LABELS, 0.2)
    assert np.bincount(LABELS[test]).tolist() == [12] * 10
    assert sorted([*test, *rest]) == list(range(600))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_hold_out_refuses_a_fraction_that_leaves_one_side_empty(fraction):
    with pytest.raises(ConfigError, match=r"data\.test_fraction"):
        hold_out(LABELS, fraction)
