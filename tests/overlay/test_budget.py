"""How many liars a graph is certified for: never more than the worst placement leaves."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gossipfl.overlay import Edge, algebraic_connectivity, certified_budget, edges, trimmed_mean_budget
from gossipfl.overlay.budget import bound


@st.composite
def dense_graphs(draw: st.DrawFn) -> tuple[int, list[Edge]]:
    n = draw(st.integers(2, 8))
    missing = draw(st.sets(st.sampled_from(edges("full", n)), max_size=3))
    return n, [edge for edge in edges("full", n) if edge not in missing]


def withstands(n: int, graph: list[Edge], b: int) -> bool:
    """By definition, with sets: mu > 4 b for every set of liars that gives no honest peer more than b of them."""
    for size in range(n):
        for liars in itertools.combinations(range(n), size):
            honest = [peer for peer in range(n) if peer not in liars]
            lying_neighbors = max(sum((min(i, j), max(i, j)) in graph for j in liars) for i in honest)
            if lying_neighbors <= b and not algebraic_connectivity(n, graph, among=honest) > 4 * b + 1e-9:
                return False
    return True


@given(dense_graphs())
@settings(max_examples=25)
def test_the_budget_of_a_small_graph_is_the_largest_that_every_placement_leaves(drawn: tuple[int, list[Edge]]) -> None:
    n, graph = drawn
    b = certified_budget(n, graph)
    assert b == 0 or withstands(n, graph, b)
    assert not withstands(n, graph, b + 1)


@given(dense_graphs())
@settings(max_examples=50)
def test_the_bound_for_large_graphs_promises_no_more_than_the_truth(drawn: tuple[int, list[Edge]]) -> None:
    assert bound(*drawn) <= certified_budget(*drawn)


@pytest.mark.parametrize(("n", "b"), [(1, 0), (2, 0), (5, 0), (6, 1), (10, 1), (11, 2), (12, 2), (16, 3), (26, 5)])
def test_a_complete_graph_withstands_fewer_than_a_fifth(n: int, b: int) -> None:
    assert certified_budget(n, edges("full", n)) == b


@pytest.mark.parametrize(
    ("kind", "n"), [("ring", 8), ("ring", 16), ("line", 7), ("star", 9), ("random_regular", 12), ("random_regular", 32)]
)
def test_sparse_graphs_withstand_nobody(kind: str, n: int) -> None:
    assert certified_budget(n, edges(kind, n, degree=6)) == 0


@pytest.mark.parametrize("n", [6, 40])
def test_a_graph_that_falls_apart_withstands_nobody(n: int) -> None:
    assert certified_budget(n, edges("full", n // 2)) == 0


@pytest.mark.parametrize(("degree", "f"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (19, 9)])
def test_a_trimmed_mean_withstands_fewer_than_half_of_the_models(degree: int, f: int) -> None:
    models = degree + 1
    assert trimmed_mean_budget(degree) == f
    assert 2 * f < models <= 2 * (f + 1)
