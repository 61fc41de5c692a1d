"""Sorting networks: the right ranks for every input, and no step too many."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest

from gossipfl.aggregation.sorting import Network, network, run

Rows = npt.NDArray[np.generic]


def smaller(a: Rows, b: Rows, space: Rows) -> Rows:
    return np.minimum(a, b, out=space)


def larger(a: Rows, b: Rows, space: Rows) -> Rows:
    return np.maximum(a, b, out=space)


def ranks_of(net: Network, rows: Rows) -> Rows:
    scratch = np.empty((net.scratch, rows.shape[1]), rows.dtype)
    return np.array(run(net, list(rows), list(scratch), smaller, larger))


@pytest.mark.parametrize("n", range(1, 11))
def test_every_range_of_ranks_is_right_for_all_zeros_and_ones_and_so_for_all_numbers(n: int) -> None:
    rows = np.array(list(itertools.product([0, 1], repeat=n))).T          # (n, 2^n): the 0-1 principle, Knuth 5.3.4
    in_order = np.sort(rows, axis=0)
    for low, high in itertools.combinations_with_replacement(range(n), 2):
        np.testing.assert_array_equal(ranks_of(network(n, low, high), rows), in_order[low : high + 1])


@pytest.mark.parametrize("n", [2, 3, 5, 8, 10])
def test_without_order_the_same_numbers_come_out(n: int) -> None:
    rows = np.array(list(itertools.islice(itertools.permutations(range(n)), 5000))).T
    for low, high in itertools.combinations_with_replacement(range(n), 2):
        found = np.sort(ranks_of(network(n, low, high, in_order=False), rows), axis=0)
        np.testing.assert_array_equal(found, np.tile(np.arange(low, high + 1)[:, None], rows.shape[1]))


@pytest.mark.parametrize("n", [16, 21, 33, 64, 65, 100])
def test_large_networks_find_the_middle_of_random_numbers(n: int) -> None:
    rows = np.random.default_rng(n).integers(0, 50, (n, 2000))            # many ties
    before = rows.copy()
    low, high = (n - 1) // 2, n // 2
    np.testing.assert_array_equal(ranks_of(network(n, low, high), rows), np.sort(rows, axis=0)[low : high + 1])
    np.testing.assert_array_equal(rows, before)


@pytest.mark.parametrize(
    ("n", "low", "high", "in_order", "steps"),
    [(9, 4, 4, True, 36), (9, 0, 8, True, 52), (21, 10, 10, True, 156), (21, 0, 20, True, 214),
     (21, 4, 16, True, 198), (21, 4, 16, False, 170)],
)
def test_pruning_leaves_so_many_steps(n: int, low: int, high: int, in_order: bool, steps: int) -> None:
    assert len(network(n, low, high, in_order=in_order).steps) == steps


@pytest.mark.parametrize("n", [5, 9, 21, 51])
def test_scratch_is_little_more_than_a_copy_of_the_rows(n: int) -> None:
    assert network(n, n // 2, n // 2).scratch <= n + 2
