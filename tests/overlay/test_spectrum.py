"""Eigenvalues of graphs whose spectra are known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest
from overlay_samples import connectivity_among

from gossipfl.overlay import (
    algebraic_connectivity,
    edges,
    mixing_matrix,
    period_gap,
    rounds_to_shrink,
    rounds_to_shrink_in_periods,
    spectral_gap,
)


@pytest.mark.parametrize("n", [3, 8, 16])
def test_connectivity_is_that_of_the_books(n: int) -> None:
    assert algebraic_connectivity(n, edges("full", n)) == pytest.approx(n)
    assert algebraic_connectivity(n, edges("ring", n)) == pytest.approx(2 - 2 * math.cos(2 * math.pi / n))
    assert algebraic_connectivity(n, edges("line", n)) == pytest.approx(2 - 2 * math.cos(math.pi / n))
    assert algebraic_connectivity(n, edges("star", n)) == pytest.approx(1)


def test_a_graph_that_falls_apart_has_connectivity_zero_and_a_lone_peer_has_no_limit() -> None:
    assert algebraic_connectivity(4, [(0, 1), (2, 3)]) == 0
    assert algebraic_connectivity(2, []) == 0
    assert math.isinf(algebraic_connectivity(1, []))


def test_connectivity_among_some_peers_is_that_of_the_graph_between_them() -> None:
    assert connectivity_among(8, edges("full", 8), [1, 3, 5]) == pytest.approx(3)
    assert connectivity_among(6, edges("ring", 6), [0, 1, 2]) == pytest.approx(1)          # a line of three
    assert connectivity_among(6, edges("star", 6), [1, 2, 3]) == 0


@pytest.mark.parametrize("n", [4, 9])
def test_the_gap_of_complete_graph_ring_and_star_is_the_known_one(n: int) -> None:
    assert spectral_gap(mixing_matrix(n, edges("full", n))) == pytest.approx(1)
    assert spectral_gap(mixing_matrix(n, edges("ring", n))) == pytest.approx((2 - 2 * math.cos(2 * math.pi / n)) / 3)
    assert spectral_gap(mixing_matrix(n, edges("star", n))) == pytest.approx(1 / n)


@pytest.mark.parametrize(("n", "rounds"), [(8, 32), (16, 133), (32, 536)])
def test_a_ring_needs_so_many_rounds_to_shrink_disagreement_a_thousandfold(n: int, rounds: int) -> None:
    matrix = mixing_matrix(n, edges("ring", n))
    assert rounds_to_shrink(matrix, 1000) == rounds
    slowest = np.cos(2 * np.pi * np.arange(n) / n)                        # the ring's slowest mode
    left_over = np.linalg.norm(np.linalg.matrix_power(matrix, rounds) @ slowest) / np.linalg.norm(slowest)
    assert left_over <= 1 / 1000 < left_over / np.sort(np.linalg.eigvalsh(matrix))[-2]


def test_a_complete_graph_agrees_in_one_round_and_a_broken_one_never() -> None:
    assert rounds_to_shrink(mixing_matrix(5, edges("full", 5)), 1000) == 1
    assert rounds_to_shrink(mixing_matrix(1, []), 1000) == 1
    assert rounds_to_shrink(mixing_matrix(4, [(0, 1), (2, 3)]), 1000) == math.inf
    assert spectral_gap(mixing_matrix(4, [(0, 1), (2, 3)])) == pytest.approx(0)


@pytest.mark.parametrize(("kind", "n"), [("line", 60), ("ring", 9), ("star", 7), ("full", 5), ("line", 1)])
def test_a_period_of_one_round_shrinks_as_its_matrix_does(kind: str, n: int) -> None:
    matrix = mixing_matrix(n, edges(kind, n))
    assert rounds_to_shrink_in_periods([matrix], 1000) == rounds_to_shrink(matrix, 1000)
    assert period_gap([matrix]) == pytest.approx(spectral_gap(matrix))


def test_rounds_without_edges_are_waited_for_and_the_last_period_ends_early() -> None:
    busy, idle = mixing_matrix(3, edges("full", 3)), mixing_matrix(3, [])
    assert rounds_to_shrink_in_periods([busy, idle, idle], 1000) == 1
    assert rounds_to_shrink_in_periods([idle, idle, busy], 1000) == 3
    half = (idle + busy) / 2                             # leaves half over: ten of them are needed
    assert rounds_to_shrink_in_periods([half, idle, idle], 1000) == 28
    assert period_gap([half, idle, half]) == pytest.approx(3 / 4)


def test_a_period_whose_rounds_never_meet_never_agrees() -> None:
    period = [mixing_matrix(4, [(0, 1)]), mixing_matrix(4, [(2, 3)])]
    assert rounds_to_shrink_in_periods(period, 1000) == math.inf
    assert period_gap(period) == pytest.approx(0)
