"""Metropolis-Hastings weights keep the average and cannot be bought with claims."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipfl.overlay import Edge, edges, metropolis, mixing_matrix


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    n = draw(st.integers(1, 12))
    return n, [pair for pair in edges("full", n) if draw(st.booleans())]


@given(graphs())
def test_the_mixing_matrix_of_any_graph_is_symmetric_and_doubly_stochastic(drawn: tuple[int, list[Edge]]) -> None:
    matrix = mixing_matrix(*drawn)
    np.testing.assert_array_equal(matrix, matrix.T)
    np.testing.assert_allclose(matrix.sum(axis=0), 1)
    assert (matrix >= 0).all()
    assert (matrix.diagonal() > 0).all()


@given(graphs())
def test_each_peers_own_weights_are_its_row_of_the_mixing_matrix(drawn: tuple[int, list[Edge]]) -> None:
    n, graph = drawn
    matrix = mixing_matrix(n, graph)
    neighbors = [[other for other in range(n) if (min(i, other), max(i, other)) in set(graph)] for i in range(n)]
    for peer in range(n):
        row = metropolis(len(neighbors[peer]), [len(neighbors[other]) for other in neighbors[peer]])
        assert row.dtype == np.float32
        np.testing.assert_allclose(row, matrix[peer, neighbors[peer]], rtol=1e-6)


@given(st.integers(0, 70), st.lists(st.integers(0, 2**63 - 1), max_size=70), st.integers(1, 64))
def test_no_claims_take_more_than_an_equal_share_or_all_of_mine(own: int, claims: list[int], degree_max: int) -> None:
    weights = metropolis(own, np.array(claims, np.int64), degree_max)
    assert weights.sum() < 1
    assert (weights <= 1 / (1 + max(own, len(claims))) * (1 + 1e-6)).all()
    assert (weights >= 1 / (1 + max(own, len(claims), degree_max)) * (1 - 1e-6)).all()


def test_weights_are_these() -> None:
    assert metropolis(2, [1, 5]).tolist() == pytest.approx([1 / 3, 1 / 6])
    assert metropolis(2, [0, 2**62], degree_max=9).tolist() == pytest.approx([1 / 3, 1 / 10])
